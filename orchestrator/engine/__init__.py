"""The engine: order stages by their annotations, run them and emit events."""
