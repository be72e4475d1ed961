from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator import compose
from orchestrator.artifacts import Trained
from orchestrator.config.validate import validate
from orchestrator.events import Event, RunStarted, StepFinished, StepNote, StepPlan
from orchestrator.reporting.plan_notes import SearchTimes, difference_note
from orchestrator.spec.run_spec import RunSpec

TRAIN = StepPlan("train", (), "Trained")
TRAINED: Any = Trained(object(), 0, ())


def spec(folder: Path, *overrides: str) -> RunSpec:
    small = ("model=logistic_regression", "tracking=none", "deploy=none", "stages=train", f"state_dir={folder}")
    return validate(compose(*small, *overrides)).spec


def test_the_difference_goes_by_the_rows_of_the_rarer_class_and_the_metric(tmp_path: Path) -> None:
    found = spec(tmp_path)
    note = difference_note(found, (500, 268))
    assert note.startswith(
        "roc_auc must differ by 0.11 for about 154 hold-out rows to show it (80% of the time, at level 0.05;"
    )
    assert "differ by 0.064 for about 400" in difference_note(spec(tmp_path, "data.test_size=0.5"), (500, 300))
    sampled = spec(tmp_path, "data.rows=384")
    assert "about 77 hold-out rows" in difference_note(sampled, (500, 268))
    swapped = spec(tmp_path, "data.positive=0", "search.refit=recall")
    assert difference_note(swapped, (268, 500)) == difference_note(swapped, (500, 268))


def test_nothing_is_said_of_what_cannot_be_foreseen(tmp_path: Path) -> None:
    assert difference_note(spec(tmp_path), ()) == ""
    assert difference_note(spec(tmp_path, "search.refit=neg_log_loss"), (500, 268)) == ""
    parts = ("data.split=column", "data.split.by=Age", "data.split.test=[21]", "data.split.keep=true")
    assert difference_note(spec(tmp_path, *parts), (500, 268)) == ""


def test_the_time_is_that_of_the_last_search_of_this_estimator_for_as_many_fits(tmp_path: Path) -> None:
    first = spec(tmp_path, "model.param_grid.C=[0.1,1,10]")
    times, heard = SearchTimes(first, lambda: iter(["a note"])), list[Event]()
    times.send = heard.append
    assert times.note() == ""
    times(RunStarted((TRAIN,)))
    times(StepFinished(TRAIN, 30.0, TRAINED))
    assert heard == [StepNote("a note")]
    assert times.note() == "about 30 s, as the last search took 30 s for 15 fits"
    more = spec(tmp_path, "model.param_grid.C=[0.1,1,10]", "search.cv=10")
    assert SearchTimes(more).note() == "about 60 s, as the last search took 30 s for 15 fits"
    assert SearchTimes(spec(tmp_path, "model=random_forest")).note() == ""
    cached = StepPlan("train", (), "Trained", cached=True)
    times(RunStarted((cached,)))
    times(StepFinished(cached, 0.1, TRAINED))
    assert (len(heard), times.note()) == (1, "about 30 s, as the last search took 30 s for 15 fits")


@pytest.mark.parametrize("text", ["", "[]", '{"sklearn.linear_model.LogisticRegression": {"seconds": "x"}}'])
def test_a_record_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    times = SearchTimes(spec(tmp_path))
    times(StepFinished(TRAIN, 30.0, TRAINED))
    (file,) = (tmp_path / "cache" / ".searches").iterdir()
    file.write_text(text)
    assert times.note() == ""
