"""What a service says it is: ``GET /meta``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

ORIGIN = "SCORE_ORIGIN"
KNOWN = ("version", "run_id", "spec_hash", "rebuild", "data", "trained")


def deployed() -> dict[str, str | None]:
    """What only the one who deployed the package knows; null where that is not told.

    Its version in the registry, the run and the digest of the spec that it came of, the command that makes it again,
    the name of the data, and when the training was finished. A package holds what it is made of and nothing of the
    run: two equal trainings give the same package. So a target tells these in the environment, as JSON.
    """
    told = json.loads(os.environ.get(ORIGIN) or "{}")
    return {name: told.get(name) for name in KNOWN}


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
