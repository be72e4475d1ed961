"""What a plan says of a search before it runs: the smallest difference that its hold-out rows can show, and its time."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.artifacts import Trained
from orchestrator.events import Event, RunStarted, StepFinished, StepNote
from orchestrator.files import write_atomic
from orchestrator.modeling.splitting.splitters import fold_count
from orchestrator.spec.messages import format_params
from orchestrator.spec.run_spec import RunSpec

PARTED = {"random", "group", "time"}  # rules by which data.test_size says how many rows are held out


def difference_note(spec: RunSpec, counts: Sequence[int]) -> str:
    """Return the smallest difference in ``search.refit`` that the hold-out rows can show; "" if it cannot be foreseen.

    ``counts`` are the rows of each class, as the target was read, or the number of rows; empty if it was not.
    """
    from orchestrator.uncertainty import detectable

    metric, data = spec.search.refit, spec.data
    if not counts or data.split.rule not in PARTED or metric in spec.search.scorers:
        return ""
    if data.positive is not None and len(counts) == 2:  # which of the two that is, is known once the table is read
        counts = (max(counts), min(counts))
    share = data.test_size * min(1.0, (data.rows or math.inf) / sum(counts))
    held_out = [count * share for count in counts]
    found = detectable.smallest_difference(metric, held_out)
    if found is None:
        return ""
    groups = "; rows of one group show less" if data.split.rule == "group" else ""
    return (
        f"{metric} must differ by {found:.2g} for about {sum(held_out):,.0f} hold-out rows to show it ({detectable.POWER:.0%} of "
        f"the time, at level {detectable.ALPHA}; two models near {detectable.level_of(metric)} whose scores correlate by "
        f"{detectable.CORRELATION}){groups}"
    )


@dataclass
class SearchTimes:
    """The time that the last search of each estimator took, by the run's name; as an observer it writes that down.

    It sends ``notes`` once it knows that a search will run.
    """

    spec: RunSpec
    notes: Callable[[], Iterator[str]] = field(default=lambda: iter(()))
    send: Callable[[Event], None] = field(default=lambda _: None)

    def note(self) -> str:
        """Return how long the search will take, by the last one of this name, estimator and table; "" if there is none."""
        last = self._read().get(self.spec.model.estimator, {})
        try:
            seconds, fits, table = float(last["seconds"]), int(last["fits"]), last["table"]
        except (KeyError, TypeError, ValueError):
            return ""
        if table != str(self.spec.data.path) or fits < 1:
            return ""
        expected = seconds * fit_count(self.spec) / fits
        return f"about {_duration(expected)}, as the last search took {_duration(seconds)} for {fits:,} fits"

    def __call__(self, event: Event) -> None:
        """Say before the first stage what is known, and write down after the search what it took."""
        if isinstance(event, RunStarted) and any(s.gives == Trained.__name__ and not s.cached for s in event.steps):
            for text in self.notes():
                self.send(StepNote(text))
        elif isinstance(event, StepFinished) and isinstance(event.artifact, Trained) and not event.step.cached:
            times = self._read()
            times[self.spec.model.estimator] = {
                "seconds": round(event.seconds, 3),
                "fits": fit_count(self.spec),
                "table": str(self.spec.data.path),
            }
            with suppress(OSError):  # the next plan then says less, and nothing is wrong
                self._file.parent.mkdir(parents=True, exist_ok=True)
                write_atomic(self._file, json.dumps(times, indent=1) + "\n")

    @property
    def _file(self) -> Path:
        return self.spec.state_dir / "cache" / ".searches" / f"{self.spec.name or '-'}.json"

    def _read(self) -> dict[str, Any]:
        try:
            read = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return read if isinstance(read, dict) else {}


def fit_count(spec: RunSpec) -> int:
    """Return how many fits the search makes if none is left out, as halving does."""
    candidates = spec.search.candidates(math.prod(map(len, spec.model.param_grid.values())))
    return candidates * (fold_count(spec.search, spec.data.split) or 1)


@dataclass(frozen=True)
class TimedFit:
    """One fit with its scores: its seconds, parameters and rows, and how many rows a fit of the search has."""

    seconds: float
    params: Mapping[str, Any]
    rows: int
    of: int

    def note(self, fits: int, processes: int) -> str:
        """Return how long a search of so many fits in so many processes takes at most, and what that is known from."""
        expected = self.seconds * self.of / self.rows * fits / processes
        rows, named = f"{self.rows:,} rows", format_params(self.params)
        if self.rows < self.of:
            rows = f"{self.rows:,} of about {self.of:,} rows, and more rows are taken to need as much more time"
        return (
            f"at most about {_duration(expected)}: {fits:,} fits in {processes} process{'es' if processes > 1 else ''}, of which one took "
            f"{self.seconds:.2g} s ({named + '; ' if named else ''}{rows}); what candidates share takes less, larger candidates more"
        )


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
