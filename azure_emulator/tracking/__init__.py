"""Run history, metrics and MLflow tracking."""
