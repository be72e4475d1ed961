"""Rows that are held out: none of a group on both sides, none older than those learned from, shares as wanted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import train_test_split

from orchestrator.errors import DataError
from orchestrator.modeling.splitting import holdout
from orchestrator.modeling.splitting.holdout import HeldOut, assign_groups, hold_out, show_time
from orchestrator.spec.data import DataSpec
from orchestrator.spec.split import SplitSpec

RNG = np.random.default_rng(0)
ROWS = 400
Y = pd.Series((RNG.random(ROWS) < 0.2).astype(int), name="y")


def data(test_size: float = 0.2, *, stratify: bool = True, **split: Any) -> DataSpec:
    return DataSpec(
        path=Path("t.csv"), format="csv", target="y", test_size=test_size, stratify=stratify, split=SplitSpec(**split)
    )


def split(by: Any, wanted: DataSpec, y: pd.Series = Y, seed: int = 0, *, classified: bool = True) -> HeldOut:
    held = hold_out(y, None if by is None else pd.Series(by), wanted, seed, classified=classified)
    assert not set(held.train) & set(held.test)
    assert (held.summary.training, held.summary.held_out) == (len(held.train), len(held.test))
    return held


@pytest.mark.parametrize("stratify", [True, False])
def test_a_random_split_is_scikit_learns(stratify: bool) -> None:
    held = split(None, data(0.25, stratify=stratify), seed=3)
    rows = train_test_split(np.arange(ROWS), test_size=0.25, random_state=3, stratify=Y if stratify else None)
    assert np.array_equal(held.train, rows[0])
    assert np.array_equal(held.test, rows[1])
    assert held.summary.line == "300 training rows, 100 held out"


@pytest.mark.parametrize("classified", [True, False])
@pytest.mark.parametrize(("share", "groups"), [(0.2, 80), (0.15, 60), (0.33, 7), (0.01, 5), (0.5, 2)])
def test_no_group_is_on_both_sides(share: float, groups: int, classified: bool) -> None:
    who = RNG.integers(0, groups, ROWS)
    held = split(who, data(share, rule="group", by="who"), classified=classified)
    assert not set(who[held.train]) & set(who[held.test])
    assert len(held.train) + len(held.test) == ROWS
    assert abs(len(held.test) / ROWS - share) < max(0.06, 1.2 / groups)
    assert held.summary.groups == (len({*who[held.train]}), len({*who[held.test]}))


def test_groups_are_drawn_by_the_seed_with_similar_shares_of_the_classes() -> None:
    who = RNG.integers(0, 80, ROWS)
    wanted = data(rule="group", by="who")
    first, again, other = (split(who, wanted, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.test, again.test)
    assert not np.array_equal(first.test, other.test)
    assert abs(Y[first.test].mean() - Y.mean()) < 0.03


def test_many_groups_are_balanced_without_looking_at_each(monkeypatch: pytest.MonkeyPatch) -> None:
    who = np.repeat(np.arange(100), 4)
    y = np.repeat(RNG.permutation([1] * 20 + [0] * 80), 4)
    monkeypatch.setattr(holdout, "MOST_GROUPS", 50)
    parts = assign_groups(y, who, 5, 0)
    assert all(len({*parts[who == group]}) == 1 for group in range(100))
    assert [int(y[parts == part].sum()) for part in range(5)] == [16] * 5


def test_too_few_rows_of_every_class_are_an_error() -> None:
    with pytest.raises(DataError, match=r"data\.split\.by: the groups cannot be split so: "):
        assign_groups(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 3]), 4, 0)


def test_the_newest_rows_are_held_out() -> None:
    when = pd.Series(RNG.permutation(ROWS))
    held = split(when, data(0.25, rule="time", by="when"))
    assert when[held.test].tolist() == [*range(300, 400)]
    assert when[held.train].tolist() == [*range(300)]
    assert held.summary.line == "300 training rows, 100 held out; the newest by 'when', from 300"


@pytest.mark.parametrize(("share", "first"), [(0.2, 2019), (0.24, 2019), (0.36, 2018), (0.01, 2019), (0.99, 2016)])
def test_rows_of_one_time_stay_together(share: float, first: int) -> None:
    year = np.tile(np.arange(2015, 2020), 80)
    held = split(year, data(share, rule="time", by="year"))
    assert year[held.test].min() == first
    assert year[held.train].max() == first - 1


def test_rows_in_the_gap_are_in_neither_part() -> None:
    year = np.tile(np.arange(2015, 2020), 80)
    held = split(year, data(rule="time", by="year", gap=2))
    assert {*year[held.train]} == {2015, 2016}
    assert {*year[held.test]} == {2019}
    assert "the newest by 'year', from 2019, 160 rows in the gap before it left out" in held.summary.line
    days = pd.Series(pd.date_range("2024-01-01", periods=ROWS).astype(str))
    held = split(days, data(rule="time", by="day", gap="1w"))
    assert days[held.train].max() == "2024-11-08"
    assert (days[held.test].min(), held.summary.border, held.summary.gap_rows) == ("2024-11-16", "2024-11-16", 7)


def test_a_gap_that_leaves_nothing_is_an_error() -> None:
    with pytest.raises(
        DataError, match=r"data\.split\.gap: no training row is left 9 before 2019, where the hold-out rows"
    ):
        split(np.tile(np.arange(2015, 2020), 80), data(rule="time", by="year", gap=9))


def test_a_column_and_a_file_say_which() -> None:
    part = np.where(np.arange(ROWS) % 4 == 0, "test", "train")
    held = split(part, data(rule="column", by="part"))
    assert held.test.tolist() == [*range(0, ROWS, 4)]
    assert held.summary.line == "300 training rows, 100 held out; as 'part' says"
    held = split(np.arange(ROWS) >= 350, data(rule="file", file="new.csv"))
    assert held.test.tolist() == [*range(350, ROWS)]
    assert held.summary.line == "350 training rows, 50 held out; the rows of new.csv"


def test_times_are_shown_as_short_as_they_are() -> None:
    times = [np.datetime64("2024-01-31T00:00:00", "ns"), np.datetime64("2024-01-31T12:30:00", "ns"), np.int64(7), 0.25]
    assert list(map(show_time, times)) == ["2024-01-31", "2024-01-31 12:30:00", "7", "0.25"]
