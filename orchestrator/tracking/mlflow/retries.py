"""Retries: one time budget for a server that does not answer, and idempotent creation.

MLflow's own retries repeat every request, also one that creates a run or a version: where only the answer was lost, it
would be created twice. So they are switched off here, and a creation is looked up before it is repeated.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from orchestrator.errors import TrackingError
from orchestrator.tracking.mlflow.server_errors import (
    describe_error,
    drop_handled_context,
    is_down,
    is_transient,
    status_of,
)

T = TypeVar("T")
FIRST_ATTEMPTS = 3  # to a server that never answered: a wrong address does not deserve the whole budget
MAX_PAUSE_SECONDS = 8
NOTE_INTERVAL_SECONDS = 8.0
RETRIES, TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"


class RetryBudget:
    """How long a server may stay silent in one run: all failed attempts and the pauses between them draw on it."""

    def __init__(self, uri: str, seconds: float, note: Callable[[str], None] = lambda _: None) -> None:
        self.uri, self.seconds, self.left, self.note = uri, seconds, seconds, note
        self.reached = False  # the server has answered once
        self._noted = float("-inf")

    def call(self, work: Callable[[], T], find: Callable[[], T | None] = lambda: None) -> T:
        """Do the work; after an attempt without an answer check whether it is done (``find``), else repeat it.

        Raises:
            TrackingError: the server did not answer in time, or its answer will not change by retrying.
        """
        attempts, handled = 0, sys.exc_info()[1]
        while True:
            began = time.monotonic()
            try:
                with self._settings():
                    result = work()
            except Exception as error:
                attempts += 1
                drop_handled_context(error, handled)
                if not is_transient(error):
                    self.reached = True
                    raise
                self.left -= time.monotonic() - began
                self._pause_or_raise(error, attempts)
            else:
                self.reached = True
                return result
            found = self.call(find)
            if found is not None:
                return found

    def _pause_or_raise(self, error: Exception, attempts: int) -> None:
        text = describe_error(error, self.uri)
        give_up = not self.reached and (is_down(error) or attempts >= FIRST_ATTEMPTS)
        if give_up or self.left <= 0 or (status_of(error) == 500 and attempts >= FIRST_ATTEMPTS):
            spent = f"no usable answer within {self.seconds:g} s (tracking.timeout_seconds): " if self.left <= 0 else ""
            raise TrackingError(f"tracking store {self.uri}: {spent}{text}") from error
        if time.monotonic() - self._noted > NOTE_INTERVAL_SECONDS:
            self.note(f"tracking store {self.uri}: {text}; trying again for at most {self.left:.0f} s")
            self._noted = time.monotonic()
        pause = min(0 if attempts == 1 else 2 ** (attempts - 2), MAX_PAUSE_SECONDS, self.left)
        time.sleep(pause)
        self.left -= pause

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Set MLflow's timeout to what is left and its retries to none, for one attempt."""
        seconds = self.left if self.reached else self.seconds / FIRST_ATTEMPTS
        values = {RETRIES: "0", TIMEOUT: str(max(1, int(min(seconds, self.left))))}
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


class RetryingClient:
    """MLflow's client with retries for every method. Requests that create must go through :meth:`create_once`."""

    def __init__(self, client: Any, budget: RetryBudget) -> None:
        self.budget, self._client = budget, client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(*arguments: Any, **options: Any) -> Any:
            return self.budget.call(lambda: method(*arguments, **options))

        return call

    def upload(self, location: str, folder: Path, whole: Callable[[], Any]) -> None:
        """Write a folder to an artifact location: with ``whole``, or over HTTP file by file.

        A single call for all files would restart at each lost answer, and never end if every tenth is lost.
        """
        if not location.startswith(("mlflow-artifacts:", "http:", "https:")):
            whole()
            return
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository = get_artifact_repository(location, tracking_uri=self.budget.uri)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            within = file.parent.relative_to(folder).as_posix()
            self.budget.call(partial(repository.log_artifact, str(file), None if within == "." else within))

    def download(self, location: str, folder: Path) -> None:
        """Read all files at an artifact location into an existing folder; over HTTP with retries for each file."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository = get_artifact_repository(location, tracking_uri=self.budget.uri)
        if not location.startswith(("mlflow-artifacts:", "http:", "https:")):
            self.budget.call(lambda: repository.download_artifacts("", str(folder)))
            return
        waiting: list[str | None] = [None]
        while waiting:
            for file in self.budget.call(partial(repository.list_artifacts, waiting.pop())):
                if file.is_dir:
                    waiting.append(file.path)
                else:
                    self.budget.call(partial(repository.download_artifacts, file.path, str(folder)))

    def create_once(self, make: Callable[[Any], T], find: Callable[[Any], T | None]) -> T:
        """Create something with MLflow's bare client; if the answer was lost, return what was created."""
        return self.budget.call(lambda: make(self._client), lambda: find(self._client))
