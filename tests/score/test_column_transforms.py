"""Kinds of columns, and the transformers of ordered categories and of text."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer

from score.column_transforms import WORD, CodesToCategories, ColumnsOfKind, OrderedToNumbers, WordWeights

ROWS = 100
SIZES = pd.CategoricalDtype(["S", "M", "L"], ordered=True)


@pytest.fixture
def table() -> pd.DataFrame:
    """One column of each kind."""
    days = pd.date_range("2020-01-01", periods=ROWS)
    columns = {
        "age": range(ROWS),
        "city": ["Oslo", "Rome"] * 50,
        "flag": [True, False] * 50,
        "maybe": pd.array([True, None] * 50, dtype="boolean"),
        "size": pd.Categorical(["S", "L"] * 50, dtype=SIZES),
        "zip": [f"z{i % 60}" for i in range(ROWS)],
        "zips": pd.Categorical([f"z{i % 60}" for i in range(ROWS)]),
        "title": [f"head of department {i % 45}" for i in range(ROWS)],
        "note": [f"the parcel number {i} came late" for i in range(ROWS)],
        "day": days,
    }
    return pd.DataFrame(columns)


def kinds(table: pd.DataFrame, *words: str, most: int = 40) -> dict[str, str]:
    """Return the kind of each column, after checking that the branches do not share one."""
    words = tuple(dict.fromkeys([*words, "categorical"]))
    found = [(name, word) for word in words for name in ColumnsOfKind(word, words, most)(table)]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_each_column_has_one_kind(table: pd.DataFrame) -> None:
    found = kinds(table, "ordered", "high_cardinality", "text")
    assert found == {
        **dict.fromkeys(["city", "flag", "maybe"], "categorical"),  # and dates in no branch but their own
        "size": "ordered",
        **dict.fromkeys(["zip", "zips", "title"], "high_cardinality"),
        "note": "text",
    }


def test_a_kind_without_a_branch_goes_with_the_next_one(table: pd.DataFrame) -> None:
    assert set(kinds(table).values()) == {"categorical"}
    assert kinds(table, "high_cardinality")["note"] == "high_cardinality"
    assert kinds(table, "text")["zip"] == "categorical"
    assert kinds(table, "datetime")["day"] == "datetime"
    assert kinds(table, "high_cardinality", most=70) | {"note": "high_cardinality"} == kinds(
        table.drop(columns="note"), "high_cardinality", most=70
    ) | {"note": "high_cardinality"}


def test_the_order_of_the_dtype_decides(table: pd.DataFrame) -> None:
    encoder = OrderedToNumbers().fit(table[["size"]])
    others = pd.CategoricalDtype(["S", "M", "L", "XL"], ordered=True)
    rows = pd.DataFrame({"size": pd.Categorical(["M", None, "L", "XL"], dtype=others)})
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(encoder)).transform(rows), [[1], [np.nan], [2], [np.nan]])
    with pytest.raises(TypeError, match="column 'city' is of dtype"):
        OrderedToNumbers().fit(table[["city"]])
    numbers = pd.DataFrame({"x": pd.Categorical([5, 1, None], [5, 1], ordered=True)})
    np.testing.assert_array_equal(OrderedToNumbers().fit_transform(numbers), [[0], [1], [np.nan]])


def test_codes_are_categories_of_the_training_rows() -> None:
    known = pd.DataFrame({"a": [0.0, 2.0, np.nan], "b": [np.nan] * 3}, index=[7, 8, 9])
    step = clone(CodesToCategories()).fit(known)
    made = step.transform(pd.DataFrame({"a": [2.0, 3.0, 0.5, -1.0, np.nan], "b": 0.0}))
    assert [made[name].cat.categories.tolist() for name in made] == [[0, 1, 2], []]
    assert made["a"].tolist()[0] == 2
    assert made.isna().sum().tolist() == [4, 5]
    assert step.transform(known).index.tolist() == [7, 8, 9]


@pytest.mark.parametrize("missing", [None, np.nan])
def test_words_are_weighed_as_scikit_learn_does(table: pd.DataFrame, missing: Any) -> None:
    texts = pd.DataFrame({"note": table["note"], "none": ["?!"] * ROWS})
    weights = clone(WordWeights(max_features=7)).fit(texts)
    right = TfidfVectorizer(max_features=7, token_pattern=WORD, sublinear_tf=True).fit_transform(table["note"])
    np.testing.assert_array_equal(weights.transform(texts), right.toarray())
    rows = pd.DataFrame({"note": ["a parcel", missing], "none": ["", ""]}, dtype=object)
    assert weights.transform(rows).any(axis=1).tolist() == [True, False]
