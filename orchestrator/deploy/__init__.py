"""Deployment: the Target boundary, and one package for each place a package is served."""
