"""Rollout: the transaction of one command on one service, under a lock from deploy through probe to promote."""

from __future__ import annotations

import inspect
import json
import logging
import os
import typing
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, final
from uuid import uuid4

from filelock import FileLock, Timeout

from orchestrator.artifacts import Endpoint, ModelVersion
from orchestrator.deploy.authentication import keep_authentication
from orchestrator.deploy.target import Deployment, RollbackResult, Target
from orchestrator.errors import DeployError
from orchestrator.files import write_atomic
from orchestrator.progress import heartbeat

LOCK_SECONDS = 3600  # several commands may wait, each for one that builds an image
POLL_SECONDS = 0.05


def serves(stage: Any) -> bool:
    """Return whether a stage takes the target or the rollout."""
    call = stage if inspect.isroutine(stage) else getattr(stage, "__call__", stage)  # noqa: B004 -- a class's own
    try:
        return any(kind in (Target, Rollout) for kind in typing.get_type_hints(call).values())
    except (NameError, TypeError):  # the planner reports it
        return True


@final
class Rollout:
    """One command's change of the service, of the alias ``champion`` and of the record of versions.

    As a context manager it ends with the run: a deployment that is not committed is rolled back if the run failed, and
    accepted if it passed its test and no stage of the run promotes it. ``file`` says which command's rollout is the last.
    """

    def __init__(self, target: Target, file: Path) -> None:
        self.target, self._file = target, file
        self._lock = FileLock(file.with_suffix(".lock"))
        self._id = uuid4().hex
        self._before: Mapping[str, Any] | None = None  # the file's content before this rollout; None: it has not begun
        self._deployment: Deployment | None = None
        self._passed = self._committed = False
        self._note: Callable[[str], None] = lambda _: None

    def __enter__(self) -> Rollout:
        self._id = uuid4().hex
        self._deployment = None
        self._passed = self._committed = False
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if self._deployment and kind is not None:
                logging.getLogger(__name__).warning("deploy: %s", self.rollback())
            elif self._deployment and self._passed:
                self.commit()
        finally:
            self._end()

    def begin(self, version: ModelVersion, note: Callable[[str], None]) -> None:
        """Wait until no other command is in a rollout of this service, and record that this one is.

        Raises:
            DeployError: another one does not end.
        """
        self._note = note
        self.wait(note)
        self._before = self._read()
        known = {"model": version.name, "version": version.version, "package": version.package.short_id}
        self._put({"id": self._id, **known, "pid": os.getpid(), "committed": False})

    def wait(self, note: Callable[[str], None]) -> None:
        """Wait until no other command is in a rollout of this service; none begins until this run ends.

        Raises:
            DeployError: another one does not end.
        """
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with heartbeat(note, f"waiting for {self._who()}"):
            try:
                self._lock.acquire(timeout=LOCK_SECONDS, poll_interval=POLL_SECONDS)
            except Timeout:
                raise DeployError(
                    f"deploy: {self._who()} has been changing this service for {LOCK_SECONDS} s; wait for it or end it"
                ) from None

    def deploy(self, version: ModelVersion) -> Endpoint:
        """Serve the version's package. From here on a failure of the run is rolled back."""
        self._deployment = keep_authentication(self.target, self._note).deploy(version)
        return self._deployment.endpoint

    def passed(self) -> None:
        """Record that the endpoint passed its test."""
        self._passed = True

    def check(self, version: ModelVersion) -> None:
        """Raise a DeployError if another package serves: a command on another machine holds another lock."""
        live = self.target.endpoint().package
        if live.fingerprint != version.package.fingerprint:
            raise DeployError(
                f"deploy: another command has deployed '{live.model_name}', package {live.short_id}, meanwhile, "
                f"and that serves; the alias 'champion' was not moved to version {version.version}"
            )

    def commit(self) -> None:
        """Accept what was deployed and let the next command begin."""
        deployment, self._deployment, self._committed = self._deployment, None, True
        try:
            if deployment:
                deployment.accept()
            self._put({**self._read(), "committed": True})
            self._before = None
        finally:
            self._end()

    def rollback(self) -> str:
        """Roll back; return the result as text for the user. A failure of it does not hide why it was needed."""
        deployment, self._deployment = self._deployment, None
        try:
            return (deployment.rollback() if deployment else RollbackResult.NOTHING).value
        except DeployError as error:
            return f"putting the former service back failed: {error}"
        finally:
            self._end()

    def superseded(self) -> str:
        """Return which command has begun a rollout since this commit, as text for the user; empty if none has."""
        last = self._read()
        if not self._committed or last.get("id", self._id) == self._id:
            return ""
        return f"{_named(last)} {'has taken' if last.get('committed') else 'is taking'} the place of this one"

    def _end(self) -> None:
        """Let the next command begin; after a rollout that was not committed, restore the file."""
        if self._before is not None:
            self._put(self._before)
            self._before = None
        self._lock.release()

    def _who(self) -> str:
        last = self._read()
        return f"another command, which deploys {_named(last)}," if last else "another command"

    def _read(self) -> dict[str, Any]:
        with suppress(OSError, ValueError, TypeError):
            return dict(json.loads(self._file.read_text()))
        return {}

    def _put(self, record: Mapping[str, Any]) -> None:
        with suppress(OSError):  # it only identifies the last command; the service and the alias are not stored here
            write_atomic(self._file, json.dumps(record))


def _named(record: Mapping[str, Any]) -> str:
    version = record.get("version") or f"of package {record.get('package', '')}"
    return f"{record.get('model')} version {version} (process {record.get('pid')})"
