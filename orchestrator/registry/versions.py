"""The local record of registered versions: their packages, registries and scores.

``<state_dir>/registered/<model name>.json`` holds the version registered last and, below ``versions``, all of them in
order of registration.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from orchestrator.artifacts import ModelVersion, Package, PackageProvenance, Report
from orchestrator.errors import PackageError
from orchestrator.files import write_atomic
from orchestrator.processes import exclusive

MAX_VERSIONS = 1000  # of one model
LOCK_SECONDS = 60  # a record is written in milliseconds


@dataclass(frozen=True)
class RegisteredVersion:
    """A version, its registry ``where`` (empty: none), and its score.

    ``score`` is the mean of the metric ``refit`` over the folds; None if unknown. ``sweep`` names the sweep that
    registered it last, ``data`` is the digest of the table, ``at`` the time in seconds since 1970 (0: not known).
    ``elsewhere``: only the registry knows it, as another machine registered it.
    """

    version: ModelVersion
    where: str
    refit: str = ""
    score: float | None = None
    data: str = ""
    sweep: str = ""
    at: float = field(default=0.0, compare=False)
    elsewhere: bool = False

    @classmethod
    def of(cls, version: ModelVersion, where: str, report: Report, sweep: str) -> RegisteredVersion:
        """Make the record of a version that was just registered with this Report."""
        refit = report.params.get("search.refit", "")
        score = report.metrics.get(f"mean_test_{refit}", math.nan)
        data = report.tags.get("data_fingerprint", "")
        return cls(version, where, refit, score if math.isfinite(score) else None, data, sweep)

    def is_same(self, other: RegisteredVersion) -> bool:
        """Return whether both are the same version in the same registry."""
        mine, others = ((one.where, one.version.version, one.version.package.fingerprint) for one in (self, other))
        return mine == others


def read_versions(state_dir: Path, model: str) -> Sequence[RegisteredVersion]:
    """Return a model's versions registered from this machine, in order of registration."""
    try:
        record = json.loads(_file(state_dir, model).read_text())
        return [_from_json(model, one) for one in record.get("versions", [record])]  # older records hold one version
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []


def add_version(state_dir: Path, one: RegisteredVersion) -> None:
    """Append a version to the record, or move it to the end.

    Raises:
        PackageError: another command does not release the record.
    """
    file = _file(state_dir, one.version.name)
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_suffix(".lock"), timeout=LOCK_SECONDS)
    with exclusive(lock, PackageError, f"state_dir: another command writes {file}"):
        others = [other for other in read_versions(state_dir, one.version.name) if not other.is_same(one)]
        written = [_to_json(each) for each in [*others, replace(one, at=time.time())][-MAX_VERSIONS:]]
        write_atomic(file, json.dumps({**written[-1], "versions": written}, indent=1))


def move_to_end(state_dir: Path, version: ModelVersion) -> None:
    """Make a recorded version the last one again."""
    for one in read_versions(state_dir, version.name):
        if one.version == version:
            add_version(state_dir, one)


def _file(state_dir: Path, model: str) -> Path:
    return state_dir / "registered" / f"{model}.json"


def _from_json(model: str, entry: Mapping[str, Any]) -> RegisteredVersion:
    package = Package(Path(entry["path"]), entry["fingerprint"], model)
    origin, memory = PackageProvenance(**entry.get("origin", {})), int(entry.get("memory_bytes", 0))
    version = ModelVersion(model, entry["version"], entry["run_id"], package, memory, origin)
    known = {name: entry[name] for name in ("refit", "score", "data", "sweep", "at") if name in entry}
    return RegisteredVersion(version, entry.get("where", ""), **known)


def _to_json(one: RegisteredVersion) -> dict[str, Any]:
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
        "at": one.at,
    }
