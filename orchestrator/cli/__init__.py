"""The command: console output, ``result.json`` and the callbacks of sweeps."""
