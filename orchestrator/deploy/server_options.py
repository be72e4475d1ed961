"""The options of ``python -m score.server`` as YAML keys, and the version that a server names."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Annotated

from pydantic import Field

from orchestrator.artifacts import ModelVersion
from orchestrator.deploy.cors import Origins


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Each of these is an option of the server, with the same default; its ``--help`` explains them."""

    workers: Annotated[int, Field(ge=1, le=64)] = 1
    max_bytes: Annotated[int, Field(ge=1)] = 64 * 2**20
    max_queued_requests: Annotated[int, Field(ge=1)] = 128
    body_timeout_seconds: Annotated[float, Field(gt=0)] = 20
    scoring_timeout_seconds: Annotated[float, Field(gt=0)] = 60
    allow_origins: Origins = ()

    @property
    def limits(self) -> str:
        """The command line of those that are not the default, as a server of an older package may not know them."""
        chosen = {field.name: getattr(self, field.name) for field in fields(ServerOptions)}
        chosen["allow_origins"] = ",".join(self.allow_origins)
        return " ".join(
            f"--{field.name.replace('_', '-')} {chosen[field.name]}"
            for field in fields(ServerOptions)
            if chosen[field.name] != (field.default or "")
        )


def origin(version: ModelVersion) -> str:
    """Return what ``/meta`` and the page show and a package does not hold: its version, run and provenance, as JSON."""
    known = {"version": version.version, "run_id": version.run_id, **asdict(version.origin)}
    return json.dumps({name: value for name, value in known.items() if value})


def names_another_version(served: str, wanted: str) -> bool:
    """Return whether a service names another version or run than is wanted; both are as :func:`origin` wrote them.

    Where no version is wanted, as without tracking, the service keeps the one that it names.
    """
    now, then = (json.loads(text or "{}") for text in (wanted, served))
    return "version" in now and any(now.get(name) != then.get(name) for name in ("version", "run_id"))
