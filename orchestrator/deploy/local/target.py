"""Serving a package on this machine, as a background process that outlives the command.

All that lasts lies in ``<state_dir>/services/<service_name>/``: the record, the keys, the logs and the socket by
which a successor takes over. Commands on one service take turns by a file lock. A command that is killed at any
moment leaves the former service or the new one, and the next command finds out which.
"""

from __future__ import annotations

import contextlib
import http.client
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import psutil
from pydantic import Field

from orchestrator.artifacts import Endpoint, Keys, ModelVersion, Package, ServiceStatus
from orchestrator.deploy import ports
from orchestrator.deploy.local.process import started
from orchestrator.deploy.local.state import ServiceState, gone, stop, write_private
from orchestrator.deploy.server_options import ServerOptions
from orchestrator.deploy.service_dir import ServiceDirectory
from orchestrator.deploy.target import RollbackResult, ServiceName
from orchestrator.errors import DeployError
from score.web import log_rotation

HEALTH_SECONDS = 10
LOG_LINES = 5000
UNBOUND = "Cannot listen on"  # what score/server.py writes when the port is taken


@dataclass(frozen=True)
class Local(ServerOptions):
    """A service on this machine. ``rollback`` undoes only what this object deployed: ``_deployed`` remembers that."""

    service_name: ServiceName
    state_dir: Path
    port: Annotated[int, Field(ge=1, le=65535)] = 6789
    host: str = "127.0.0.1"
    auth_enabled: bool = False
    timeout_seconds: Annotated[float, Field(gt=0)] = 60
    # The id of the last deployment, at most one. Not in the record on disk: another process may have deployed since.
    _deployed: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "state_dir", Path(self.state_dir).expanduser().resolve())

    def deploy(self, package: Package, version: ModelVersion) -> Endpoint:
        """Serve this package; the same one alive and healthy on the same address is left alone.

        One that names another version is replaced, which refuses no request: ``/meta`` must name the one there is.
        """
        self._deployed.clear()
        wanted = ServiceState.wanted(self.host, self.port, self.auth_enabled, version, package, self.limits)
        with self._folder.locked():
            current = self._current()
            if current is None or not current.is_what(wanted) or not _healthy(current):
                current = self._replace(current, wanted)
            if not current.accepted:  # new, or left untested by a command that was killed
                self._deployed.append(current.id)
        return self._endpoint(current)

    def preflight(self) -> None:
        """Raise a DeployError if others hold the port; a server of this service hands its own over."""
        current = _living(ServiceState.read(self._folder.record))
        moves = current is not None and (current.host, current.port) != (self.host, self.port)
        if ports.taken(self.host, self.port) and (moves or not (current or self._folder.find_server_processes())):
            ports.check(self.host, self.port)

    def rollback(self) -> RollbackResult:
        """What was serving before this object's last deployment serves again; nothing if nothing was."""
        if not self._deployed:
            return RollbackResult.NOTHING
        with self._folder.locked():
            record = self._mine()
            if record is None:
                return RollbackResult.NOTHING
            if record.former is None:
                self._stop_all()
                self._folder.forget()  # not the keys: they may be older than this deployment, and clients hold them
                return RollbackResult.REMOVED
            back = self._replace(self._current(), record.former)
            back.model_copy(update={"previous": None}).write(self._folder.record)  # never back to what failed
            return RollbackResult.FORMER

    def accept(self) -> None:
        """The record remembers the test, so that no later command takes the service for an untested one."""
        if self._deployed:
            with self._folder.locked():
                record = self._mine()
                if record is not None:
                    record.model_copy(update={"kept": True, "accepted": True}).write(self._folder.record)

    def endpoint(self) -> Endpoint:
        """The live service's endpoint."""
        return self._endpoint(self._alive())

    def remove(self) -> None:
        """Stop the service and forget its record and keys. Its logs stay: they may tell why it was removed."""
        if self._folder.path.exists() or self._folder.find_server_processes():
            with self._folder.locked():
                self._stop_all()
                self._folder.forget()
                self._folder.keys.unlink(missing_ok=True)

    def status(self) -> ServiceStatus:
        """Healthy if the process lives and answers; absent if nothing is deployed; unhealthy between the two."""
        written = ServiceState.read(self._folder.record)
        record = _living(written) or written
        if record is None:
            return self._unrecorded()
        process = record.process()
        healthy = process is not None and _healthy(record)
        details = {
            "pid": str(record.pid) if process else f"{record.pid} (gone; deploy again)",
            "since": record.since,
            "model": f"{record.model_name} {record.model_version}".strip(),
            "fingerprint": record.fingerprint,
            "port": str(record.port),
            "log": record.log,
        }
        url = ports.url(record.host, record.port)
        state, names = "healthy" if healthy else "unhealthy", (record.model_name, record.model_version)
        return ServiceStatus(self.service_name, state, url, details, *names, record.fingerprint)

    def logs(self) -> str:
        """The newest lines of the service's log; of the last one's, if none is there now."""
        record = ServiceState.read(self._folder.record)
        newest = Path(record.log) if record else next(iter(self._folder.logs()), None)
        if newest is None or not newest.exists():
            raise DeployError(f"deploy: service '{self.service_name}' has no log yet; deploy it first")
        parts = [part for part in (log_rotation.former(newest, 1), newest) if part.exists()]
        lines = [line for part in parts for line in part.read_text(errors="replace").splitlines(keepends=True)]
        return "".join(lines[-LOG_LINES:])

    def keys(self) -> Keys:
        """The service's two keys."""
        if not self._alive().auth:
            raise DeployError(
                f"deploy.auth_enabled: service '{self.service_name}' needs no key; deploy with deploy.auth_enabled=true"
            )
        return self._folder.read_keys()

    @property
    def _folder(self) -> ServiceDirectory:
        return ServiceDirectory(self.state_dir / "services" / self.service_name)

    def _mine(self) -> ServiceState | None:
        """The record of this object's deployment; None if another command has deployed since, or tested this one."""
        record, mine = ServiceState.read(self._folder.record), self._deployed.pop()
        return record if record is not None and record.id == mine and not record.accepted else None

    def _unrecorded(self) -> ServiceStatus:
        """The status without a record, which may be because it was deleted under the living service."""
        pids = ", ".join(str(process.pid) for process in self._folder.find_server_processes())
        if not pids:
            return ServiceStatus(self.service_name, "absent")
        told = f"{pids} (its record is lost, or it is just starting; deploy again or remove it)"
        return ServiceStatus(self.service_name, "unhealthy", details={"pid": told})

    def _current(self) -> ServiceState | None:
        """The living service. Under the lock only, where an unkept record is a killed deployment's."""
        record = ServiceState.read(self._folder.record)
        process = record.process() if record and not record.kept else None
        if process is not None:
            gone(process, 3)  # it leaves as soon as it notices; what stays was told to, just before the kill
        return _living(record)

    def _alive(self) -> ServiceState:
        record = _living(ServiceState.read(self._folder.record))
        if record is None:
            raise DeployError(f"deploy: no service '{self.service_name}' is running; deploy it first")
        return record

    def _replace(self, current: ServiceState | None, wanted: ServiceState) -> ServiceState:
        """Start a server for ``wanted`` and let it take the current one's place."""
        serving = self._folder.find_server_processes() if current is None else [p for p in [current.process()] if p]
        if not self._folder.control.exists() or (current and not _healthy(current)):
            while serving:
                stop(serving.pop())  # deaf or without its socket, it cannot hand over its port
        same_address = current is None or (current.host, current.port) == (wanted.host, wanted.port)
        if not serving or not same_address:
            ports.check(wanted.host, wanted.port)
        record = self._start(current, wanted)
        for process in serving:
            stop(process)
        return record

    def _start(self, current: ServiceState | None, wanted: ServiceState) -> ServiceState:
        keys = self._folder.ensure_keys() if wanted.auth else None
        log = self._folder.new_log()
        before = self._folder.record.read_bytes() if self._folder.record.exists() else None
        written = ServiceState.read(self._folder.record)
        if current is not None:
            previous: ServiceState | None = current.as_previous()
        else:  # what died untested is nothing to go back to, but what it replaced is
            previous = written.former if written and not written.accepted else None
        try:
            with started(self._folder.path, wanted, keys, log, self.timeout_seconds) as server:
                record = wanted.model_copy(
                    update={
                        "id": uuid4().hex,
                        "pid": server.process.pid,
                        "created": psutil.Process(server.process.pid).create_time(),
                        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
                        "log": str(log),
                        "kept": False,
                        "previous": previous,
                    }
                )
                record.write(self._folder.record)
                server.keep()
                server.hear("serving")
        except BaseException as error:
            attempt = ServiceState.read(self._folder.record)
            if attempt is not None and attempt.process() is None:  # after Ctrl-C a kept server may live: it stays
                _put_back(self._folder.record, before)
            if isinstance(error, DeployError) and UNBOUND in log.read_text(errors="replace"):
                ports.check(wanted.host, wanted.port)  # somebody was faster; says who
            raise
        record = record.model_copy(update={"kept": True})
        record.write(self._folder.record)
        return record

    def _stop_all(self) -> None:
        record = ServiceState.read(self._folder.record)
        named = [r.process() for r in (record, record and record.previous) if r]
        for process in [*named, *self._folder.find_server_processes()]:
            if process is not None:
                stop(process)

    def _endpoint(self, record: ServiceState) -> Endpoint:
        headers = {"Authorization": f"Bearer {self._folder.read_keys().primary}"} if record.auth else {}
        return Endpoint(ports.url(record.host, record.port), "local", record.auth, record.package, headers)


def _living(record: ServiceState | None) -> ServiceState | None:
    """The record or, where its server has never been kept or has died since, the one it was to replace."""
    return next((r for r in (record, record and record.previous) if r and r.process()), None)


def _put_back(file: Path, before: bytes | None) -> None:
    if before is None:
        file.unlink(missing_ok=True)
    else:
        write_private(file, before.decode(errors="replace"))


def _healthy(record: ServiceState) -> bool:
    connection = http.client.HTTPConnection(ports.reachable(record.host), record.port, timeout=HEALTH_SECONDS)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/", headers={"Connection": "close"})
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
