"""The command: what people and scripts read, from the plan to ``result.json``."""
