"""What a search has finished, kept fit by fit, so that one that was killed goes on where it was."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import joblib

from orchestrator.search import sklearn_private

Place = tuple[int, int]  # the candidate and the fold, by their positions


class Journal:
    """Results in a folder; without one, nothing is kept. Whoever keeps the folder answers for data and code.

    Every process writes a file of its own, so two searches at once do each other no harm. A fit is known by its
    parameters and its rows: so the grid may have grown or been put in another order.
    """

    def __init__(self, folder: Path | None, tasks: sklearn_private.Tasks) -> None:
        self._folder, self._tasks = folder, tasks
        self._file: BinaryIO | None = None
        if folder is not None:
            self._candidates = [joblib.hash(dict(parameters)) for parameters in tasks.candidates]
            self._folds = [joblib.hash((fold.train, fold.test)) for fold in tasks.folds]

    def kept(self) -> dict[Place, dict[str, Any]]:
        """The results that are there of this search's fits."""
        if self._folder is None:
            return {}
        found = dict(record for file in sorted(self._folder.glob("*.fits")) for record in _records(file))
        places = {self._key(candidate, fold): (candidate, fold) for candidate, fold in self._places()}
        return {places[key]: result for key, result in found.items() if key in places}

    def add(self, candidate: int, fold: int, result: dict[str, Any]) -> None:
        """Keep one result; it outlives the process once this returns."""
        if self._folder is None:
            return
        try:
            if self._file is None:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._file = (self._folder / f"{os.getpid()}-{os.urandom(4).hex()}.fits").open("wb", buffering=0)
            self._file.write(pickle.dumps((self._key(candidate, fold), result), protocol=5))
        except OSError as error:  # a full disk, or another's folder: the search itself needs none of this
            warnings.warn(f"what the search finishes is not kept on the way: {error}", stacklevel=2)
            self._folder = None

    def close(self) -> None:
        """No more will come."""
        if self._file is not None:
            self._file.close()

    def _key(self, candidate: int, fold: int) -> str:
        return f"{self._candidates[candidate]} {self._folds[fold]}"

    def _places(self) -> Iterator[Place]:
        return ((at, fold) for at in range(len(self._candidates)) for fold in range(len(self._folds)))


def _records(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """What was written whole: the last record of a killed process may be torn."""
    # a torn record may look like anything, and the file may be another's or just gone: what is lost is fitted again
    with suppress(Exception), file.open("rb") as stream:
        while True:
            yield pickle.load(stream)
