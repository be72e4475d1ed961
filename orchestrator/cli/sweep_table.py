"""The table of a sweep's jobs at its end, best first: on the console, and as sweep.csv in the sweep's folder."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli.sweep_jobs import SweepJob
from orchestrator.files import write_atomic
from orchestrator.uncertainty.interval import Interval, decimals_for

NO_TRIAL = "No trials are completed yet."  # what Optuna raises where every trial failed
LONGEST = 30  # jobs that are shown; the file has all
FILE = "sweep.csv"
COLUMNS = (
    "job",
    "metric",
    "mean_test",
    "std_test",
    "holdout",
    "holdout_low",
    "holdout_high",
    "seconds",
    "verdict",
    "overrides",
)


def table(jobs: Sequence[SweepJob], folder: Path, chosen: SweepJob | None = None, verdicts: Sequence[str] = ()) -> str:
    """Return the table of the jobs, in their order; empty if none of them trains anything.

    Verdicts have a column if a job that did not fail has one.
    """
    if not any(job.metric for job in jobs):
        return ""
    judged = ["" if job.error else said for job, said in zip(jobs, verdicts or [""] * len(jobs), strict=True)]
    rows = [["", "job", "metric", "cross-validated", "hold-out", "seconds", *["verdict"] * any(judged), "overrides"]]
    for rank, job in enumerate(jobs[:LONGEST], 1):
        place = "→" if job is chosen else "" if job.error else str(rank)
        scores = ["failed", "", ""] if job.error else [job.metric, *_scores(job)]
        said = [judged[rank - 1]] * any(judged)
        rows.append([place, job.number, *scores, f"{job.seconds:.0f}", *said, differing(job, jobs)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    more = [f"and {len(jobs) - LONGEST} more in {folder / FILE}"] if len(jobs) > LONGEST else []
    return "\n".join(["jobs, best first:", *lines, *more])


def differing(job: SweepJob, jobs: Sequence[SweepJob]) -> str:
    """Return the overrides of a job that not all jobs have."""
    common = set.intersection(*(set(each.overrides) for each in jobs)) if len(jobs) > 1 else set()
    return " ".join(override for override in job.overrides if override not in common)


def _scores(job: SweepJob) -> tuple[str, str]:
    """Return the scores with the decimals of a run's own table, which the interval supports."""
    low, high = job.bounds
    interval = None if math.isnan(low) or math.isnan(high) else Interval(low, high, "")
    digits = decimals_for(job.held_out, 0, interval)
    held_out = f"{job.held_out:.{digits}f}" + (f" [{low:.{digits}f}, {high:.{digits}f}]" if interval else "")
    return f"{job.mean:.{digits}f} ± {job.std:.{digits}f}", held_out


def write_csv(jobs: Sequence[SweepJob], folder: Path, verdicts: Sequence[str]) -> Path:
    """Write one line for each job, in their order, with its verdict; return the file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for job, verdict in zip(jobs, verdicts, strict=True):
        numbers = (job.mean, job.std, job.held_out, *job.bounds, job.seconds)
        shown = ["" if math.isnan(number) else f"{number:.6g}" for number in numbers]
        writer.writerow([job.number, job.metric, *shown, verdict, differing(job, jobs)])
    write_atomic(folder / FILE, text.getvalue())
    return folder / FILE
