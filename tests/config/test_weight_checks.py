"""Mistakes in ``data.weight`` that are found before anything runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pandas as pd
import pytest

from tests.found import found

BASE = "data=csv data.path={tmp}/visits.csv data.target=ill preprocess=tabular data.weight=weight"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("", []),
        ("'data.drop=[weight]'", []),
        ("data.weight=wieght", ["data.weight: visits.csv has no column 'wieght'; did you mean 'weight'?"]),
        ("data.weight=ill", ["data.weight: 'ill' is the target; name the column of the rows' weights"]),
        ("data.split=group data.split.by=weight", ["data.weight: 'weight' decides the split (data.split.by); name another"]),
        ("'data.text_columns=[weight]'", ["data.weight: 'weight' is read as text (data.text_columns), and a weight is a"]),
        ("'preprocess.branches.numeric.columns=[weight]'", ["preprocess.branches.numeric.columns: 'weight' is left out, since it"]),
        (
            "model=linear data.task=regression 'search.scoring=[r2,neg_max_error]'",
            ["search.scoring: neg_max_error takes no weights, and data.weight is 'weight'; leave it out, or wrap a metric"],
        ),
    ],
)  # fmt: skip
def test_each_is_named_with_its_remedy(typed: str, expected: list[str], tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": [30, 40], "weight": [1.5, 2], "ill": [0, 1]})
    frame.to_csv(tmp_path / "visits.csv", index=False)
    words = shlex.split(f"{BASE} {typed}".replace("{tmp}", str(tmp_path)))
    problems = [str(problem) for problem in found(f"state_dir={tmp_path}/state", *words)]
    assert len(problems) == len(expected), problems
    for problem, text in zip(problems, expected, strict=True):
        assert problem.startswith(text)
