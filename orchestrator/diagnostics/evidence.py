"""The input and the output of a diagnosis: Evidence and Diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal[
    "entry_script_import",
    "missing_package",
    "missing_azureml_defaults",
    "missing_model",
    "version_mismatch",
    "crash_loop",
    "image_build",
    "timeout_unhealthy",
    "out_of_memory",
    "port_in_use",
    "quota_size",
    "name_conflict",
    "invalid_name",
    "auth_permission",
    "region",
    "throttled_or_server",
    "unknown",
]
Source = Literal["state", "error", "build log", "container log"]


@dataclass(frozen=True)
class Evidence:
    """What a failed deployment left behind, as text; empty where there is nothing.

    ``error`` is the answer of the platform or its SDK, ``http_status`` the status of a call that was refused, and
    ``settings`` the target's own YAML keys, on which the remedies build.
    """

    target: str
    service_state: str = ""
    error: str = ""
    build_log: str = ""
    container_log: str = ""
    http_status: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def texts(self) -> Mapping[Source, str]:
        """Return every text by its source, in the order in which a deployment writes them."""
        status = f"HTTP status: {self.http_status}\n" if self.http_status is not None else ""
        return {
            "state": f"{status}service state: {self.service_state}\n",
            "error": self.error,
            "build log": self.build_log,
            "container log": self.container_log,
        }


@dataclass(frozen=True)
class Diagnosis:
    """The cause, the line that proves it (with its source), and the override or edit that repairs it.

    For kind "unknown", ``proof`` holds the first error lines instead, one per line.
    """

    cause: str
    proof: str
    remedy: str
    kind: Kind
