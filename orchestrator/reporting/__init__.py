"""What is recorded about a run: scores, figures, provenance, and the command that rebuilds its package."""
