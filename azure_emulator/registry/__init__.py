"""Models, environments and code, in the APIs of both SDKs and of MLflow."""
