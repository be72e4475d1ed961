"""Tracking: the Tracker boundary, where runs and models are recorded. Only this package imports mlflow."""
