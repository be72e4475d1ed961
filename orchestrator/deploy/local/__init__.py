"""The local target: one service as background processes on this machine."""
