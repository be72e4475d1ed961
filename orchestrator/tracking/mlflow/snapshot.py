"""Memo: what a store holds, remembered beside it, so that an unchanged run need not import mlflow.

A memo is a snapshot of one registered model, or of the runs that hold Reports, and it is the truth for as long as the
store's file is the very one the snapshot was read from. The stamp is taken before the snapshot is read: whatever is
written meanwhile, by us or by others, makes the memo stale, never wrong.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.tracking.mlflow.uri import sqlite_path


def stamp_of(uri: str) -> list[int] | None:
    """What changes whenever the store does: None where that cannot be known cheaply (a server, a write under way)."""
    path = sqlite_path(uri)
    if path is None:
        return None
    try:
        if path.with_name(f"{path.name}-journal").exists():  # somebody is writing, or died doing so
            return None
        stat = path.stat()
        with path.open("rb") as file:
            header = file.read(100)
    except OSError:
        return None
    # sqlite counts its transactions in bytes 24 to 27: two writes within one tick of the clock differ there.
    # MLflow keeps sqlite's default journal; with a write-ahead log (set by somebody) only the log's file changes.
    wal = path.with_name(f"{path.name}-wal")
    log = wal.stat() if wal.exists() else None
    counter = int.from_bytes(header[24:28], "big")
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns, counter, *((log.st_size, log.st_mtime_ns) if log else ())]


@dataclass(frozen=True)
class StoreSnapshot:
    """The file that remembers one registered model, or the runs, of one experiment in one store."""

    path: Path
    uri: str

    @classmethod
    def at(cls, folder: Path, uri: str, experiment: str, model: str | None = None) -> StoreSnapshot:
        """The memo of this store, experiment and model; without a model that of its runs."""
        name = hashlib.sha256(f"{uri}\n{experiment}\n{model or ''}".encode()).hexdigest()[:16]
        return cls(folder / f"{name}.json", uri)

    def read(self) -> Mapping[str, Any]:
        """What was written, if it is still so; else nothing: ask the store itself.

        Of a model ``{"versions": {fingerprint: [version, run_id]}, "champion": version}``, of versions whose run is
        there, and ``{"registry": {version: fingerprint}, "alias": version}``, of all; of runs
        ``{"runs": {digest of the Report: run_id}}``.
        """
        stamp = stamp_of(self.uri)
        if stamp is None:
            return {}
        try:
            memo = json.loads(self.path.read_text())
            return memo["held"] if memo["stamp"] == stamp else {}
        except (OSError, ValueError, KeyError, TypeError):  # absent or damaged: the store knows
            return {}

    def write(self, stamp: list[int] | None, **held: Any) -> None:
        """Remember what was read from the store after ``stamp`` was taken."""
        if stamp is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self.path.with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps({"stamp": stamp, "held": held}))
        fresh.replace(self.path)
