"""What a service says it is: ``GET /meta``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any


def deployed() -> dict[str, str | None]:
    """What only the one who deployed the package knows: its version in the registry, and the run that it came of.

    A package holds what it is made of and nothing of the run: two equal trainings give the same package. So a target
    tells these in the environment; they are null where it does not.
    """
    return {
        "version": os.environ.get("SCORE_MODEL_VERSION") or None,
        "run_id": os.environ.get("SCORE_RUN_ID") or None,
    }


def described(contract: Mapping[str, Any], *, compiled: bool) -> dict[str, Any]:
    """The package as its contract tells it, whether its twin answers or its pickle, and how it was deployed."""
    return {
        "model": contract.get("model", {}).get("name"),
        **deployed(),
        "fingerprint": contract["fingerprint"],
        "answers": "model.onnx" if compiled else "model.pkl",
        "task": contract.get("task"),
        "classes": contract.get("classes"),
        "versions": contract.get("versions", {}),
    }


def page(about: Mapping[str, Any]) -> tuple[bytes, str]:
    """The same as JSON, and its media type."""
    return json.dumps(about).encode(), "application/json"
