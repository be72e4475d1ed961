"""What the libraries that serve a package may send: nothing. Their telemetry is switched off before they are loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping

# ONNX Runtime sends the model's name, hashes and sizes from its wheels, and waits for that when its process ends.
TELEMETRY_OFF: Mapping[str, str] = {"ORT_DISABLE_TELEMETRY": "1"}


def disable_telemetry(variables: Mapping[str, str] = TELEMETRY_OFF) -> None:
    """Set these variables for this process and those it starts, except for those that the user has set."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
