"""The HTTP server: routes, admission control, logging, metrics, workers."""
