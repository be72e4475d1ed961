"""The end of a sweep: show and record the table of its jobs and, if that is asked for, deploy the best one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from orchestrator.cli import best_job, sweep_table
from orchestrator.cli.sweep_jobs import SweepJob, read_jobs, sweep_folder
from orchestrator.errors import OrchestratorError

SWEEP_ID = "ORCHESTRATOR_SWEEP_ID"  # in the environment, so that parallel launchers hand it to their processes


def show(jobs: Sequence[SweepJob], chosen: SweepJob | None = None) -> None:
    """Print the table of the jobs of a sweep that trained, write it as CSV and record that in the tracking store."""
    folder = sweep_folder()
    verdicts = [*best_job.verdicts(jobs, chosen)]
    if folder is None or not (text := sweep_table.table(jobs, folder, chosen, verdicts)):
        return
    sys.stdout.write(f"\n{text}\n")
    sys.stdout.flush()
    file = sweep_table.write_csv(jobs, folder, verdicts)
    if any(job.trained for job in jobs):
        _record(jobs, file)


def deploys() -> bool:
    """Return whether this process leads a sweep of which the best job is deployed."""
    return any(sweep.rule for sweep in best_job.current)


def conclude() -> int:
    """Show the jobs of this process's sweep, if it led one, and deploy the best one if asked; return the exit code.

    Raises:
        OrchestratorError: no job can be chosen.
    """
    folder, jobs = sweep_folder(), read_jobs()
    if folder is None or not deploys():
        show(jobs)
        return 0
    (sweep,) = best_job.current
    try:
        chosen = best_job.choose_job(jobs, sweep.rule)
    except OrchestratorError:
        show(jobs)
        raise
    show(jobs, chosen)
    (verdict,) = (text for job, text in zip(jobs, best_job.verdicts(jobs, chosen), strict=True) if job is chosen)
    sys.stdout.write(f"\ndeploying job {chosen.number}: {verdict}\n")
    sys.stdout.flush()
    return best_job.deploy(chosen, sweep, folder, os.environ[SWEEP_ID])


def _record(jobs: Sequence[SweepJob], file: Path) -> None:
    """Log the file on the run that the jobs are nested under; a store that fails does not undo a sweep."""
    from orchestrator.config.validate import validate
    from orchestrator.pipeline import bind
    from orchestrator.tracking.tracker import RecordsSweeps

    trained, (sweep,) = next(job for job in jobs if job.trained), best_job.current
    try:
        tracker = bind(validate(sweep.compose(trained.overrides))).tracker
        if isinstance(tracker, RecordsSweeps):
            tracker.record_sweep(os.environ[SWEEP_ID], file)
    except OrchestratorError as error:
        sys.stderr.write(f"{file} was not recorded: {error}\n")
