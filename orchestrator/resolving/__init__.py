"""Resolve an image's libraries for the machine that it will run on, before anything is sent."""
