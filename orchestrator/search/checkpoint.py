"""Checkpoints of a search: every fit's result is saved, so that a killed search resumes where it was."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, BinaryIO

import joblib

from orchestrator.search import sklearn_private

FitIndex = tuple[int, int]  # positions of the candidate and of the fold


class FitCheckpoint:
    """The results of fits in a folder; without one, nothing is saved. The caller keys the folder by data and code.

    Every process writes its own file, so concurrent searches do not interfere. A fit is identified by its parameters
    and its rows, so candidates may be added to the grid or reordered.
    """

    def __init__(self, folder: Path | None, tasks: sklearn_private.SearchTasks) -> None:
        self._folder = folder
        self._file: BinaryIO | None = None
        if folder is not None:
            self._candidates = [joblib.hash(dict(parameters)) for parameters in tasks.candidates]
            self._folds = [joblib.hash((fold.train, fold.test)) for fold in tasks.folds]

    def load(self) -> dict[FitIndex, dict[str, Any]]:
        """Return the saved results of this search's fits."""
        if self._folder is None:
            return {}
        saved = dict(record for file in sorted(self._folder.glob("*.fits")) for record in _read_records(file))
        indices = product(range(len(self._candidates)), range(len(self._folds)))
        by_key = {self._key(*index): index for index in indices}
        return {by_key[key]: result for key, result in saved.items() if key in by_key}

    def append(self, candidate: int, fold: int, result: dict[str, Any]) -> None:
        """Save one result; it outlives the process once this returns."""
        if self._folder is None:
            return
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = (self._folder / f"{os.getpid()}-{os.urandom(4).hex()}.fits").open("wb", buffering=0)
            self._file.write(pickle.dumps((self._key(candidate, fold), result), protocol=5))
        except OSError as error:  # a full disk, or a folder of another user: the search does not depend on it
            warnings.warn(f"the search's checkpoints are not saved: {error}", stacklevel=2)
            self._folder = None

    def close(self) -> None:
        """Close this process's file."""
        if self._file is not None:
            self._file.close()

    def _key(self, candidate: int, fold: int) -> str:
        return f"{self._candidates[candidate]} {self._folds[fold]}"


def _read_records(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the complete records; the last one of a killed process may be truncated."""
    # a truncated record may raise anything, and the file may be unreadable or just deleted: those fits are repeated
    with suppress(Exception), file.open("rb") as stream:
        while True:
            yield pickle.load(stream)
