"""All checks together: ten clean tables give no finding, small ones give none by chance, and a whole table is quick."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from orchestrator.checks import leaks
from tests.checks.clean_tables import CLEAN


@pytest.mark.parametrize("name", CLEAN)
def test_a_clean_table_has_no_finding(checker: Any, name: str) -> None:
    table = CLEAN[name]()
    assert checker.find(table, encoded=True) == []
    if name not in {"digits", "classification"}:
        assert checker.find(table.sample(40, random_state=1), encoded=True) == []


@pytest.mark.parametrize("rows", [8, 30])
def test_noise_in_a_small_table_is_no_finding(checker: Any, rows: int) -> None:
    rng = np.random.default_rng(0)
    noise = {f"x{place}": rng.normal(size=rows) for place in range(30)}
    words = {f"w{place}": rng.choice(["a", "b", "c"], rows) for place in range(10)}
    assert checker.find(pd.DataFrame({**noise, **words, "y": [0, 1] * (rows // 2)}), encoded=True) == []
    assert checker.find(pd.DataFrame({**noise, **words, "y": rng.normal(size=rows)}), encoded=True) == []


def test_of_many_rows_a_sample_is_searched(checker: Any) -> None:
    rng = np.random.default_rng(0)
    rows = 3 * leaks.ROWS
    table = pd.DataFrame({"a": rng.normal(size=rows), "y": rng.normal(size=rows)}).assign(copy=lambda t: t["y"] * 2)
    found = checker.check(table)
    assert (found.rows, found.searched) == (rows, leaks.ROWS)
    assert [finding.columns for finding in found.findings] == [("copy",)]
