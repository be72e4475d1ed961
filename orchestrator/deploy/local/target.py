"""Serve a package on this machine, as a background process that outlives the command.

All that lasts lies in ``<state_dir>/services/<service_name>/``: the state, the keys, the logs and the socket by
which a successor takes over. Commands on one service take turns by a file lock. A command that is killed at any
moment leaves the former service or the new one, and the next command finds out which.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

import psutil

from orchestrator.artifacts import ModelVersion
from orchestrator.deploy import ports
from orchestrator.deploy.local.process import started
from orchestrator.deploy.local.state import ServiceState, asks_for_key, find_server_processes, stop, wait_until_exited
from orchestrator.deploy.machine_target import MachineTarget
from orchestrator.deploy.probe import is_healthy
from orchestrator.deploy.target import Deployment, RollbackResult, not_running
from orchestrator.errors import DeployError
from orchestrator.files import write_private
from orchestrator.services import ServiceStatus
from score.web import log_rotation

LOG_LINES = 5000
UNBOUND = "Cannot listen on"  # what score/web/handover.py logs when the port is taken


@dataclass(frozen=True)
class Local(MachineTarget):
    """A service on this machine."""

    kind = "local"

    def deploy(self, version: ModelVersion) -> Deployment:
        """Serve the version's package; the same one alive and healthy on the same address is left alone.

        One that names another version is replaced, which refuses no request: ``/meta`` must name the current one.
        """
        wanted = ServiceState(**self._wanted_fields(version))
        with self._folder.locked():
            current = self._current()
            if current is None or not current.serves_like(wanted) or not is_healthy(current.host, current.port):
                current = self._replace(current, wanted)
        deployment = current.id
        return Deployment(
            self._endpoint(current), partial(self._accept, deployment), partial(self._rollback, deployment)
        )

    def preflight(self) -> None:
        """Raise a DeployError if another process has the port; a server of this service hands its own over."""
        current = self._living()
        moves = current is not None and (current.host, current.port) != (self.host, self.port)
        if ports.taken(self.host, self.port) and (moves or not (current or self._processes())):
            ports.check(self.host, self.port)

    def _rollback(self, deployment: str) -> RollbackResult:
        with self._folder.locked():
            state = self._untested(deployment)
            if state is None:
                return RollbackResult.NOTHING
            if state.former is None:
                self._stop_all()
                self._folder.forget()  # not the keys: they may be older than this deployment, and clients hold them
                return RollbackResult.REMOVED
            former_alive = state.former.process() is not None
            try:
                restored = self._replace(self._current(), state.former)
            except DeployError:  # its package may be gone; what failed its test must not go on serving
                if former_alive:
                    raise
                self._stop_all()
                self._folder.forget()
                return RollbackResult.REMOVED
            restored.model_copy(update={"previous": None, "former": None}).write(self._folder.record)
            return RollbackResult.FORMER

    def _accept(self, deployment: str) -> None:
        with self._folder.locked():
            state = self._untested(deployment)
            if state is not None:
                state.model_copy(update={"committed": True, "accepted": True}).write(self._folder.record)

    def remove(self) -> None:
        """Stop the service and delete its state and keys. Its logs stay: they may say why it was removed."""
        if self._folder.path.exists() or self._processes():
            with self._folder.locked():
                self._stop_all()
                self._folder.forget()
                self._folder.keys.unlink(missing_ok=True)

    def status(self) -> ServiceStatus:
        """Return healthy if the process answers, absent if nothing is deployed, and else unhealthy."""
        state = self._living() or self._recorded()
        if state is None:
            return self._unrecorded()
        process = state.process()
        healthy = process is not None and is_healthy(state.host, state.port)
        details = {
            "pid": str(state.pid) if process else f"{state.pid} (gone; deploy again)",
            "since": state.since,
            "model": f"{state.model_name} {state.model_version}".strip(),
            "fingerprint": state.fingerprint,
            "port": str(state.port),
            "log": state.log,
        }
        url = ports.url(state.host, state.port)
        health, names = "healthy" if healthy else "unhealthy", (state.model_name, state.model_version)
        return ServiceStatus(self.service_name, health, url, details, *names, state.fingerprint, state.auth)

    def logs(self) -> str:
        """Return the newest lines of the service's log; without a service, of the last one's."""
        state = self._recorded()
        newest = self._newest_log(Path(state.log) if state else None)
        parts = [part for part in (log_rotation.former(newest, 1), newest) if part.exists()]
        lines = [line for part in parts for line in part.read_text(errors="replace").splitlines(keepends=True)]
        return "".join(lines[-LOG_LINES:])

    def _recorded(self) -> ServiceState | None:
        return ServiceState.read(self._folder.record)

    def _living(self) -> ServiceState | None:
        recorded = self._recorded()
        return recorded and recorded.living()

    def _processes(self) -> list[psutil.Process]:
        return find_server_processes(self._folder.path)

    def _untested(self, deployment: str) -> ServiceState | None:
        """Return the state of this deployment; None if another one was made since, or if this one was accepted."""
        state = self._recorded()
        return state if state is not None and state.id == deployment and not state.accepted else None

    def _unrecorded(self) -> ServiceStatus:
        """Return the status without a state file: there is no service, or the file of a living one was deleted."""
        processes = self._processes()
        if not processes:
            return ServiceStatus(self.service_name, "absent")
        pids = ", ".join(str(process.pid) for process in processes)
        text = f"{pids} (its record is lost, or it is just starting; deploy again or remove it)"
        auth = any(asks_for_key(process) for process in processes)
        return ServiceStatus(self.service_name, "unhealthy", details={"pid": text}, auth=auth)

    def _current(self) -> ServiceState | None:
        """Return the living service. Under the lock only, where an uncommitted state is a killed deployment's."""
        state = self._recorded()
        process = state.process() if state and not state.committed else None
        if process is not None:
            wait_until_exited(process, 3)  # it exits as soon as its starter is gone, unless it was just committed
        return state and state.living()

    def _alive(self) -> ServiceState:
        state = self._living()
        if state is None:
            raise not_running(self.service_name)
        return state

    def _replace(self, current: ServiceState | None, wanted: ServiceState) -> ServiceState:
        """Start a server for ``wanted``, let it take over from the current one, and stop that."""
        serving = self._processes() if current is None else [p for p in [current.process()] if p]
        if not self._folder.control.exists() or (current and not is_healthy(current.host, current.port)):
            while serving:
                stop(serving.pop())  # it hangs or has lost its socket, so it cannot hand over its port
        same_address = current is None or (current.host, current.port) == (wanted.host, wanted.port)
        if not serving or not same_address:
            ports.check(wanted.host, wanted.port)
        state = self._start(current, wanted)
        for process in serving:
            stop(process)
        return state

    def _start(self, current: ServiceState | None, wanted: ServiceState) -> ServiceState:
        keys = self._folder.ensure_keys() if wanted.auth else None
        log = self._folder.new_log()
        file = self._folder.record
        before = file.read_bytes() if file.exists() else None
        wanted = wanted.replacing(current or self._recorded(), alive=current is not None)
        try:
            with started(self._folder.path, wanted, keys, log, self.timeout_seconds) as server:
                state = wanted.model_copy(
                    update={
                        "id": uuid4().hex,
                        "pid": server.process.pid,
                        "created": psutil.Process(server.process.pid).create_time(),
                        "since": datetime.now().astimezone().isoformat(timespec="seconds"),
                        "log": str(log),
                        "committed": False,
                    }
                )
                state.write(file)
                server.commit()
                server.expect("serving")
        except BaseException as error:
            attempt = self._recorded()
            if attempt is not None and attempt.process() is None:  # after Ctrl-C a committed server may live: it stays
                if before is None:
                    file.unlink(missing_ok=True)
                else:
                    write_private(file, before)
            if isinstance(error, DeployError) and UNBOUND in log.read_text(errors="replace"):
                ports.check(wanted.host, wanted.port)  # another process was faster: name it
            raise
        state = state.model_copy(update={"committed": True})
        state.write(file)
        return state

    def _stop_all(self) -> None:
        state = self._recorded()
        named = [s.process() for s in (state, state and state.previous) if s]
        for process in [*named, *self._processes()]:
            if process is not None:
                stop(process)
