"""Report how far a search is, at most a few dozen times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

UPDATES = 50  # at most, after the first


@dataclass
class SearchProgress:
    """Counts fits and tracks the best mean score of the folds done so far."""

    report: Callable[[int, int, str], None] | None
    metric: str | None  # None: the only score
    total: int = 0
    _earlier: int = 0  # done in earlier rounds
    _done: int = 0
    _reported: int = 0
    _scores: dict[int, list[float]] = field(default_factory=dict)  # of this round

    def start(self, fits: int) -> None:
        """Add ``fits`` to the total: all of a search, or those of its next round."""
        self._earlier, self.total = self.total, self.total + fits
        self.restart()

    def restart(self) -> None:
        """Count this round from its beginning: its fits are repeated."""
        self._done = self._reported = self._earlier
        self._scores = {}
        if self.report is not None:
            self.report(self._done, self.total, "")

    def add(self, candidate: int, result: Mapping[str, Any]) -> None:
        """Count one fit, and report it if enough were done since the last report."""
        self._done += 1
        if self.report is None:
            return
        scores = result["test_scores"]
        score = scores.get(self.metric) if isinstance(scores, dict) else scores
        if score is not None and not np.isnan(score):  # a failed fit has NaN
            self._scores.setdefault(candidate, []).append(score)
        if self._done == self.total or self._done - self._reported >= -(-self.total // UPDATES):
            self._reported = self._done
            self.report(self._done, self.total, self._describe_best())

    def _describe_best(self) -> str:
        means = [np.mean(scores) for scores in self._scores.values()]
        return f"best {self.metric or 'score'} {max(means):.4f}" if means else ""
