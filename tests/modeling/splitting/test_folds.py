"""Folds by the rule of the split: scikit-learn's own where it has them, and checked where they are the user's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    PredefinedSplit,
    RepeatedStratifiedKFold,
    ShuffleSplit,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from orchestrator.errors import DataError
from orchestrator.modeling.splitting import folds as module
from orchestrator.modeling.splitting.folds import Folds, check_folds, leaks, make_folds
from orchestrator.modeling.splitting.holdout import HeldOut, hold_out
from orchestrator.spec.data import DataSpec
from orchestrator.spec.split import SplitSpec

RNG = np.random.default_rng(0)
ROWS = 120
Y = pd.Series(RNG.integers(0, 2, ROWS))
X = pd.DataFrame({"a": RNG.normal(size=ROWS)})


def held_of(values: Any, **split: Any) -> tuple[HeldOut, DataSpec]:
    data = DataSpec(path=Path("t.csv"), format="csv", target="y", test_size=0.25, split=SplitSpec(**split))
    return hold_out(Y, None if values is None else pd.Series(values), data, 0, classified=True), data


def folds_of(
    cv: Any, values: Any, *, classified: bool = True, seed: int = 0, **split: Any
) -> tuple[Folds, HeldOut, str]:
    held, data = held_of(values, **split)
    X_train, y_train = X.iloc[held.train], Y.iloc[held.train]
    folds, said = make_folds(cv, held, X_train, y_train, data.split, seed, classified=classified)
    return folds or (), held, said or ""


def same(folds: Folds, wanted: Any) -> bool:
    return all(
        np.array_equal(part, other)
        for fold, each in zip(folds, wanted, strict=True)
        for part, other in zip(fold, each, strict=True)
    )


def test_a_number_of_random_folds_is_left_to_scikit_learn() -> None:
    assert folds_of(5, None)[0] == ()
    assert folds_of(5, ["test", *["train"] * (ROWS - 1)], rule="column", by="part")[0] == ()


@pytest.mark.parametrize(("classified", "splitter"), [(True, StratifiedGroupKFold(4)), (False, GroupKFold(4))])
def test_folds_of_groups_are_scikit_learns(classified: bool, splitter: Any) -> None:
    folds, held, said = folds_of(4, RNG.integers(0, 20, ROWS), classified=classified, rule="group", by="who")
    y = Y.iloc[held.train]
    assert same(folds, splitter.split(y, y, held.keys))
    assert said == "4, of whole groups"


def test_folds_of_many_groups_keep_them_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_GROUPS", 10)
    folds, held, _ = folds_of(4, RNG.integers(0, 40, ROWS), rule="group", by="who")
    assert all(not {*held.keys[fit]} & {*held.keys[score]} for fit, score in folds)
    assert sorted(row for _, score in folds for row in score) == [*range(len(held.train))]


@pytest.mark.parametrize("gap", [0, 5])
def test_folds_of_distinct_times_are_those_of_time_series_split(gap: int) -> None:
    folds, held, said = folds_of(4, RNG.permutation(ROWS), rule="time", by="when", gap=gap)
    assert same(folds, TimeSeriesSplit(4, gap=gap).split(held.train))
    assert all(held.keys[fit].max() == held.keys[score].min() - gap - 1 for fit, score in folds)
    assert said == "4, each after those it learns from"


def test_rows_of_one_time_are_in_one_fold() -> None:
    folds, held, _ = folds_of(3, np.tile(np.arange(2011, 2021), 12), rule="time", by="year", gap=1)
    for fit, score in folds:
        assert held.keys[fit].max() == held.keys[score].min() - 2
        assert len(score) % 12 == 0
    assert [int(held.keys[score].max()) for _, score in folds] == [2014, 2015, 2016]


def test_validation_rows_are_a_predefined_split() -> None:
    part = RNG.permutation(["test"] * 30 + ["valid"] * 30 + ["train"] * 60)
    folds, held, said = folds_of(5, part, rule="column", by="part")
    assert same(folds, PredefinedSplit(held.keys - 1).split())
    assert said == "1, the validation rows"


@pytest.mark.parametrize(
    "splitter",
    [
        RepeatedStratifiedKFold(n_splits=3, n_repeats=2, random_state=5),
        StratifiedKFold(4),
        KFold(3),
        ShuffleSplit(2, random_state=1),
    ],
    ids=str,
)
def test_a_splitter_is_asked_as_scikit_learn_asks_it(splitter: Any) -> None:
    folds, held, said = folds_of(splitter, None)
    assert same(folds, splitter.split(X.iloc[held.train], Y.iloc[held.train]))
    assert said == f"{splitter.get_n_splits()} of {type(splitter).__name__}"


def test_a_splitter_gets_the_groups() -> None:
    folds, held, said = folds_of(LeaveOneGroupOut(), RNG.integers(0, 8, ROWS), rule="group", by="who")
    assert len(folds) == len({*held.keys})
    assert said == f"{len(folds)} of LeaveOneGroupOut"


@pytest.mark.parametrize(
    "splitter", [KFold(3, shuffle=True), RepeatedStratifiedKFold(n_splits=2, n_repeats=2), ShuffleSplit(2)]
)
def test_a_splitter_without_a_seed_gets_the_runs(splitter: Any) -> None:
    first, again, other = (folds_of(splitter, None, seed=seed)[0] for seed in (7, 7, 8))
    assert same(first, again)
    assert not same(first, other)
    assert splitter.random_state is None


class Odd:
    """A splitter of a library of its own: masks in place of positions."""

    def __init__(self, *masks: Any) -> None:
        self.masks = masks

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:  # noqa: ARG002
        return iter(self.masks)


def test_masks_become_positions() -> None:
    mask = np.arange(90) < 40
    assert same(folds_of(Odd((mask, ~mask)), None)[0], [(np.arange(40), np.arange(40, 90))])


@pytest.mark.parametrize(
    ("cv", "values", "split", "message"),
    [
        (
            5,
            np.arange(ROWS) // 30,
            {"rule": "group", "by": "who"},
            "search.cv: 3 training groups are fewer than 5 folds",
        ),
        (
            4,
            np.arange(ROWS) // 30,
            {"rule": "time", "by": "when"},
            "search.cv: the training rows have 3 distinct times in 'when', and 4 folds need 5",
        ),
        (
            3,
            np.arange(ROWS),
            {"rule": "time", "by": "when", "gap": 30},
            "data.split.gap: 30 leaves fold 1 of 3 no row to learn from",
        ),
        (
            2,
            ["test", *["valid"] * (ROWS - 1)],
            {"rule": "column", "by": "part", "test": "test", "validation": "valid"},
            "no row is left for training",
        ),
        (
            KFold(500),
            None,
            {},
            "search.cv: KFold cannot split 90 training rows: Cannot have number of splits n_splits=500",
        ),
        (
            GroupKFold(3),
            None,
            {},
            "search.cv: GroupKFold cannot split 90 training rows: The 'groups' parameter should not be None",
        ),
        (Odd(), None, {}, "search.cv: Odd makes no folds"),
        (Odd(([0, 1], [])), None, {}, "search.cv: Odd makes an empty fold"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_folds_that_cannot_be_made_are_one_line(cv: Any, values: Any, split: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError) as caught:
        folds_of(cv, values, **split)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_splitter_that_breaks_the_rule_is_noted() -> None:
    who = {"rule": "group", "by": "who"}
    held, data = held_of(RNG.integers(0, 8, ROWS), **who)
    mixed, whole = list(KFold(3).split(held.train)), list(GroupKFold(3).split(held.train, None, held.keys))
    assert leaks(whole, held, data.split) == []
    assert leaks(mixed, held, data.split) == [
        "search.cv: in 3 of 3 folds groups of 'who' are on both sides: these scores may be too good"
    ]
    held, data = held_of(np.arange(ROWS), rule="time", by="when")
    assert leaks(list(TimeSeriesSplit(3).split(held.train)), held, data.split) == []
    (note,) = leaks(list(KFold(3).split(held.train)), held, data.split)
    assert note.startswith("search.cv: in 2 of 3 folds rows are scored that are no newer by 'when' than those learned")


def test_folds_without_a_class_are_refused_if_a_metric_needs_it() -> None:
    y = pd.Series([0] * 10 + [1] * 10)
    late, both = (np.arange(5), np.arange(5, 20)), (np.array([0, 10]), np.array([1, 2]))
    with pytest.raises(
        DataError, match=r"search\.cv: fold 1 of 1 learns from no row of class 'yes', and fitting needs one"
    ):
        check_folds([late], y, ["no", "yes"], lambda fit, score: [])  # noqa: ARG005
    with pytest.raises(
        DataError, match=r"fold 1 of 1 is scored on no row of class 'yes', and roc_auc needs one; use fewer"
    ):
        check_folds([both], y, ["no", "yes"], lambda fit, score: ["roc_auc"])  # noqa: ARG005
    check_folds([both], y, ["no", "yes"], lambda fit, score: [])  # noqa: ARG005
