"""The configuration: composed from groups, checked before anything runs, and given on as one frozen value."""
