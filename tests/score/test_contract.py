"""The contract: what it reads off a training frame, its JSON, and the fingerprint of a package."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from score.body import Reader, read
from score.cells import TableFormat
from score.contract import Column, Contract, fingerprint_of, json_value


def described(**columns: Any) -> dict[str, Column]:
    contract = Contract.describe(pd.DataFrame(columns), model_name="m", task="regression")
    return {column.name: column for column in contract.columns}


def test_it_describes_columns_of_each_kind(mixed: pd.DataFrame) -> None:
    columns = {name: described(**{name: mixed[name]})[name] for name in map(str, mixed)}
    kinds = {name: column.kind for name, column in columns.items()}
    assert kinds == {
        "age": "integer", "income": "number", "member": "boolean", "city": "category", "grade": "category",
        "level": "category", "note": "string",
    }  # fmt: skip
    assert [name for name, column in columns.items() if column.missing] == ["income", "city"]
    assert columns["city"].categories == ["Kyiv", "Oslo", "Rome"]
    assert (columns["grade"].categories, columns["grade"].ordered) == (["low", "high"], True)
    assert columns["level"].categories == [1, 2, 3]
    age = columns["age"]
    assert (age.dtype, age.minimum, age.maximum) == ("int64", mixed["age"].min(), mixed["age"].max())
    assert {type(age.minimum), type(age.example)} == {int}


def test_infinities_are_left_out_of_the_range() -> None:
    column = described(x=[np.inf, 1.0, -np.inf, 2.0, np.nan])["x"]
    assert (column.minimum, column.maximum, column.example, column.missing) == (1.0, 2.0, 1.0, True)
    column = described(x=[np.nan, np.nan])["x"]
    assert (column.kind, column.minimum, column.example) == ("number", None, None)


@pytest.mark.parametrize(
    "values",
    [
        pd.Series([1, 2], dtype="int8"),
        pd.Series([1, 2**64 - 1], dtype="uint64"),
        pd.Series([1.5, None], dtype="float32"),
        pd.Series([1, None], dtype="Int64"),
        pd.Series([1.5, None], dtype="Float64"),
        pd.Series([True, None], dtype="boolean"),
        pd.Series([True, None], dtype=object),
        pd.Series([True, np.nan], dtype=object),
        pd.Series(["a", None], dtype=object),
        pd.Series(["a", np.nan], dtype=object),
        pd.Series(["a", None]),
        pd.Series(["a", None], dtype="string"),
        pd.Series([None, None], dtype=object),
        pd.Series([True, None], dtype="category"),
        pd.Series([1.5, None], dtype="category"),
    ],
    ids=lambda values: f"{values.dtype}-{values.iloc[-1]}",
)
def test_each_dtype_comes_back_from_json_as_it_was(values: pd.Series) -> None:
    frame = values.to_frame("x")
    contract = Contract.from_json(Contract.describe(frame, model_name="m", task="regression").to_json())
    rows = [{"x": None if pd.isna(value) else json_value(value)} for value in values]
    reader = Reader(contract)
    back = reader.frame(reader.columns(read(json.dumps({"data": rows}))))
    pd.testing.assert_frame_equal(back, frame)
    assert [type(value) for value in back["x"]] == [type(value) for value in frame["x"]]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pd.to_datetime(["2020-01-01"]), "datetime64"),
        (pd.to_timedelta(["1h"]), "timedelta64"),
        ([1 + 2j], "complex128"),
        (pd.Series(["a", 1], dtype=object), "object with int and str"),
        (pd.Series([1, 2], dtype=object), "object with int"),
        (pd.Series([[1], [2]]), "object with list"),
        (pd.period_range("2020", periods=1), "period"),
        (pd.Series([1, 0], dtype="Sparse[int]"), "Sparse"),
    ],
)
def test_columns_without_json_are_refused_by_name(values: Any, told: str) -> None:
    with pytest.raises(ValueError, match=rf"column 'when' is {told}.*: make it numbers, booleans or text"):
        described(when=values)


def test_categories_without_json_are_refused() -> None:
    with pytest.raises(ValueError, match="has no JSON"):
        described(when=pd.Series(pd.to_datetime(["2020-01-01"])).astype("category"))


def test_names_must_be_text_and_stand_once() -> None:
    with pytest.raises(ValueError, match=r"column names must be text, got 0, 1: rename"):
        Contract.describe(pd.DataFrame([[1, 2]]), model_name="m", task="regression")
    with pytest.raises(ValueError, match=r"columns stand twice: 'a'; rename"):
        Contract.describe(pd.DataFrame([[1, 2]], columns=["a", "a"]), model_name="m", task="regression")


@pytest.mark.parametrize(
    ("known", "told"),
    [
        ({"task": "clustering"}, "task should be one of classification, regression, got 'clustering'"),
        ({"task": "regression", "extra_columns": "drop"}, "extra_columns should be one of forbid, ignore"),
        ({"task": "classification"}, "a classification has classes"),
        ({"task": "regression", "classes": [1]}, "a regression has none"),
    ],
)
def test_wrong_words_are_refused(known: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Contract.describe(pd.DataFrame({"a": [1]}), model_name="m", **known)


def test_its_json_keeps_how_the_table_was_written(X: pd.DataFrame) -> None:
    contract = Contract.describe(X, model_name="m", task="regression")
    for form in (
        None,
        TableFormat(),
        TableFormat(separator=";", decimal=",", missing=("", "-"), text_columns=("zip",)),
    ):
        written = dataclasses.replace(contract, table=form)
        assert Contract.from_json(written.to_json()).table == form


def test_its_json_has_the_promised_form(X: pd.DataFrame) -> None:
    labels = np.array([0, 1])
    contract = Contract.describe(
        X, model_name="m", task="classification", classes=labels, versions={"scikit-learn": "1.9.1"}
    )
    held = json.loads(contract.to_json())
    assert list(held) == [
        "format", "model", "task", "columns", "classes", "extra_columns", "versions", "fingerprint", "table",
    ]  # fmt: skip
    assert (held["format"], held["model"], held["classes"]) == (1, {"name": "m"}, [0, 1])
    assert held["columns"][0].items() >= {"name": "Pregnancies", "kind": "integer", "dtype": "int64"}.items()
    assert Contract.from_json(contract.to_json()).to_json() == contract.to_json()


def test_the_fingerprint_knows_every_file_but_not_itself(tmp_path: Path, X: pd.DataFrame) -> None:
    (tmp_path / "score").mkdir()
    (tmp_path / "score/a.py").write_text("1")
    contract = Contract.describe(X, model_name="m", task="regression").write(tmp_path)
    assert contract.fingerprint == fingerprint_of(tmp_path)
    assert Contract.from_json((tmp_path / "contract.json").read_bytes()).fingerprint == contract.fingerprint

    (tmp_path / "score/__pycache__").mkdir()
    (tmp_path / "score/__pycache__/a.pyc").write_text("compiled")
    assert fingerprint_of(tmp_path) == contract.fingerprint
    (tmp_path / "score/a.py").write_text("2")
    changed = fingerprint_of(tmp_path)
    (tmp_path / "score/a.py").rename(tmp_path / "score/b.py")
    renamed = fingerprint_of(tmp_path)
    other = dataclasses.replace(contract, model_name="n").write(tmp_path).fingerprint
    assert len({contract.fingerprint, changed, renamed, other}) == 4
