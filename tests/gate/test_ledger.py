"""Looks at hold-out rows are counted once a spec, and the level that is left adds up to alpha."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from orchestrator.artifacts import Report
from orchestrator.gate.ledger import count_looks, level_for, note_look, spend
from orchestrator.tracking.none import NoTracking
from orchestrator.tracking.registered_model import HOLDOUT_DIGEST, HOLDOUT_PLACES, SPEC_HASH


def report(holdout: str = "rows", spec: str = "spec") -> Report:
    return Report({}, {HOLDOUT_DIGEST: holdout, SPEC_HASH: spec}, {}, {}, (), {}, "")


def test_levels_add_up_to_alpha() -> None:
    assert [spend(0.05, k) for k in (1, 2, 3)] == pytest.approx([0.025, 0.05 / 6, 0.05 / 12])
    assert sum(spend(0.05, k) for k in range(1, 10_001)) == pytest.approx(0.05, abs=1e-5)
    assert sum(spend(0.05, k) for k in range(1, 10_001)) < 0.05


def test_levels_add_up_to_less_than_alpha_whichever_job_of_a_sweep_is_tried_after_the_chosen_one() -> None:
    for before in range(30):
        for jobs in range(1, 30):
            spent = spend(1.0, before + 1) + (jobs - 1) * spend(1.0, before + jobs)
            assert spent <= sum(spend(1.0, before + k) for k in range(1, jobs + 1)) + 1e-12


def test_a_look_without_a_decision_does_not_count() -> None:
    assert level_for(0.05, 2, undecided=1).spent == spend(0.05, 1)
    assert level_for(0.05, 5, undecided=1).spent == spend(0.05, 4)
    assert level_for(0.05, 1, undecided=1).spent == spend(0.05, 1)
    assert level_for(0.05, 0).spent == spend(0.05, 1)
    assert level_for(0.05, 2).spent == spend(0.05, 2)


def test_without_a_store_a_file_remembers_each_spec_once(tmp_path: Path) -> None:
    looks = [count_looks(report("a", spec), NoTracking(), tmp_path) for spec in ("x", "y", "x", "z")]
    assert looks == [1, 2, 2, 3]
    assert count_looks(report("b", "x"), NoTracking(), tmp_path) == 1, "other rows have a ledger of their own"
    (tmp_path / "holdouts" / "a.json").write_text("damaged")
    assert count_looks(report("a", "x"), NoTracking(), tmp_path) == 1


def test_the_same_places_of_a_table_are_the_same_rows_with_other_columns(tmp_path: Path) -> None:
    def look(holdout: str, spec: str, places: str = "places") -> int:
        made = report(holdout, spec)
        return count_looks(replace(made, tags={**made.tags, HOLDOUT_PLACES: places}), NoTracking(), tmp_path)

    assert [look("all columns", "x"), look("two columns", "y"), look("all columns", "z")] == [1, 2, 3]
    assert look("all columns", "x", "of a copy of the file") == 2, "x and z, by their cells"


def test_a_report_of_another_stage_is_not_counted(tmp_path: Path) -> None:
    assert count_looks(Report({}, {}, {}, {}, (), {}, ""), NoTracking(), tmp_path) == 0


@dataclass(frozen=True)
class Store(NoTracking):
    seen: Sequence[str] = ()

    def looks(self, holdout: str, sweep: str = "") -> Sequence[str]:
        assert holdout == "rows"
        return [] if sweep == "all of it" else self.seen

    def record_verdict(self, *_: object) -> None:
        raise AssertionError


def test_the_store_is_asked_where_there_is_one(tmp_path: Path) -> None:
    assert count_looks(report(), Store(seen=("a", "b")), tmp_path) == 3
    assert count_looks(report(), Store(seen=("a", "spec")), tmp_path) == 2
    assert count_looks(report(), Store(seen=("a", "spec")), tmp_path, "all of it") == 1
    assert not list(tmp_path.iterdir())


def test_trainings_that_were_not_tracked_count_in_a_tracked_one(tmp_path: Path) -> None:
    note_look(report(spec="x"), Store(), tmp_path)
    assert not list(tmp_path.iterdir()), "the store has it"
    note_look(report(spec="x"), NoTracking(), tmp_path)
    assert count_looks(report(), Store(seen=("a",)), tmp_path) == 3


def test_the_jobs_of_a_sweep_that_is_not_tracked_count_from_the_next_decision_on(tmp_path: Path) -> None:
    note_look(report(spec="before"), NoTracking(), tmp_path)
    for job in ("a", "b", "before", "c"):
        note_look(report(spec=job), NoTracking(), tmp_path, "this sweep")
    assert count_looks(report(spec="b"), NoTracking(), tmp_path, "this sweep") == 2, (
        "that before the sweep, and its own"
    )
    assert count_looks(report(spec="b"), NoTracking(), tmp_path, "the same sweep after a kill") == 4
    assert count_looks(report(spec="d"), NoTracking(), tmp_path) == 5


def test_a_file_of_an_older_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "holdouts").mkdir()
    (tmp_path / "holdouts" / "rows.json").write_text('["x", "y"]')
    assert count_looks(report(), NoTracking(), tmp_path) == 3
