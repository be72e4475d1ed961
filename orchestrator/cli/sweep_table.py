"""The table of a sweep's jobs at its end: best first, with the overrides in which they differ."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

NO_TRIAL = "No trials are completed yet."  # what Optuna raises where every trial failed
LONGEST = 30  # jobs that are shown; all have their result.json
_folders: list[Path] = []  # of this process's sweep
_started: list[float] = []  # when: an earlier sweep may have written to the same folder


class SweepFolder(Callback):
    """Remembers the sweep's folder for :func:`table`: Hydra calls no callback after a failed job."""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Remember the folder."""
        _folders[:] = [] if config.dry_run else [Path(config.hydra.sweep.dir)]
        _started[:] = [time.time() - 1]  # a file system's clock may be a little behind


@dataclass(frozen=True)
class SweepJob:
    """One job of a sweep; ``score``: the best candidate's cross-validated mean and deviation, and hold-out score."""

    number: str
    overrides: Sequence[str]
    metric: str
    score: tuple[float, float, float]
    error: str

    @property
    def sort_key(self) -> tuple[bool, str, bool, float]:
        """The sort key, best first; jobs of different metrics cannot be compared."""
        mean = self.score[0]
        return bool(self.error), self.metric, math.isnan(mean), 0.0 if math.isnan(mean) else -mean


def table() -> str:
    """Return the table of the sweep that this process has led; empty if there is none, or its jobs train nothing."""
    jobs = sorted((_read(folder) for path in _folders for folder in _job_folders(path)), key=lambda job: job.sort_key)
    if not any(job.metric for job in jobs):
        return ""
    common = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    rows = [["", "job", "metric", "cross-validated", "hold-out", "overrides"]]
    for rank, job in enumerate(jobs[:LONGEST], 1):
        mean, std, held_out = job.score
        scores = [job.metric, f"{mean:.4f} ± {std:.4f}", f"{held_out:.4f}"] if not job.error else ["failed", "", ""]
        differing = " ".join(override for override in job.overrides if override not in common)
        rows.append(["" if job.error else str(rank), job.number, *scores, differing])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = [f"and {len(jobs) - LONGEST} more in {_folders[0]}"] if len(jobs) > LONGEST else []
    return "\n".join(["jobs, best first:", *lines, *more])


def _job_folders(sweep: Path) -> list[Path]:
    numbered = [path for path in sweep.iterdir() if path.is_dir() and path.name.isdigit()] if sweep.is_dir() else []
    numbered = [path for path in numbered if path.stat().st_mtime >= _started[0]]
    return sorted(numbered, key=lambda path: int(path.name))


def _read(folder: Path) -> SweepJob:
    """Read one job's result; a job whose configuration is wrong has none."""
    overrides, result = folder / ".hydra" / "overrides.yaml", folder / "result.json"
    typed = yaml.safe_load(overrides.read_text()) if overrides.exists() else []
    found: dict[str, Any] = (
        json.loads(result.read_text()) if result.exists() else {"error": "the configuration is wrong"}
    )
    metric, metrics = found.get("refit") or "", found.get("metrics") or {}
    score = tuple(metrics.get(f"{kind}_{metric}", math.nan) for kind in ("mean_test", "std_test", "holdout"))
    return SweepJob(folder.name, [each.removeprefix("++") for each in typed], metric, score, found.get("error") or "")
