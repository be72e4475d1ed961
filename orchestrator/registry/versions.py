"""The record of every version that was registered from this machine: its package, its registry, and how it did.

It lies in ``<state_dir>/registered/<model name>.json``: the version that was registered last, and below ``versions``
all of them, the last one last.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from orchestrator.artifacts import ModelVersion, Package, PackageProvenance, Report

KEPT = 1000  # versions of one model
LOCK_SECONDS = 60  # a record is written in milliseconds


@dataclass(frozen=True)
class Registered:
    """A version, the registry that it is in (empty: none), and how its training did.

    ``score`` is the mean of the metric ``refit`` over the folds; None where it is not known. ``sweep`` names the sweep
    that registered it last, ``data`` is the digest of the table.
    """

    version: ModelVersion
    where: str
    refit: str = ""
    score: float | None = None
    data: str = ""
    sweep: str = ""

    @classmethod
    def of(cls, version: ModelVersion, where: str, report: Report, sweep: str) -> Registered:
        """Return the record of a version that was just registered with this Report."""
        refit = report.params.get("search.refit", "")
        score = report.metrics.get(f"mean_test_{refit}", math.nan)
        data = report.tags.get("data_fingerprint", "")
        return cls(version, where, refit, score if math.isfinite(score) else None, data, sweep)

    def is_same(self, other: Registered) -> bool:
        """Return whether both are of one version in one registry."""
        mine, its = ((one.where, one.version.version, one.version.package.fingerprint) for one in (self, other))
        return mine == its


def versions(state_dir: Path, model: str) -> Sequence[Registered]:
    """Return all versions of a model that were registered from this machine, the last one last."""
    try:
        held = json.loads(_file(state_dir, model).read_text())
        return [_read(model, one) for one in held.get("versions", [held])]  # one alone was kept once
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def add(state_dir: Path, one: Registered) -> None:
    """Make this version the last one of the record."""
    file = _file(state_dir, one.version.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock"), timeout=LOCK_SECONDS):
        others = [other for other in versions(state_dir, one.version.name) if not other.is_same(one)]
        written = [_written(each) for each in [*others, one][-KEPT:]]
        temporary = file.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps({**written[-1], "versions": written}, indent=1))
        temporary.replace(file)


def renew(state_dir: Path, version: ModelVersion) -> None:
    """Make a version that is in the record the last one again."""
    for one in versions(state_dir, version.name):
        if one.version == version:
            add(state_dir, one)


def _file(state_dir: Path, model: str) -> Path:
    return state_dir / "registered" / f"{model}.json"


def _read(model: str, held: Mapping[str, Any]) -> Registered:
    package = Package(Path(held["path"]), held["fingerprint"], model)
    origin, memory = PackageProvenance(**held.get("origin", {})), int(held.get("memory_bytes", 0))
    version = ModelVersion(model, held["version"], held["run_id"], package, memory, origin)
    known = {name: held[name] for name in ("refit", "score", "data", "sweep") if name in held}
    return Registered(version, held.get("where", ""), **known)


def _written(one: Registered) -> dict[str, Any]:
    version = one.version
    return {
        "path": str(version.package.path),
        "fingerprint": version.package.fingerprint,
        "version": version.version,
        "run_id": version.run_id,
        "memory_bytes": version.memory_bytes,
        "origin": asdict(version.origin),
        "where": one.where,
        "refit": one.refit,
        "score": one.score,
        "data": one.data,
        "sweep": one.sweep,
    }
