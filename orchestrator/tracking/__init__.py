"""Tracking of runs and models: the Tracker boundary and its implementations. Only this package imports mlflow."""
