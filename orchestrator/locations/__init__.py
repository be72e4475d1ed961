"""Where files lie: on this machine, in a bucket, behind a web server; listed, opened and copied in one way."""
