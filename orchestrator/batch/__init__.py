"""Batch scoring: tables read and written in chunks, and checkpoints of the finished parts."""
