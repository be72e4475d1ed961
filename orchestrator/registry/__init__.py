"""Registered versions: their record on this machine, and the selection of the one that a command uses."""
