"""Mistakes in ``data.split`` and in the splitter of ``search.cv`` that are found before anything runs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest

from orchestrator.config.compose import compose
from orchestrator.spec.run_spec import RunSpec
from tests.found import found

BASE = "data=csv data.path={tmp}/visits.csv data.target=ill preprocess=tabular"
KFOLD = "_target_: sklearn.model_selection"


@pytest.fixture(scope="module")
def tmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    visits = pd.DataFrame(
        {"patient": ["a", "b"], "day": ["2024-01-31", "2024-02-01"], "seen": ["31.1.2024", ""], "age": [30, 40]}
    ).assign(ill=[0, 1])
    visits.to_csv(folder / "visits.csv", index=False)
    visits.to_csv(folder / "more.csv", index=False)
    visits.to_csv(folder / "numbered.csv")
    visits.to_parquet(folder / "visits.parquet")
    visits.drop(columns="ill").rename(columns={"age": "agee"}).to_csv(folder / "other.csv", index=False)
    return folder


def lines(typed: str, tmp: Path, tmp_path: Path) -> Sequence[str]:
    words = shlex.split(f"{BASE} {typed}".replace("{tmp}", str(tmp)))
    return [str(problem) for problem in found(f"state_dir={tmp_path}/state", *words)]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("data.split=gruop", ["data.split.rule: should be 'random', 'group', 'time', 'column' or 'file', got 'gruop'; did"]),
        ("data/split=gruop", ["data/split: there is no option 'gruop'; did you mean 'group'?"]),
        ("data.split=group", ["data.split.by: is missing; data.split=group needs a column, such as data.split.by=customer_id"]),
        ("data/split=time", ["data.split.by: is missing; data.split=time needs a column, such as data.split.by=date"]),
        ("data.split.by=patient", ["data.split.by: data.split=random has no such key; it is for group, time, column"]),
        ("data.split=group data.split.by=patiant", ["data.split.by: visits.csv has no column 'patiant'; did you mean 'patient'?"]),
        ("data.split=group data.split.by=ill", ["data.split.by: 'ill' is the target; name the column that decides the split"]),
        ("data.split=group data.split.by=patient data.split.gap=1d", ["data.split.gap: data.split=group has no such key; it is for time"]),
        ("data.split=group data.split.by=patient data.split.kep=true", ["data.split.kep: there is no such key; did you mean 'keep'?"]),
        (
            "data.split=group data.split.by=age 'preprocess.branches.numeric.columns=[age]'",
            ["preprocess.branches.numeric.columns: 'age' is left out, since rows are split by it; data.split.keep=true keeps"],
        ),
        ("data.split=time data.split.by=day data.split.gap=1month", ["data.split.gap: should be a number in the column's own unit, or 7d"]),
        ("data.split=column data.split.by=seen data.split.test=[a,b] data.split.validation=b", ["data.split.validation: 'b' is held out by data.split.test; name other rows"]),
        ("data.split=time data.split.by=patient", ["data.split.by: 'patient' holds 'a', which is neither a number nor a date"]),
        ("data.split=time data.split.by=seen data.dates=off", ["data.split.by: 'seen' holds '31.1.2024', which is neither"]),
        ("data.split=time data.split.by=day data.split.date_format=%d.%m.%Y", ["data.split.date_format: 'day' holds '2024-01-31', which is not"]),
        ("data.split=file", ["data.split.file: is missing; name the table of the hold-out rows, such as data.split.file=test.csv"]),
        ("data.split=file data.split.file={tmp}/mor.csv", ["data.split.file: there is no file"]),
        ("data.split=file data.split.file={tmp}/visits.csv", ["data.split.file: visits.csv is the table that is learned from"]),
        ("data.split=file data.split.file={tmp}/visits.parquet", ["data.split.file: visits.parquet should be a csv file as data.path is"]),
        (
            "data.split=file data.split.file={tmp}/other.csv",
            [
                "data.split.file: other.csv has no column 'age', which visits.csv has; did you mean 'agee'?",
                "data.split.file: other.csv has no column 'ill', which visits.csv has",
                "data.split.file: other.csv has a column 'agee', which visits.csv has not",
            ],
        ),
        (f"'search.cv={{{KFOLD}.KFlod}}'", ["search.cv._target_: sklearn.model_selection has no 'KFlod'; did you mean 'KFold'?"]),
        (f"'search.cv={{{KFOLD}.KFold, n_splits: 1}}'", ["search.cv: KFold cannot be made: "]),
        (f"'search.cv={{{KFOLD}.GroupKFold}}'", ["search.cv._target_: GroupKFold needs groups; write data.split=group"]),
        ("'search.cv={_target_: subprocess.Popen, args: [touch, {tmp}/hostile]}'", ["search.cv._target_: subprocess.Popen is no Splitter"]),
    ],
)  # fmt: skip
def test_a_mistake_is_reported(typed: str, expected: Sequence[str], tmp: Path, tmp_path: Path) -> None:
    problems = lines(typed, tmp, tmp_path)
    assert len(problems) == len(expected), problems
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start), problem
    assert not (tmp / "hostile").exists()


@pytest.mark.parametrize(
    "typed",
    [
        "data.split=group data.split.by=patient",
        "data/split=group data.split.by=patient data.split.keep=true",
        "data.split=group data.split.by=patient data.drop=[patient]",
        "data.split=time data.split.by=day data.split.gap=7d",
        "data.split=time data.split.by=age data.split.gap=1",
        "data.split=time data.split.by=seen data.split.date_format=%d.%m.%Y",
        "data.split=column data.split.by=patient data.split.test=a",
        "data.split=file data.split.file={tmp}/more.csv",
        "data.split=file data.split.file={tmp}/numbered.csv",
        f"'search.cv={{{KFOLD}.RepeatedStratifiedKFold, n_splits: 3, n_repeats: 2}}'",
        f"'search.cv={{{KFOLD}.GroupKFold}}' data.split=group data.split.by=patient",
    ],
)
def test_what_is_right_raises_no_alarm(typed: str, tmp: Path, tmp_path: Path) -> None:
    assert lines(typed, tmp, tmp_path) == []


def test_one_word_is_the_rule(tmp: Path) -> None:
    words = shlex.split(f"{BASE} data.split=time data.split.by=day".replace("{tmp}", str(tmp)))
    split = RunSpec.parse(compose(*words).values).data.split
    assert (split.rule, split.by, split.keep) == ("time", "day", False)
    words = shlex.split(f"{BASE} 'data.split={{rule: group, by: day}}'".replace("{tmp}", str(tmp)))
    assert RunSpec.parse(compose(*words).values).data.split.rule == "group"
