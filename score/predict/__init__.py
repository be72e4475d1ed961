"""Prediction: a request in, a response out; micro-batching of requests."""
