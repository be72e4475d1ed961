"""The folder of a service on this machine: its lock, state, keys, logs and control socket."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import filelock

from orchestrator.errors import DeployError
from orchestrator.files import write_private
from orchestrator.processes import exclusive
from orchestrator.services import Keys

LOCK_SECONDS = 600  # parallel jobs of a sweep may queue for one service
KEPT_LOGS = 10
CONTROL = "control.sock"  # relative to the folder: a unix socket's path may have about 100 characters


class ServiceDirectory:
    """The files of one service; only their owner may read them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record = path / "record.json"
        self.keys = path / "keys.json"
        self.control = path / CONTROL

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let one command at a time in; the operating system frees the lock of a command that is killed.

        Raises:
            DeployError: another command does not end.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o700)
        lock = filelock.FileLock(self.path / "lock", timeout=LOCK_SECONDS)
        with exclusive(lock, DeployError, f"deploy: another command changes service '{self.path.name}'"):
            yield

    def forget(self) -> None:
        """Delete the state of a service that is stopped. Its logs stay: they may say why it was stopped."""
        self.record.unlink(missing_ok=True)
        self.control.unlink(missing_ok=True)

    def logs(self) -> list[Path]:
        """Return all logs, the newest first."""
        return sorted((self.path / "logs").glob("*.log"), reverse=True)

    def new_log(self) -> Path:
        """Create a log for one server, so that a failed start does not mix with the living service's log."""
        (self.path / "logs").mkdir(exist_ok=True)
        for old in self.logs()[KEPT_LOGS:]:
            for part in old.parent.glob(f"{old.name}*"):  # the rotated parts of it, too
                part.unlink(missing_ok=True)
        log = self.path / "logs" / f"{_stamp()}.log"
        log.touch()
        return log

    def failures(self) -> list[Path]:
        """Return the folders with the raw texts of failed starts, the newest first."""
        return sorted((path for path in (self.path / "logs").glob("*") if path.is_dir()), reverse=True)

    def logs_and_failures(self) -> list[Path]:
        """Return all logs, and those of failed starts that are not empty."""
        failed = (log for folder in self.failures() for log in folder.glob("*.log") if log.stat().st_size)
        return [*self.logs(), *failed]

    def new_failure(self) -> Path:
        """Return the path of a folder for the raw texts of a failed start; delete the oldest ones."""
        for old in self.failures()[KEPT_LOGS:]:
            shutil.rmtree(old, ignore_errors=True)
        return self.path / "logs" / _stamp()

    def ensure_keys(self) -> Path:
        """Return the file of the keys: created once, and kept over redeployments, since clients hold its keys."""
        if self.keys.exists():
            self.read_keys()  # a damaged one is reported here rather than by a server that cannot start
        else:
            write_private(self.keys, json.dumps({name: secrets.token_urlsafe(32) for name in ("primary", "secondary")}))
        return self.keys

    def read_keys(self) -> Keys:
        """Return the service's keys."""
        try:
            values = json.loads(self.keys.read_text())
            return Keys(str(values["primary"]), str(values["secondary"]))
        except (OSError, ValueError, KeyError, TypeError):
            raise DeployError(
                f"deploy: {self.keys} cannot be read; delete it and deploy again to have new keys"
            ) from None


def _stamp() -> str:
    return f"{datetime.now().astimezone():%Y%m%d-%H%M%S-%f}"
