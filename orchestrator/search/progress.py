"""How far a search is, told to whoever listens: a few dozen times at most."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UPDATES = 50  # at most, after the first


@dataclass
class SearchProgress:
    """Counts fits and keeps the best mean score of the folds done so far."""

    tell: Callable[[int, int, str], None] | None
    metric: str | None  # None: the only score
    total: int = 0
    _before: int = 0  # done in earlier rounds
    _done: int = 0
    _told: int = 0
    _scores: dict[int, list[float]] = field(default_factory=dict)  # of this round

    def start(self, fits: int) -> None:
        """So many more fits: all of a search, or those of its next round."""
        self._before, self.total = self.total, self.total + fits
        self.restart()

    def restart(self) -> None:
        """What was done of this round will be done again."""
        self._done = self._told = self._before
        self._scores = {}
        if self.tell is not None:
            self.tell(self._done, self.total, "")

    def add(self, candidate: int, result: Mapping[str, Any]) -> None:
        """One more."""
        self._done += 1
        if self.tell is None:
            return
        scores = result["test_scores"]
        score = scores.get(self.metric) if isinstance(scores, dict) else scores
        if score is not None and not np.isnan(score):  # that of a fit that failed is no number
            self._scores.setdefault(candidate, []).append(score)
        if self._done == self.total or self._done - self._told >= -(-self.total // UPDATES):
            self._told = self._done
            self.tell(self._done, self.total, self._best())

    def _best(self) -> str:
        means = [np.mean(scores) for scores in self._scores.values()]
        return f"best {self.metric or 'score'} {max(means):.4f}" if means else ""
