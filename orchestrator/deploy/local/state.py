"""The state of a local service: which server serves what, and which processes are its servers."""

from __future__ import annotations

import os
import time
from operator import attrgetter
from pathlib import Path

import psutil
from pydantic import ValidationError

from orchestrator.deploy.rollback import rollback_target
from orchestrator.deploy.served_package import ServedPackage
from orchestrator.deploy.server_options import names_another_version
from orchestrator.files import write_private
from orchestrator.processes import find_process, is_running

POLL_SECONDS = 0.02
STOP_SECONDS = 30  # longer than a server takes to drain (score.server.DRAIN_SECONDS)


class ServiceState(ServedPackage):
    """One server: what it is to serve and, once it is started, its process.

    ``committed`` is False until its server serves: a state left so belongs to a deployment that was killed.
    ``previous`` is the server that this one replaces, and
    ``former`` what a rollback goes back to.
    """

    id: str = ""
    pid: int = 0
    created: float = 0
    since: str = ""
    log: str = ""
    committed: bool = False
    previous: ServiceState | None = None
    former: ServiceState | None = None

    @classmethod
    def read(cls, file: Path) -> ServiceState | None:
        """Read the state from this file; None if there is none or it is damaged."""
        try:
            return cls.model_validate_json(file.read_bytes())
        except (OSError, ValidationError):
            return None

    def write(self, file: Path) -> None:
        """Replace the file atomically: a reader sees the old state or the new one."""
        write_private(file, self.model_dump_json(indent=2))

    def replacing(self, replaced: ServiceState | None, *, alive: bool) -> ServiceState:
        """Return this state with what it replaces, and with what a rollback of it goes back to."""
        former = rollback_target(replaced, replaced and replaced.former, attrgetter("accepted"), alive=alive)
        previous = replaced.model_copy(update={"previous": None}) if replaced and alive else None
        return self.model_copy(
            update={
                "previous": previous,
                "former": former and former.model_copy(update={"previous": None, "former": None}),
            }
        )

    def serves_like(self, wanted: ServiceState) -> bool:
        """Return whether clients see no difference between the two, the version's name included."""
        serves, asked = ((s.fingerprint, s.host, s.port, s.auth, s.limits) for s in (self, wanted))
        return serves == asked and not names_another_version(self.origin, wanted.origin)

    def process(self) -> psutil.Process | None:
        """Return the server's process; None if it has ended, even if its number is in use again."""
        return find_process(self.pid, self.created)

    def living(self) -> ServiceState | None:
        """Return this state or, where its server never served or has ended, the one that it was to replace."""
        return next((state for state in (self, self.previous) if state and state.process()), None)


def wait_until_exited(process: psutil.Process, seconds: float) -> bool:
    """Poll until the process has exited, as it need not be our child; return whether it has."""
    deadline = time.monotonic() + seconds
    while is_running(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def stop(process: psutil.Process) -> None:
    """Let the server drain its requests, then end it."""
    try:
        process.terminate()
        if not wait_until_exited(process, STOP_SECONDS):
            process.kill()
            wait_until_exited(process, STOP_SECONDS)
    except psutil.NoSuchProcess:
        pass


def mark(folder: Path) -> str:
    """Return the text in the command line of each server of this service, by which it is found without its folder."""
    return f"service={folder}"


def find_server_processes(folder: Path) -> list[psutil.Process]:
    """Return all servers of this service, also where its folder is damaged or deleted."""
    return [process for process in psutil.process_iter() if _serves_for(folder, process)]


def asks_for_key(process: psutil.Process) -> bool:
    """Return whether a server was started with keys."""
    try:
        return "--keys" in process.cmdline()
    except psutil.Error:  # it has just ended
        return False


def _serves_for(folder: Path, process: psutil.Process) -> bool:
    try:
        own = process.uids().real == os.getuid()
        return own and {mark(folder), "score.server"} <= set(process.cmdline()) and is_running(process)
    except psutil.Error:  # another user's, or it has just ended
        return False
