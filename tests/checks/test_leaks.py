"""Leaks: what gives the target away is found, and a strong column is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

ROWS = 400
RNG = np.random.default_rng(0)
PRICE = RNG.lognormal(8, 1, ROWS)
RETURN = RNG.normal(size=ROWS)
UP = (RETURN > 0).astype(int)
FEW = (RNG.random(ROWS) < 0.05).astype(int)
THREE = RNG.integers(0, 3, ROWS)


@pytest.mark.parametrize(
    ("target", "leak"),
    [
        (PRICE, np.log(PRICE)),
        (PRICE, PRICE / 1000),
        (PRICE, (PRICE / 100).round()),
        (PRICE, -PRICE),
        (PRICE, np.where(np.arange(ROWS) % 50, PRICE, np.nan)),
        (RETURN, RETURN * (1 + 0.01 * RNG.normal(size=ROWS))),
        (UP, RETURN),
        (UP, np.where(UP == 1, "rise", "fall")),
        (UP, UP == 1),
        (UP, np.where(UP == 1, RETURN, np.nan)),
        (FEW, FEW * 3 + RNG.random(ROWS)),
        (THREE, (THREE - 1.0) ** 2 * 5 + THREE),
        (THREE, [f"{label}{place % 7}" for place, label in enumerate(THREE)]),
    ],
)
def test_a_column_that_gives_the_target_away_is_found(checker: Any, target: Any, leak: Any) -> None:
    table = pd.DataFrame({"fine": RNG.normal(size=ROWS), "leak": leak, "y": target})
    (finding,) = checker.find(table, drop=("id",))
    assert (finding.code, finding.columns, finding.remedy) == ("data-leak", ("leak",), "'data.drop=[id,leak]'")
    assert "column 'leak' alone nearly determines the target 'y'" in finding.text


def test_the_logarithm_is_named(checker: Any) -> None:
    (finding,) = checker.find(pd.DataFrame({"a": np.log(PRICE), "y": PRICE}))
    assert "(it is a linear function of its logarithm): a model of it explains 99.99% of the" in finding.text


@pytest.mark.parametrize(
    ("target", "column"),
    [
        (PRICE, PRICE * RNG.lognormal(0, 0.25, ROWS)),
        (RETURN, RETURN + 0.2 * RNG.normal(size=ROWS)),
        (UP, RETURN + 0.1 * RNG.normal(size=ROWS)),
        (UP, np.where(RNG.random(ROWS) < 0.03, 1 - UP, UP)),
        (FEW, np.zeros(ROWS) + np.arange(ROWS) % 2),
        (UP, [f"town {place}" for place in RNG.integers(0, 150, ROWS)]),
        (PRICE, [f"town {place}" for place in RNG.integers(0, 150, ROWS)]),
    ],
)
def test_a_strong_column_is_none(checker: Any, target: Any, column: Any) -> None:
    assert checker.find(pd.DataFrame({"x": column, "y": target})) == []


def test_parts_beside_their_sum_are_found(checker: Any) -> None:
    table = pd.DataFrame({name: RNG.integers(0, size, ROWS) for name, size in (("casual", 50), ("member", 900))})
    table = table.assign(hot=RNG.normal(size=ROWS), y=(table["casual"] + table["member"]).astype(float))
    (finding,) = checker.find(table)
    assert (finding.code, finding.columns) == ("data-leak", ("member", "casual"))
    assert "give the target 'y' exactly: 'member' + 'casual'" in finding.text
    profit = table.assign(y=table["member"] - table["casual"] + 0.5)
    assert [finding.columns for finding in checker.find(profit)] == [("member", "casual")]


def test_another_linear_target_is_no_sum(checker: Any) -> None:
    table = pd.DataFrame(RNG.normal(size=(ROWS, 4)), columns=[*"abcd"])
    assert checker.find(table.assign(y=3 * table["a"] + 0.2 * table["b"] - 5 * table["c"] + table["d"])) == []
