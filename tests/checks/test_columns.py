"""Constants, identifiers, free text, and categories that make many columns."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

RNG = np.random.default_rng(0)
ROWS = 240
BASE = pd.DataFrame({"a": RNG.normal(size=ROWS), "y": RNG.integers(0, 2, ROWS)})
NOTES = [f"{word} the order no {place}" for place, word in enumerate(["return", "change", "repeat"] * 80)]


@pytest.mark.parametrize(
    ("column", "code"),
    [
        ([7] * ROWS, "data-constant"),
        (["x"] * ROWS, "data-constant"),
        ([np.nan] * ROWS, "data-constant"),
        (range(ROWS), "data-identifier"),
        ([f"{place * 7919:x}" for place in range(ROWS)], "data-identifier"),
        (NOTES, "data-free-text"),
    ],
)
def test_a_column_that_is_no_feature_is_found(checker: Any, column: Any, code: str) -> None:
    (finding,) = checker.find(BASE.assign(x=column))
    assert (finding.code, finding.columns, finding.remedy) == (code, ("x",), "'data.drop=[x]'")


def test_many_constants_are_one_finding(checker: Any) -> None:
    (finding,) = checker.find(BASE.assign(**{f"x{place}": 0 for place in range(8)}))
    assert finding.columns == tuple(f"x{place}" for place in range(8))
    assert "columns 'x0', 'x1', 'x2', 'x3', 'x4' and 3 more are empty or have one value" in finding.text


def test_what_one_hot_encoding_would_cost_is_said(checker: Any) -> None:
    wide = BASE.assign(town=[f"town {place}" for place in RNG.integers(0, 100, ROWS)], state=[*"abcdefgh"] * 30)
    width = wide["town"].nunique()
    (finding,) = checker.find(wide, encoded=True)
    assert (finding.code, finding.columns) == ("data-cardinality", ("town",))
    assert f"one-hot encoding makes {width} columns of it" in finding.text
    assert finding.remedy == "++preprocess.branches.categorical.steps.encode.max_categories=20"
    assert checker.find(wide) == []  # nothing is encoded
    (finding,) = checker.find(BASE.assign(x=NOTES), encoded=True)
    assert finding.text.endswith("one-hot encoding makes 240 columns of it; write 'data.drop=[x]'")


def test_near_constants_and_flags_are_features(checker: Any) -> None:
    columns: dict[str, Any] = {"rare": [1] + [0] * (ROWS - 1), "seen": ["x", None] * (ROWS // 2)}
    table = BASE.assign(**columns, flag=[True, False] * (ROWS // 2))
    assert checker.find(table, encoded=True) == []
