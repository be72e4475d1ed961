"""Checks of a table before training: one module for each kind of finding, and ``table`` which runs them all."""
