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
# for docs/reference/errors.md; the rules of each kind say how to fix it
MEANINGS: Mapping[Kind, str] = {
    "entry_script_import": "The code that the server starts cannot be imported, or lacks `init()` or `run()`.",
    "missing_package": "Code or a pickle needs a library that is not installed where the package is served.",
    "missing_azureml_defaults": "The image has no inference server of Azure ML.",
    "missing_model": "The model's files are not where the server looks for them.",
    "version_mismatch": "The model was made with other versions of its libraries than are installed where it is served.",
    "crash_loop": "The service ended while it started, for a reason that its log shows.",
    "image_build": "The image could not be built: pip, conda, the registry, the network or the disk.",
    "timeout_unhealthy": "The service runs and did not become ready in time.",
    "out_of_memory": "The service needs more memory than it has.",
    "port_in_use": "Another process listens on the port.",
    "quota_size": "The platform has no quota or no room for a service of this size.",
    "name_conflict": "Another service, container or address has the name.",
    "invalid_name": "The platform does not allow the name.",
    "auth_permission": "The platform refuses the sign-in, or the identity lacks a role.",
    "region": "The region does not offer the service, or has no capacity.",
    "throttled_or_server": "The platform is busy, failed itself, or could not be reached.",
    "unknown": "No rule matches the logs, or rules of several kinds match equally well: the first error lines are shown.",
}
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
