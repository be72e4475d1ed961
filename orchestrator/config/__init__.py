"""Overrides in, a valid spec out: compose the configuration, then validate it before anything runs."""
