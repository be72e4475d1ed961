"""Registered versions: the record on this machine, and which of them a command uses."""
