"""The Docker target: one service as containers on an engine of this machine."""
