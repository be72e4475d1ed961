"""What can be made to go wrong, by name: which calls it strikes, how often, and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from azure_emulator.common.store import Store


@dataclass(frozen=True)
class Fault:
    """One fault: ``where`` matches the "METHOD /path" of calls it strikes; empty where a deployment asks for it."""

    where: str
    tells: str


_MANAGING = r"\w+ /(modelmanagement/|subscriptions/.*/onlineEndpoints)"  # services of either SDK
FAULTS = {
    "crash_loop": Fault("", "the container ends at every start: AciDeploymentFailed, CrashLoopBackOff"),
    "image_build_failure": Fault("", "pip does not find a package: EnvironmentBuildFailed"),
    "time_out": Fault("", "the container never gets healthy: DeploymentTimedOut, Unhealthy"),
    "quota": Fault("", "the region has no cores left: AciDeploymentFailed, ContainerGroupQuotaReached"),
    "size": Fault(r"POST /modelmanagement/v1.0/services$", "400: more CPU or memory than ACI has"),
    "conflict_409": Fault(r"POST /modelmanagement/v1.0/services$", "409 ServiceExists"),
    "expired_token": Fault(r"GET /modelmanagement/v1.0/operations/", "401: the token expired while waiting"),
    "throttled_429": Fault(_MANAGING, "429 with Retry-After"),
    "server_5xx": Fault(_MANAGING, "503 with Retry-After"),
    "cut_upload": Fault(
        r"PUT /(azureml|azureml-blobstore|code-[^/]+)/", "the connection breaks in the middle of a blob"
    ),
}
_WRITTEN = re.compile(r"(?P<name>\w+)(?::(?P<times>\d+|always))?(?:@(?P<spare>\d+))?")


class Faults:
    """The faults that wait to strike; kept in the store, so a restart does not forget them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def ask(self, written: Iterable[str]) -> None:
        """Let these happen from now on, and none of those asked for before; see ``parse`` for how they are written."""
        self._keep([parse(one) for one in written])

    def waiting(self) -> list[dict[str, Any]]:
        """What may still strike."""
        document = self._store.get("faults", "waiting")
        return list(document["faults"]) if document else []

    def strike(self, name: str) -> bool:
        """Whether a deployment meets ``name`` now."""
        return self._first(lambda fault: fault["name"] == name) is not None

    def strike_call(self, method: str, path: str) -> str | None:
        """The name of the fault that this call meets, or None."""
        call = f"{method} {path}"
        return self._first(lambda fault: bool(_where(fault) and re.match(_where(fault), call)))

    def _first(self, meets: Any) -> str | None:
        waiting = self.waiting()
        for fault in filter(meets, waiting):
            if fault["spare"]:
                fault["spare"] -= 1
                self._keep(waiting)
                continue
            if fault["times"] is not None:
                fault["times"] -= 1
                self._keep([one for one in waiting if one["times"] != 0])
            return str(fault["name"])
        return None

    def _keep(self, faults: list[dict[str, Any]]) -> None:
        self._store.put("faults", "waiting", {"faults": faults})


def parse(written: str) -> dict[str, Any]:
    """``name`` strikes once, ``name:3`` three times, ``name:always`` until told otherwise; ``@2`` spares two calls."""
    match = _WRITTEN.fullmatch(written)
    if not match or match["name"] not in FAULTS:
        raise ValueError(f"{written!r} is no fault of the emulator; there are {', '.join(FAULTS)}")
    times = None if match["times"] == "always" else int(match["times"] or 1)
    return {"name": match["name"], "times": times, "spare": int(match["spare"] or 0)}


def _where(fault: dict[str, Any]) -> str:
    return FAULTS[fault["name"]].where
