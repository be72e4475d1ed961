"""Switch off the telemetry of the libraries that serve a package, before they are loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping

# ONNX Runtime's wheels send the model's name, hashes and sizes, and wait for the upload when the process ends
TELEMETRY_OFF: Mapping[str, str] = {"ORT_DISABLE_TELEMETRY": "1"}


def disable_telemetry(variables: Mapping[str, str] = TELEMETRY_OFF) -> None:
    """Set these variables for this process and its children, unless the user has set them."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
