"""The engine: order stages by what they take and give, then run them and emit events."""
