"""The jobs of the sweep that this process leads, as they left their results in the sweep's folder."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

NOTHING = math.nan
_folders: list[Path] = []  # of this process's sweep
_started: list[float] = []  # when: an earlier sweep may have written to the same folder


class SweepFolder(Callback):
    """Remembers the sweep's folder for :func:`read_jobs`: Hydra calls no callback after a failed job."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Remember the folder, and check what the best job will need.

        Raises:
            SystemExit: the best job could not be deployed. Hydra lets no other exception of a callback through.
        """
        from orchestrator.cli import best_job

        _folders[:] = [] if config.dry_run else [Path(config.hydra.sweep.dir).absolute()]
        _started[:] = [time.time() - 1]  # a file system's clock may be a little behind
        best_job.current[:] = [best_job.prepare(config)]


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep. ``mean``, ``std`` and ``held_out`` are its best candidate's ``metric``; NaN: not known.

    ``folds`` is the number of test scores that the mean is of, ``bounds`` the interval of the hold-out score, ``params``
    are the estimator's, fixed ones and those of the grid, ``fit_seconds`` what one fit of the best candidate took, ``rows`` the digest of the hold-out rows; ``trained`` is False
    where the scores came from the cache.
    """

    number: str
    overrides: Sequence[str]
    metric: str = ""
    mean: float = NOTHING
    std: float = NOTHING
    held_out: float = NOTHING
    bounds: tuple[float, float] = (NOTHING, NOTHING)
    folds: int = 0
    estimator: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    fit_seconds: float = NOTHING
    seconds: float = 0.0
    rows: str = ""
    error: str = ""
    trained: bool = False

    @property
    def scored(self) -> bool:
        """Whether the job ended well and has a score."""
        return not self.error and not math.isnan(self.mean)

    @property
    def standard_error(self) -> float:
        """The standard error of the mean over the folds; NaN if their number is not known.

        ``std`` is scikit-learn's, with the number of folds as its divisor, hence the smaller one here.
        """
        return self.std / math.sqrt(self.folds - 1) if self.folds > 1 else NOTHING

    @property
    def sort_key(self) -> tuple[bool, str, bool, float]:
        """The sort key, best first; jobs of different metrics cannot be compared."""
        return bool(self.error), self.metric, math.isnan(self.mean), 0.0 if math.isnan(self.mean) else -self.mean


def sweep_folder() -> Path | None:
    """Return the folder of the sweep that this process has led; None if there is none."""
    return _folders[0] if _folders else None


def read_jobs() -> list[SweepJob]:
    """Return the jobs of the sweep that this process has led, best first."""
    return sorted((_read(folder) for path in _folders for folder in _job_folders(path)), key=lambda job: job.sort_key)


def _job_folders(sweep: Path) -> list[Path]:
    numbered = [path for path in sweep.iterdir() if path.is_dir() and path.name.isdigit()] if sweep.is_dir() else []
    numbered = [path for path in numbered if path.stat().st_mtime >= _started[0]]
    return sorted(numbered, key=lambda path: int(path.name))


def _read(folder: Path) -> SweepJob:
    """Read one job's result; a job whose configuration is wrong has none."""
    written, result = folder / ".hydra" / "overrides.yaml", folder / "result.json"
    typed = yaml.safe_load(written.read_text()) if written.exists() else []
    overrides = [each.removeprefix("++") for each in typed]
    if not result.exists():
        return SweepJob(folder.name, overrides, error="the configuration is wrong")
    found: dict[str, Any] = json.loads(result.read_text())
    metric, metrics = found.get("refit") or "", found.get("metrics") or {}
    best, stages = found.get("best") or {}, found.get("stages") or ()

    interval = (found.get("intervals") or {}).get(metric) or {}

    def score(kind: str) -> float:
        return float(metrics.get(f"{kind}_{metric}", NOTHING))

    return SweepJob(
        folder.name,
        overrides,
        metric,
        score("mean_test"),
        score("std_test"),
        score("holdout"),
        (float(interval.get("low", NOTHING)), float(interval.get("high", NOTHING))),
        best.get("folds") or 0,
        best.get("estimator") or "",
        {**(best.get("params") or {}), **(found.get("best_params") or {})},
        float(best.get("fit_seconds") or NOTHING),
        sum(stage["seconds"] for stage in stages),
        best.get("holdout_rows") or "",
        found.get("error") or "",
        any(stage["name"] == "train" and not stage["cached"] for stage in stages),
    )
