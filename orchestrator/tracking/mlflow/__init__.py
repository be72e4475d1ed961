"""The tracker that writes to an MLflow store: a sqlite file or a server."""
