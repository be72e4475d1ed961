"""What a service says it is: ``GET /meta``."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any


def described(contract: Mapping[str, Any]) -> dict[str, Any]:
    """The package as its contract tells it, and what only the one who deployed it knows.

    A package holds what it is made of and nothing of the run: two equal trainings give the same package. So its version
    in the registry and the run it came of are told by the target, in the environment, and null where they are not.
    """
    return {
        "model": contract.get("model", {}).get("name"),
        "version": os.environ.get("SCORE_MODEL_VERSION") or None,
        "run_id": os.environ.get("SCORE_RUN_ID") or None,
        "fingerprint": contract["fingerprint"],
        "task": contract.get("task"),
        "classes": contract.get("classes"),
        "versions": contract.get("versions", {}),
    }


def page(about: Mapping[str, Any]) -> tuple[bytes, str]:
    """The same as JSON, and its media type."""
    return json.dumps(about).encode(), "application/json"
