"""What changed against the champion's training data: found where it did, and nothing where rows differ by chance."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.artifacts import Split
from orchestrator.report.changes import TrainingData, compare_data
from orchestrator.report.inspection import DataChanges
from orchestrator.report.sections import describe_changes
from score.contract.distribution import Profile
from score.contract.schema import Contract


def table(rows: int, seed: int, shift: float = 0.0, city: tuple[float, float, float] = (0.5, 0.3, 0.2)) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    days = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 365, rows), unit="D")
    return pd.DataFrame(
        {
            "age": rng.normal(40 + shift, 10, rows),
            "visits": rng.poisson(3, rows),
            "city": rng.choice(["Rome", "Oslo", "Lima"], rows, p=city),
            "member": rng.random(rows) < 0.3,
            "day": days,
        }
    )


def split_of(X: pd.DataFrame, positives: float = 0.3, seed: int = 9, *, regression: bool = False) -> Split:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=len(X)) if regression else (rng.random(len(X)) < positives).astype("int64")
    y, border = pd.Series(values, name="churned"), round(0.8 * len(X))
    return Split(X[:border], X[border:], y[:border], y[border:], None if regression else ("no", "yes"), "d")


def trained_on(split: Split) -> TrainingData:
    task = "regression" if split.classes is None else "classification"
    contract = Contract.describe(split.X_train, model_name="m", task=task, classes=split.classes)
    described = (Profile.describe(split.X_train[one.name], one.kind, one.categories) for one in contract.columns)
    labels = split.y_train if split.classes is None else split.y_train.map(dict(enumerate(split.classes)))
    target = Profile.describe(labels, "number" if split.classes is None else "category", split.classes)
    about: dict[str, Any] = {"training_rows": len(split.y_train), "held_out_rows": len(split.y_test)}
    about["target_profile"] = target and asdict(target)
    return TrainingData("champion version 3", contract, {one.column: one for one in described if one}, about)


def found(before: pd.DataFrame, now: pd.DataFrame, **options: Any) -> DataChanges:
    return compare_data(trained_on(split_of(before)), split_of(now, **options), fit_on_all=False)


def test_changed_columns_are_listed_most_first_with_their_values() -> None:
    now = table(600, 1, shift=30, city=(0.1, 0.3, 0.6))
    now.loc[:99, "city"] = "Kyiv"
    changes = found(table(500, 0), now, positives=0.6)
    assert [(one.name, one.what) for one in changes.columns] == [("age", "changed"), ("city", "changed")]
    age, city = changes.columns
    assert "median 39" in age.before
    assert "median 7" in age.now
    assert "beyond the former range" in age.now
    assert city.before.startswith('"Rome": 5')
    assert "other values: 0 %" in city.before
    assert "other values: 21 %" in city.now
    said = describe_changes(changes)
    assert said.startswith(
        "Against the training data of champion version 3: 400 rows then, 480 now. Target churned then:"
    )
    assert '"yes": 6' in said.partition("Now:")[2]
    assert "Of 5 columns 2 changed" in said


def test_new_gone_and_retyped_columns_are_listed() -> None:
    now = table(300, 1).drop(columns="visits").assign(member="yes", extra=1)
    changes = found(table(300, 0), now)
    assert [(one.name, one.what) for one in changes.columns] == [
        ("member", "another type"),
        ("extra", "new column"),
        ("visits", "not there any more"),
    ]


@pytest.mark.parametrize("rows", [40, 200, 3000])
def test_rows_of_one_distribution_change_nothing(rows: int) -> None:
    listed = [found(table(rows, seed), table(rows, seed + 500, city=(0.5, 0.3, 0.2))).columns for seed in range(8)]
    assert sum(map(len, listed)) == 0


def test_the_same_rows_change_nothing_and_a_regression_has_a_range() -> None:
    split = split_of(table(100, 0), regression=True)
    changes = compare_data(trained_on(split), split, fit_on_all=False)
    assert changes.columns == ()
    assert changes.largest[1] == pytest.approx(0, abs=1e-9)
    assert changes.target is not None
    assert changes.target.before == changes.target.now
    said = describe_changes(changes)
    assert "No column changed: the largest population stability index is 0.00, of" in said
    assert "median" in said


def test_a_package_without_the_targets_profile_and_missing_cells() -> None:
    before = trained_on(split_of(table(300, 0)))
    before = replace(before, about={"training_rows": 240})
    now = table(300, 1)
    now.loc[:150, "age"] = np.nan
    now["visits"] = now["visits"].astype(float).replace(3, np.inf)
    changes = compare_data(before, split_of(now), fit_on_all=True)
    assert changes.target is None
    (age,) = [one for one in changes.columns if one.name == "age"]
    assert ("missing: 0 %" in age.before, "missing: 50 %" in age.now) == (True, True)
    assert changes.rows == 300


def test_a_target_of_another_name_is_named() -> None:
    before = trained_on(split_of(table(300, 0)))
    before = replace(before, about={**before.about, "target": "bought"})
    said = describe_changes(compare_data(before, split_of(table(300, 1)), fit_on_all=False))
    assert "Target bought then: " in said
    assert "Now churned: " in said


def test_of_a_column_without_a_profile_only_the_type_is_compared() -> None:
    changes = found(table(300, 0).assign(visits=np.nan), table(300, 1))
    assert "Of 1 column only the type was compared" in describe_changes(changes)
