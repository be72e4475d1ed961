"""From a CSV to a tested, running endpoint: ``execute(compose("model=logistic_regression", "deploy=none"))``.

The names are loaded when they are first used, so that importing the package stays cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.artifacts import (
        BatchResult,
        Candidate,
        Dataset,
        Endpoint,
        Evaluation,
        ModelVersion,
        Package,
        Probe,
        Report,
        Search,
        Split,
        TrackedRun,
        Trained,
        Verification,
    )
    from orchestrator.cli.notebook import execute
    from orchestrator.config.compose import compose
    from orchestrator.errors import OrchestratorError, SpecError
    from orchestrator.services import Keys, ServiceStatus

__all__ = [
    "BatchResult",
    "Candidate",
    "Dataset",
    "Endpoint",
    "Evaluation",
    "Keys",
    "ModelVersion",
    "OrchestratorError",
    "Package",
    "Probe",
    "Report",
    "Search",
    "ServiceStatus",
    "SpecError",
    "Split",
    "TrackedRun",
    "Trained",
    "Verification",
    "compose",
    "execute",
]
_MODULES = {
    "Keys": "orchestrator.services",
    "OrchestratorError": "orchestrator.errors",
    "ServiceStatus": "orchestrator.services",
    "SpecError": "orchestrator.errors",
    "compose": "orchestrator.config.compose",
    "execute": "orchestrator.cli.notebook",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES.get(name, "orchestrator.artifacts")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
