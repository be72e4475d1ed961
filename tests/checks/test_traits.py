"""What a column is besides a feature; `orchestrate init` is tested on whole tables in tests/cli/test_init.py."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.checks.traits import judge_column, name_words

UUIDS = [f"{place:08x}-0000-4000-8000-{place:012x}" for place in range(60)]


@pytest.mark.parametrize(
    ("name", "values", "kind"),
    [
        ("x", [None] * 30, "empty"),
        ("x", [[1], [2]] * 15, "composite"),
        ("x", [np.array([1])] * 30, "composite"),
        ("x", [1.5] * 30, "constant"),
        ("x", [pd.Timestamp("2024-01-01"), pd.Timestamp("2024-02-01")] * 15, "date"),
        ("x", [dt.date(2024, 1, 1), dt.date(2024, 2, 1)] * 15, "date"),
        ("x", ["01.02.2024", "2.3.2024 10:00"] * 15, "date"),
        ("x", [f"2024{month:02d}01" for month in range(1, 13)] * 3, None),
        ("id", [5, 9, 2], "identifier"),
        ("x", range(5, 35), "identifier"),
        ("x", UUIDS, "identifier"),
        ("x", [*UUIDS[:30], *UUIDS[:30]], "group"),
        ("userId", [*range(30)] * 3, "group"),
        ("firm", [*range(30)] * 3, "group"),
        ("nr", [*range(30)] * 3, "group"),
        ("customer_nr", [*range(30)] * 3, "group"),
        ("body_mass_index", [*range(30)] * 3, None),
        ("number", [*range(30)] * 3, None),
        ("firm", [f"the {place} company" for place in range(30)] * 3, None),
        ("x", [*range(30)] * 3, None),
        ("x", ["a", "b"] * 15, None),
        ("x", [0.5, None] * 15, None),
        ("x", [True, False, None] * 10, None),
    ],
)
def test_the_kind_of_a_column(name: str, values: Any, kind: str | None) -> None:
    trait = judge_column(pd.Series(list(values), name=name))
    assert (trait.kind if trait else None) == kind
    assert trait is None or trait.reason


@pytest.mark.parametrize(
    ("name", "words"),
    [("customerId", ["customer", "id"]), ("HTTP_status", ["http", "status"]), ("x1", ["x", "1"]), ("", [])],
)
def test_the_words_of_a_name(name: str, words: list[str]) -> None:
    assert name_words(name) == words
