"""Fault injection: named faults, the calls that trigger them, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from azure_emulator.common.store import Store


@dataclass(frozen=True)
class Fault:
    """One fault: ``pattern`` matches the "METHOD /path" of the calls that fail; empty for faults of a deployment."""

    pattern: str
    effect: str


_SERVICE_CALLS = r"\w+ /(modelmanagement/|subscriptions/.*/onlineEndpoints)"  # services of either SDK
FAULTS = {
    "crash_loop": Fault("", "the container ends at every start: AciDeploymentFailed, CrashLoopBackOff"),
    "image_build_failure": Fault("", "pip does not find a package: EnvironmentBuildFailed"),
    "time_out": Fault("", "the container never gets healthy: DeploymentTimedOut, Unhealthy"),
    "quota": Fault("", "the region has no cores left: AciDeploymentFailed, ContainerGroupQuotaReached"),
    "size": Fault(r"POST /modelmanagement/v1.0/services$", "400: more CPU or memory than ACI has"),
    "conflict_409": Fault(r"POST /modelmanagement/v1.0/services$", "409 ServiceExists"),
    "expired_token": Fault(r"GET /modelmanagement/v1.0/operations/", "401: the token expired while waiting"),
    "throttled_429": Fault(_SERVICE_CALLS, "429 with Retry-After"),
    "server_5xx": Fault(_SERVICE_CALLS, "503 with Retry-After"),
    "cut_upload": Fault(
        r"PUT /(azureml|azureml-blobstore|code-[^/]+)/", "the connection breaks in the middle of a blob"
    ),
}
_SYNTAX = re.compile(r"(?P<name>\w+)(?::(?P<times>\d+|always))?(?:@(?P<skip>\d+))?")


class Faults:
    """The pending faults, kept in the store so that they survive a restart."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def replace(self, faults: Iterable[str]) -> None:
        """Replace the pending faults; see ``parse`` for the syntax."""
        self._save([parse(fault) for fault in faults])

    def pending(self) -> list[dict[str, Any]]:
        """Return the faults that have not been used up."""
        document = self._store.get("faults", "waiting")
        return list(document["faults"]) if document else []

    def trigger(self, name: str) -> bool:
        """Return whether a deployment hits the fault ``name`` now, and use it up once."""
        return self._consume(lambda fault: fault["name"] == name) is not None

    def trigger_call(self, method: str, path: str) -> str | None:
        """Return the name of the fault that this call hits, or None, and use it up once."""
        call = f"{method} {path}"
        return self._consume(lambda fault: bool(_pattern(fault) and re.match(_pattern(fault), call)))

    def _consume(self, matches: Any) -> str | None:
        pending = self.pending()
        for fault in filter(matches, pending):
            if fault["skip"]:
                fault["skip"] -= 1
                self._save(pending)
                continue
            if fault["times"] is not None:
                fault["times"] -= 1
                self._save([other for other in pending if other["times"] != 0])
            return str(fault["name"])
        return None

    def _save(self, faults: list[dict[str, Any]]) -> None:
        self._store.put("faults", "waiting", {"faults": faults})


def parse(text: str) -> dict[str, Any]:
    """Parse ``name`` (once), ``name:3``, ``name:always``, each with ``@2`` to skip the first two calls."""
    match = _SYNTAX.fullmatch(text)
    if not match or match["name"] not in FAULTS:
        raise ValueError(f"{text!r} is no fault of the emulator; there are {', '.join(FAULTS)}")
    times = None if match["times"] == "always" else int(match["times"] or 1)
    return {"name": match["name"], "times": times, "skip": int(match["skip"] or 0)}


def _pattern(fault: dict[str, Any]) -> str:
    return FAULTS[fault["name"]].pattern
