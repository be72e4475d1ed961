"""The folder of a service on this machine: its lock, its record, its keys, its logs and the socket of its server."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import filelock
import psutil

from orchestrator.artifacts import Keys
from orchestrator.deploy.local.process import CONTROL
from orchestrator.deploy.local.state import find_server_processes, write_private
from orchestrator.errors import DeployError

LOCK_SECONDS = 600  # parallel jobs of a sweep may queue for one service
KEPT_LOGS = 10


class ServiceDirectory:
    """Where one service keeps what lasts; only its owner may look in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / "record.json"
        self.keys = path / "keys.json"
        self.control = path / CONTROL

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One command at a time; the system frees the lock of a command that is killed."""
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        try:
            with filelock.FileLock(self.path / "lock").acquire(timeout=LOCK_SECONDS):
                yield
        except filelock.Timeout:
            raise DeployError(
                f"deploy: another command has been changing service '{self.path.name}' for {LOCK_SECONDS} s; "
                "wait for it or end it"
            ) from None

    def find_server_processes(self) -> list[psutil.Process]:
        """Servers of this service that run, whatever the record says."""
        return find_server_processes(self.path)

    def forget(self) -> None:
        """Nothing runs here any more. The logs stay: they may tell why."""
        self.record.unlink(missing_ok=True)
        self.control.unlink(missing_ok=True)

    def logs(self) -> list[Path]:
        """All logs, the newest first."""
        return sorted((self.path / "logs").glob("*.log"), reverse=True)

    def new_log(self) -> Path:
        """A file of its own for each server, so that a failed start does not mix with the living service's log."""
        (self.path / "logs").mkdir(exist_ok=True)
        for old in self.logs()[KEPT_LOGS:]:
            for part in old.parent.glob(f"{old.name}*"):  # a server that served for long has full ones beside it
                part.unlink(missing_ok=True)
        log = self.path / "logs" / f"{_stamp()}.log"
        log.touch()
        return log

    def failures(self) -> list[Path]:
        """A folder for each failed start whose raw texts are kept apart, the newest first."""
        return sorted((path for path in (self.path / "logs").glob("*") if path.is_dir()), reverse=True)

    def new_failure(self) -> Path:
        """A folder for the raw texts of a failed start."""
        for old in self.failures()[KEPT_LOGS:]:
            shutil.rmtree(old, ignore_errors=True)
        return self.path / "logs" / _stamp()

    def ensure_keys(self) -> Path:
        """The keys file: made once, and kept over redeployments, since clients hold its keys."""
        if self.keys.exists():
            self.read_keys()  # a damaged one is told here rather than by a server that cannot start
        else:
            write_private(self.keys, json.dumps({name: secrets.token_urlsafe(32) for name in ("primary", "secondary")}))
        return self.keys

    def read_keys(self) -> Keys:
        """The service's keys."""
        try:
            held = json.loads(self.keys.read_text())
            return Keys(str(held["primary"]), str(held["secondary"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise DeployError(
                f"deploy: {self.keys} cannot be read; delete it and deploy again to have new keys"
            ) from None


def _stamp() -> str:
    return f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"
