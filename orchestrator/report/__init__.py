"""report.html: what a run was asked, what it found, and how far to trust it, in one file that can be sent."""
