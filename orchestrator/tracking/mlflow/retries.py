"""Patience: one budget of time for a server that does not answer, and calls that are asked again without doing anything twice.

MLflow's own retries repeat whatever was asked, also what creates a run or a version: where only the answer was lost,
there are two then. So they are switched off here, and what creates is looked up before it is asked for again.
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
from orchestrator.tracking.mlflow.server_errors import describe, forget, is_down, passes, status_of

T = TypeVar("T")
FIRST_ATTEMPTS = 3  # of a server that never answered: a wrong address is not worth the whole budget
LONGEST_PAUSE = 8
SILENCE_SECONDS = 8.0
RETRIES, TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"


class Patience:
    """How long a server may stay silent in one run: all failed attempts and the pauses between them draw on it."""

    def __init__(self, uri: str, seconds: float, note: Callable[[str], None] = lambda _: None) -> None:
        self.uri, self.seconds, self.left, self.note = uri, seconds, seconds, note
        self.reached = False  # it has answered once
        self._noted = float("-inf")

    def ask(self, work: Callable[[], T], find: Callable[[], T | None] = lambda: None) -> T:
        """Do the work; after an attempt without an answer look whether it is done (``find``), else do it again.

        Raises:
            TrackingError: the server did not answer in time, or it answers what more attempts do not change.
        """
        attempts, handled = 0, sys.exc_info()[1]
        while True:
            began = time.monotonic()
            try:
                with self._settings():
                    result = work()
            except Exception as error:
                attempts += 1
                forget(error, handled)
                if not passes(error):
                    self.reached = True
                    raise
                self.left -= time.monotonic() - began
                self._pause_or_raise(error, attempts)
            else:
                self.reached = True
                return result
            found = self.ask(find)
            if found is not None:
                return found

    def _pause_or_raise(self, error: Exception, attempts: int) -> None:
        text = describe(error, self.uri)
        hopeless = not self.reached and (is_down(error) or attempts >= FIRST_ATTEMPTS)
        if hopeless or self.left <= 0 or (status_of(error) == 500 and attempts >= FIRST_ATTEMPTS):
            spent = f"no usable answer within {self.seconds:g} s (tracking.timeout_seconds): " if self.left <= 0 else ""
            raise TrackingError(f"tracking store {self.uri}: {spent}{text}") from error
        if time.monotonic() - self._noted > SILENCE_SECONDS:
            self.note(f"tracking store {self.uri}: {text}; trying again for at most {self.left:.0f} s")
            self._noted = time.monotonic()
        pause = min(0 if attempts == 1 else 2 ** (attempts - 2), LONGEST_PAUSE, self.left)
        time.sleep(pause)
        self.left -= pause

    @contextmanager
    def _settings(self) -> Iterator[None]:
        """Set MLflow's own timeout by what is left, and its retries to none, for one attempt."""
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


class Client:
    """MLflow's client, each of whose methods is asked with patience. What creates must go through :meth:`once`."""

    def __init__(self, client: Any, patience: Patience) -> None:
        self.patience, self._client = patience, client

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def ask(*arguments: Any, **options: Any) -> Any:
            return self.patience.ask(lambda: method(*arguments, **options))

        return ask

    def upload(self, location: str, folder: Path, whole: Callable[[], Any]) -> None:
        """Write a folder to an artifact location: with ``whole``, or over HTTP file by file.

        One call for all files would begin anew at each lost answer, and never end where every tenth is lost.
        """
        if not location.startswith(("mlflow-artifacts:", "http:", "https:")):
            whole()
            return
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository = get_artifact_repository(location, tracking_uri=self.patience.uri)
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            within = file.parent.relative_to(folder).as_posix()
            self.patience.ask(partial(repository.log_artifact, str(file), None if within == "." else within))

    def once(self, make: Callable[[Any], T], find: Callable[[Any], T | None]) -> T:
        """Create something with MLflow's bare client; if the answer was lost, take what was created."""
        return self.patience.ask(lambda: make(self._client), lambda: find(self._client))
