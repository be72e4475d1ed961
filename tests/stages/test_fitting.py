"""One timed fit for a plan: what it says, and where none is made. What a search is given is tested with the training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator import compose
from orchestrator.config.validate import ValidConfig, validate
from orchestrator.pipeline import bind
from orchestrator.spec.data import DataSpec
from orchestrator.stages import fitting


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=120), "w": rng.integers(1, 3, 120), "y": ["no", "yes"] * 60})
    frame.to_csv(tmp_path / "table.csv", index=False)
    return tmp_path / "table.csv"


def valid(table: Path, *overrides: str) -> ValidConfig:
    typed = ("data=csv", f"data.path={table}", "data.target=y", "model=logistic_regression", "preprocess=tabular")
    return validate(
        compose(*typed, "tracking=none", "deploy=none", f"state_dir={table.parent}/state", "dry_run=true", *overrides)
    )


def test_one_fit_of_the_middle_candidate_says_what_the_search_takes_at_most(
    table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = bind(valid(table, "model.param_grid.C=[0.1,1,10]", "data.weight=w", "search.n_jobs=2"))
    said = run.search_notes(fits=True)["takes"]
    assert said.startswith("at most about ")
    assert ": 15 fits in 2 processes, of which one took " in said
    assert "(C=1; 77 rows); what candidates share" in said  # four fifths of the 96 training rows
    monkeypatch.setattr(fitting, "MOST", 60)
    assert "39 of about 78 rows, and more rows are taken to need as" in run.search_notes(fits=True)["takes"]
    assert "takes" not in run.search_notes()
    assert not (table.parent / "state").exists()


@pytest.mark.parametrize(
    ("section", "changes"),
    [
        ("search", {"scheduler": "tcp://host:8786"}),
        ("search", {"backend": "dask"}),
        ("search", {"scorers": {"mine": {}}}),
        ("model", {"estimator": "mine.Own"}),
        ("data", {"path": "s3://bucket/table.csv"}),
    ],
)
def test_nothing_is_fitted_elsewhere_or_by_code_that_may_do_more(
    table: Path, section: str, changes: dict[str, Any]
) -> None:
    spec, made = valid(table).spec, list[object]()

    def make(data: DataSpec) -> dict[Any, Any]:
        made.append(data)
        return {}

    other = spec.model_copy(update={section: getattr(spec, section).model_copy(update=changes)})
    assert fitting.time_fit(other, make) is None
    assert made == []
    assert fitting.time_fit(spec, make) is None  # what fails is reported by the run
    assert made == [spec.data]
