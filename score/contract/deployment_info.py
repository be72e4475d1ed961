"""The document of ``GET /meta``: what is served, and how it was deployed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

ORIGIN = "SCORE_ORIGIN"
KNOWN = ("version", "run_id", "spec_hash", "rebuild", "data", "trained", "gate")


def deployed() -> dict[str, str | None]:
    """Return the deployment facts that the target passed in the environment, as JSON; null where it passed none.

    The version in the registry, the run and its spec's digest, the command that rebuilds the package, the name of the
    data, when the training finished, and why the gate let it pass. A package itself holds nothing of its run: equal trainings give equal packages.
    """
    origin = json.loads(os.environ.get(ORIGIN) or "{}")
    return {name: origin.get(name) for name in KNOWN}


def described(contract: Mapping[str, Any], training: Mapping[str, Any] | None, *, compiled: bool) -> dict[str, Any]:
    """Return the contract's summary, the model file that answers, how the package was deployed, and its ``training``."""
    return {
        "model": contract.get("model", {}).get("name"),
        **deployed(),
        "fingerprint": contract["fingerprint"],
        "answers": "model.onnx" if compiled else "model.pkl",
        "task": contract.get("task"),
        "classes": contract.get("classes"),
        "versions": contract.get("versions", {}),
        "training": training,
    }


def page(about: Mapping[str, Any]) -> tuple[bytes, str]:
    """Encode the document as JSON; return it with its media type."""
    return json.dumps(about).encode(), "application/json"
