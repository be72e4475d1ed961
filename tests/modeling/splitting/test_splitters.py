"""Splitters by their dotted path: located, checked, then made; and the plan in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from sklearn.model_selection import StratifiedKFold

from orchestrator.modeling.splitting import splitters
from orchestrator.spec.search import SearchSpec
from orchestrator.spec.section import Component
from orchestrator.spec.split import SplitSpec

RANDOM = SplitSpec()
GROUP = SplitSpec(rule="group", by="who")


def splitter(name: str, **options: Any) -> Component:
    return Component(**{"_target_": f"sklearn.model_selection.{name}", **options})


def search(cv: Any) -> SearchSpec:
    return SearchSpec(_target_="orchestrator.search.SharedGridSearchCV", cv=cv, scoring=("accuracy",), refit="accuracy")


@pytest.mark.parametrize(
    ("cv", "split", "message"),
    [
        (
            splitter("KFlod"),
            RANDOM,
            "search.cv._target_: sklearn.model_selection has no 'KFlod'; did you mean 'KFold'?",
        ),
        (
            splitter("GridSearchCV"),
            RANDOM,
            "search.cv._target_: sklearn.model_selection._search.GridSearchCV is no Splitter",
        ),
        (Component(_target_="subprocess.Popen"), RANDOM, "search.cv._target_: subprocess.Popen is no Splitter"),
        (splitter("cross_val_score"), RANDOM, "search.cv._target_: should name a class"),
        (splitter("KFold", n_split=3), RANDOM, "search.cv.n_split: KFold has no such option; did you mean 'n_splits'?"),
        (splitter("KFold", n_splits=1), RANDOM, "search.cv: KFold cannot be made: k-fold cross-validation requires"),
        (splitter("PredefinedSplit"), RANDOM, "search.cv.test_fold: is missing; PredefinedSplit needs this option"),
        (splitter("GroupKFold"), RANDOM, "search.cv._target_: GroupKFold needs groups; write data.split=group"),
        (splitter("LeaveOneGroupOut"), RANDOM, "search.cv._target_: LeaveOneGroupOut needs groups"),
        (splitter("StratifiedGroupKFold"), SplitSpec(rule="time", by="at"), "StratifiedGroupKFold needs groups"),
    ],
    ids=str,
)
def test_a_wrong_splitter_is_one_problem(cv: Component, split: SplitSpec, message: str) -> None:
    (problem,) = splitters.problems(cv, split)
    assert message in str(problem)


@pytest.mark.parametrize(
    ("cv", "split"),
    [
        (5, RANDOM),
        (splitter("RepeatedStratifiedKFold", n_splits=3, n_repeats=2), RANDOM),
        (splitter("TimeSeriesSplit", n_splits=3, gap=2), RANDOM),
        (splitter("GroupKFold"), GROUP),
        (splitter("LeavePGroupsOut", n_groups=2), GROUP),
        (splitter("KFold"), GROUP),  # its folds are looked at once they are made
    ],
    ids=str,
)
def test_a_right_splitter_is_none(cv: Any, split: SplitSpec) -> None:
    assert list(splitters.problems(cv, split)) == []


def test_it_is_made_with_its_options() -> None:
    made = splitters.make_splitter(splitter("StratifiedKFold", n_splits=4, shuffle=True, random_state=3))
    assert isinstance(made, StratifiedKFold)
    assert (made.n_splits, made.shuffle, made.random_state) == (4, True, 3)
    assert splitters.make_splitter(4) == 4


@pytest.mark.parametrize(
    ("cv", "split", "count", "said"),
    [
        (5, RANDOM, 5, "5 folds"),
        (5, GROUP, 5, "5 folds of whole groups"),
        (5, SplitSpec(rule="time", by="at"), 5, "5 folds, each after those it learns from"),
        (5, SplitSpec(rule="column", by="part"), None, "5 folds, or the validation rows of 'part'"),
        (splitter("RepeatedKFold", n_splits=3, n_repeats=2), RANDOM, 6, "6 folds of RepeatedKFold"),
        (splitter("LeaveOneGroupOut"), GROUP, None, "the folds of LeaveOneGroupOut"),
    ],
    ids=str,
)
def test_folds_are_counted_before_any_row_is_read(cv: Any, split: SplitSpec, count: int | None, said: str) -> None:
    assert splitters.fold_count(search(cv), split) == count
    assert splitters.describe_folds(search(cv), split) == said


@pytest.mark.parametrize(
    ("split", "said"),
    [
        (RANDOM, "at random, 20% of the rows held out, stratified if the target has classes"),
        (GROUP, "by 'who', whole groups with 20% of the rows held out"),
        (
            SplitSpec(rule="time", by="at", gap="7d"),
            "by 'at', the newest 20% of the rows held out, 7d after the others",
        ),
        (SplitSpec(rule="column", by="part"), "as 'part' says"),
        (SplitSpec(rule="file", file=Path("new.csv")), "the rows of new.csv are held out"),
    ],
    ids=str,
)
def test_the_rule_is_said_in_words(split: SplitSpec, said: str) -> None:
    assert splitters.describe_rule(split, 0.2, stratified=True) == said
