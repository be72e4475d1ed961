"""The ledger of a hold-out set: how many specs were scored on it, and what is left of the level for the next decision.

Of many models that are compared on the same rows one looks better by chance. So the probability ``alpha`` of a wrong
decision is shared by all decisions on the same rows (alpha spending): the k-th gets alpha / (k (k + 1)), and these add up to
alpha however many follow. That holds whatever is tried next because of earlier decisions, as long as only decisions are
used; it is the Bonferroni inequality for a number of tests that is not known in advance. Fresh rows begin a new ledger.

The jobs of a sweep are looks, as their scores on the rows are shown. Where the best job is deployed, they count from the next
decision on: that job was chosen by cross-validated scores alone, so its own is the (m + 1)-th after m earlier looks. The
levels still add up to alpha, whichever of the n jobs is tried afterwards: n - 1 tests at alpha / ((m + n) (m + n + 1)) or less
take no more than the n - 1 levels that follow that of the chosen job.

D. P. Foster and R. A. Stine (2008), Alpha-investing, J. R. Statist. Soc. B 70; A. Blum and M. Hardt (2015), The Ladder,
ICML; C. Dwork et al. (2015), The reusable holdout, Science 349 (Thresholdout, which adds noise to what is shown: with few
hundred rows it needs more noise than there is signal). ``benchmarks/gate.py`` compares them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock

from orchestrator.artifacts import Report
from orchestrator.errors import TrackingError
from orchestrator.files import write_atomic
from orchestrator.gate.verdict import Level
from orchestrator.processes import exclusive
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, HOLDOUT_PLACES, SPEC_HASH
from orchestrator.tracking.tracker import RecordsVerdicts, Tracker

LOCK_SECONDS = 60  # a ledger is written in milliseconds


def spend(alpha: float, decision: int) -> float:
    """Return the level of the k-th decision on the same rows; all of them add up to ``alpha``."""
    return alpha / (decision * (decision + 1))


def level_for(alpha: float, looks: int, *, undecided: int = 0, swept: bool = False) -> Level:
    """Return the level after so many looks, of which ``undecided`` ones led to no decision: that of a first champion."""
    return Level(alpha, looks, spend(alpha, max(1, looks - undecided)), swept)


def count_looks(report: Report, tracker: Tracker, state_dir: Path, sweep: str = "") -> int:
    """Return how many specs, this one included, were scored on the hold-out rows of a Report; 0 if these are not known.

    The jobs of ``sweep`` do not count: the Report is that of its best job, chosen by cross-validated scores.

    Rows are the same by their cells, wherever they are read from, or by their places in one table, whatever their columns.
    The tracking store has them as tags of its runs; trainings that are not tracked are in files below ``state_dir``.
    """
    spec, seen = report.tags.get(SPEC_HASH, ""), set()
    for holdout in filter(None, (report.tags.get(tag, "") for tag in (HOLDOUT_DIGEST, HOLDOUT_PLACES))):
        if spec:  # else of a stage of the user's
            file = state_dir / "holdouts" / f"{holdout}.json"
            if isinstance(tracker, RecordsVerdicts):
                untracked, tracked = _read(file), tracker.looks(holdout, sweep)
            else:
                untracked, tracked = _add(file, spec, sweep), ()
            seen |= {spec, *tracked, *(each for each, of in untracked.items() if not sweep or of != sweep)}
    return len(seen)


def note_look(report: Report, tracker: Tracker, state_dir: Path, sweep: str = "") -> None:
    """Write down a training that no store tracks, and the ``sweep`` that it is a job of.

    Its scores are looked at, whether or not something is decided.
    """
    if not isinstance(tracker, RecordsVerdicts):
        count_looks(report, tracker, state_dir, sweep)


def _add(file: Path, spec: str, sweep: str) -> Mapping[str, str]:
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file.with_suffix(".lock"), timeout=LOCK_SECONDS)
    with exclusive(lock, TrackingError, f"state_dir: another command writes {file}"):
        seen = _read(file)
        if spec not in seen:
            seen = {**seen, spec: sweep}
            write_atomic(file, json.dumps(seen, indent=1) + "\n")
    return seen


def _read(file: Path) -> Mapping[str, str]:
    """Return the specs with the sweep that each was first a job of; "" for none, also in a list as older versions wrote it."""
    try:
        known = json.loads(file.read_text())
        return {str(each): str(known[each]) for each in known} if isinstance(known, dict) else dict.fromkeys(known, "")
    except (OSError, ValueError, TypeError):
        return {}
