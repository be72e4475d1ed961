"""The state record of a local service: which server serves what, and whether that process is still alive."""

from __future__ import annotations

import os
import time
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from orchestrator.artifacts import ModelVersion, Package
from orchestrator.deploy.server_options import mislabelled, origin

POLL_SECONDS = 0.02
STOP_SECONDS = 30  # longer than a server takes to drain (score.server.DRAIN_SECONDS)
CLOCK_SECONDS = 2  # Linux tells start times relative to a boot time that moves when the clock is set


class ServiceState(BaseModel):
    """One server: what it was asked to serve, and once it is started, its process.

    ``kept`` is False from the moment the record is written until its server serves: a record left so belongs
    to a deployment that was killed. ``accepted`` is False until the service passed its test. ``previous`` is the
    server that this one replaced; behind it comes, if it was not accepted, the last one that was, and nothing more.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    host: str
    port: int
    auth: bool
    path: Path
    fingerprint: str
    model_name: str
    model_version: str
    origin: str = ""
    limits: str = ""
    id: str = ""
    pid: int = 0
    created: float = 0
    since: str = ""
    log: str = ""
    kept: bool = False
    accepted: bool = False
    previous: ServiceState | None = None

    @classmethod
    def wanted(
        cls, host: str, port: int, auth: bool, version: ModelVersion, package: Package, limits: str = ""
    ) -> ServiceState:
        """A record of what shall be served, before there is a process."""
        return cls(
            host=host,
            port=port,
            auth=auth,
            path=package.path.absolute(),
            fingerprint=package.fingerprint,
            model_name=package.model_name,
            model_version=version.version,
            origin=origin(version),
            limits=limits,
        )

    @classmethod
    def read(cls, file: Path) -> ServiceState | None:
        """The record in this file; None where there is none or it is damaged."""
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, file: Path) -> None:
        """Replace the file in one step: a reader sees the old record or the new one."""
        write_private(file, self.model_dump_json(indent=2))

    @property
    def former(self) -> ServiceState | None:
        """What to go back to should this one fail its test: the last that was accepted, else what it replaced."""
        return (self.previous and self.previous.previous) or self.previous

    def as_previous(self) -> ServiceState:
        """This record as its successor's holds it."""
        worth = not self.accepted and self.former and self.former.accepted
        return self.model_copy(update={"previous": self.former if worth else None})

    @property
    def package(self) -> Package:
        """The package that is served."""
        return Package(self.path, self.fingerprint, self.model_name)

    def is_what(self, wanted: ServiceState) -> bool:
        """Whether a client could not tell the two apart, and this one names the version that is wanted."""
        serves, asked = ((r.fingerprint, r.host, r.port, r.auth, r.limits) for r in (self, wanted))
        return serves == asked and not mislabelled(self.origin, wanted.origin)

    def process(self) -> psutil.Process | None:
        """The server's process; None if it has gone, even if its number is in use again."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CLOCK_SECONDS
        except (psutil.Error, ValueError):
            return None
        return process if self.pid and same and running(process) else None


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner may read, in one step."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    temporary.replace(file)


def running(process: psutil.Process) -> bool:
    """Whether the process still holds anything.

    A zombie that its parent has not buried yet does not, unless it is only the first thread that has died: the
    others, a moment longer, still hold its sockets.
    """
    try:
        return process.is_running() and (process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1)
    except psutil.Error:
        return False


def gone(process: psutil.Process, seconds: float) -> bool:
    """Wait until the process has gone; it need not be our child, so there is nothing to wait on but the clock."""
    deadline = time.monotonic() + seconds
    while running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def stop(process: psutil.Process) -> None:
    """Let the server finish what it is answering, for a while; then end it."""
    try:
        process.terminate()
        if not gone(process, STOP_SECONDS):
            process.kill()
            gone(process, STOP_SECONDS)
    except psutil.NoSuchProcess:
        pass


def mark(folder: Path) -> str:
    """What the command line of each server of this service holds, so that it is found without its folder, too."""
    return f"service={folder}"


def find_server_processes(folder: Path) -> list[psutil.Process]:
    """All servers of this service, whatever is written in its folder and even if that is gone: what repairs a loss."""
    return [process for process in psutil.process_iter() if _serves_for(folder, process)]


def _serves_for(folder: Path, process: psutil.Process) -> bool:
    try:
        ours = process.uids().real == os.getuid()
        return ours and {mark(folder), "score.server"} <= set(process.cmdline()) and running(process)
    except psutil.Error:  # another user's, or just gone
        return False
