"""Rules that recognise a failure by the lines of its logs, by where the logs come from."""
