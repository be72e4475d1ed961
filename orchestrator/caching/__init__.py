"""Caching: keys of what a result depends on, and the store of results by key."""
