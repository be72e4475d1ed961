"""Snapshots of a store's content beside it, so that an unchanged run need not import mlflow.

A snapshot holds one registered model, or the runs that hold Reports. It is valid as long as the store's file is exactly
the one it was read from. The stamp is taken before the content is read: a concurrent write, by this process or another,
makes the snapshot stale, never wrong.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.files import write_atomic
from orchestrator.tracking.mlflow.uri import sqlite_path


def store_stamp(uri: str) -> list[int] | None:
    """Return what changes with the store; None if that is not known cheaply (a server, a write in progress)."""
    path = sqlite_path(uri)
    if path is None:
        return None
    try:
        if path.with_name(f"{path.name}-journal").exists():  # a write is in progress, or its process died
            return None
        stat = path.stat()
        with path.open("rb") as file:
            header = file.read(100)
    except OSError:
        return None
    # sqlite counts its transactions in bytes 24 to 27: two writes within one clock tick differ there.
    # MLflow uses sqlite's default journal; with a write-ahead log (set by a user) only the log's file changes.
    wal = path.with_name(f"{path.name}-wal")
    log = wal.stat() if wal.exists() else None
    counter = int.from_bytes(header[24:28], "big")
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns, counter, *((log.st_size, log.st_mtime_ns) if log else ())]


@dataclass(frozen=True)
class StoreSnapshot:
    """The snapshot file of one registered model, or of the runs, of one experiment in one store."""

    path: Path
    uri: str

    @classmethod
    def at(cls, folder: Path, uri: str, experiment: str, model: str | None = None) -> StoreSnapshot:
        """Return the snapshot of this store, experiment and model; without a model that of its runs."""
        name = hashlib.sha256(f"{uri}\n{experiment}\n{model or ''}".encode()).hexdigest()[:16]
        return cls(folder / f"{name}.json", uri)

    def load(self) -> Mapping[str, Any]:
        """Return what was saved, if the store is unchanged; else nothing, so that the caller queries the store.

        For a model ``{"versions": {fingerprint: [version, run_id]}, "champion": version}``, of versions whose run
        exists, and ``{"registry": RegisteredModel.as_json()}``, of all; for runs
        ``{"runs": {digest of the Report: run_id}, "files": {digest of the Report: digest of the files beside its run}}``.
        """
        stamp = store_stamp(self.uri)
        if stamp is None:
            return {}
        try:
            snapshot = json.loads(self.path.read_text())
            return snapshot["content"] if snapshot["stamp"] == stamp else {}
        except (OSError, ValueError, KeyError, TypeError):  # missing or corrupt
            return {}

    def save(self, stamp: list[int] | None, **content: Any) -> None:
        """Save what was read from the store after ``stamp`` was taken."""
        if stamp is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(self.path, json.dumps({"stamp": stamp, "content": content}))
