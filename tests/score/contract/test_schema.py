"""The contract: what it reads off a training frame, its JSON, and the fingerprint of a package."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from score.contract.cells import TableFormat
from score.contract.columns import rule_for
from score.contract.schema import Column, Contract, Levels, fingerprint_of, json_value
from score.payload.errors import BadRequest
from score.payload.reader import Reader, parse_body


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
    back = reader.frame(reader.columns(parse_body(json.dumps({"data": rows}))))
    pd.testing.assert_frame_equal(back, frame)
    assert [type(value) for value in back["x"]] == [type(value) for value in frame["x"]]


@pytest.mark.parametrize(
    ("values", "reported"),
    [
        (pd.to_timedelta(["1h"]), "timedelta64"),
        ([1 + 2j], "complex128"),
        (pd.Series(["a", 1], dtype=object), "object with int and str"),
        (pd.Series([1, 2], dtype=object), "object with int"),
        (pd.Series([1, 2**70], dtype=object), "of integers beyond 64 bits"),
        (pd.Series([[1], [2]]), "object with list"),
        (pd.period_range("2020", periods=1), "period"),
        (pd.Series([1, 0], dtype="Sparse[int]"), "Sparse"),
    ],
)
def test_columns_without_json_are_refused_by_name(values: Any, reported: str) -> None:
    with pytest.raises(ValueError, match=rf"column 'when' is {reported}.*: make it numbers, booleans or text"):
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
    ("known", "reported"),
    [
        ({"task": "clustering"}, "task should be one of classification, regression, got 'clustering'"),
        ({"task": "regression", "extra_columns": "drop"}, "extra_columns should be one of forbid, ignore"),
        ({"task": "classification"}, "a classification has classes"),
        ({"task": "regression", "classes": [1]}, "a regression has none"),
    ],
)
def test_wrong_words_are_refused(known: dict[str, Any], reported: str) -> None:
    with pytest.raises(ValueError, match=reported):
        Contract.describe(pd.DataFrame({"a": [1]}), model_name="m", **known)


@pytest.mark.parametrize("levels", [2, 7, 99, 100, 101, 300])
@pytest.mark.parametrize(("each", "kind"), [(1, "string"), (2, "category"), (9, "category")])
def test_a_category_has_few_levels_for_its_rows_whatever_their_number(levels: int, each: int, kind: str) -> None:
    column = described(x=[f"level {i % levels}" for i in range(levels * each)])["x"]
    assert column.kind == kind
    assert column.decided.startswith(f"{levels} {'levels' if kind == 'category' else 'distinct values'} in ")
    assert f" in {levels * each} rows: " in column.decided


def test_the_rule_of_categories_can_be_changed() -> None:
    frame = pd.DataFrame({"x": [f"level {i % 30}" for i in range(100)]})
    kinds = []
    for levels in (Levels(), Levels(share=0.3), Levels(share=0.29), Levels(most=30), Levels(most=29)):
        (column,) = Contract.describe(frame, model_name="m", task="regression", levels=levels).columns
        kinds.append(column.kind)
    assert kinds == ["category", "category", "string", "category", "string"]


def test_levels_and_missing_values_of_hold_out_rows_are_accepted_and_ranges_are_trainings() -> None:
    training = pd.DataFrame({"city": ["Oslo", "Rome"] * 9, "age": [1.0, 2.0] * 9, "flag": [True, False] * 9})
    held_out = pd.DataFrame({"city": ["Kyiv", None], "age": [None, 99.0], "flag": [True, True]})
    contract = Contract.describe(training, model_name="m", task="regression", held_out=held_out)
    city, age, flag = contract.columns
    assert (city.categories, city.held_out, city.missing) == (["Kyiv", "Oslo", "Rome"], ["Kyiv"], True)
    assert (age.minimum, age.maximum, age.missing) == (1.0, 2.0, True)
    assert (flag.missing, flag.held_out) == (False, ())
    reader = Reader(contract)
    columns = reader.columns(
        parse_body({"data": [{"city": "Kyiv", "age": 99, "flag": True}, {"city": None, "age": None, "flag": True}]})
    )
    assert reader.flags(columns) == ({"age": 1}, {"city": 1})


def test_levels_that_a_dtype_declares_and_no_row_has_are_no_categories() -> None:
    values = pd.Series(pd.Categorical(["low", "high"] * 5, ["low", "middle", "high"], ordered=True), name="x")
    (column,) = Contract.describe(values.to_frame(), model_name="m", task="regression").columns
    assert (column.categories, column.declared) == (["low", "high"], ["low", "middle", "high"])
    opened = dataclasses.replace(column, unseen="accept")
    reader = Reader(Contract("m", "regression", (opened,)))
    frame = reader.frame(reader.checked({"x": ["high", "middle", "huge", "low"]}))
    assert list(frame["x"].cat.categories) == ["low", "middle", "high", "huge"]
    assert list(frame["x"]) == ["high", "middle", "huge", "low"]
    assert reader.flags({"x": ["high", "middle", "huge", "low"]}).unseen == {"x": 2}


@pytest.mark.parametrize(
    ("levels", "taken", "refused"),
    [
        (["a", "b"], ["c", "", "a"], [1, True, "\ud800", None]),
        ([1, 2], [3, 4.0, -(2**53) + 1], ["3", 2.5, True, 2**53, float("inf"), float("nan")]),
        ([1.5, 2.5], [3, 0.1], ["a", float("inf"), True, 1e300]),
        ([True], [False], [0, "True"]),
    ],
)
def test_an_unseen_level_is_accepted_where_it_could_be_one(levels: Any, taken: Any, refused: Any) -> None:
    values = pd.Series(pd.Categorical(levels * 3), name="x")
    (column,) = Contract.describe(values.to_frame(), model_name="m", task="regression").columns
    closed, reader = (
        Reader(Contract("m", "regression", (column,))),
        Reader(Contract("m", "regression", (dataclasses.replace(column, unseen="accept"),))),
    )
    for value in taken:
        columns = reader.columns(parse_body({"data": [{"x": value}]}))
        assert columns["x"] == [value]
        assert reader.flags(columns).unseen == ({} if value in levels else {"x": 1})
        assert value in levels or _refuses(closed, value)
    for value in refused:
        assert _refuses(reader, value)


@pytest.mark.parametrize(
    ("levels", "dtype"), [(["a", "b"], "object"), (["a", "b"], "str"), (["a", "b"], "category"), ([1, 2], "category")]
)
def test_an_unseen_level_can_be_scored_as_a_missing_value(levels: list[Any], dtype: str) -> None:
    if dtype == "str" and int(pd.__version__.partition(".")[0]) < 3:
        pytest.skip("pandas 2 has text as objects")
    table = pd.Series([*levels[:1] * 4, *levels[1:] * 4], dtype=dtype, name="x").to_frame()
    training, held_out = table[:4], table[4:]
    contract = Contract.describe(training, model_name="m", task="regression", held_out=held_out)
    column = dataclasses.replace(contract.columns[0], unseen="missing", missing_as="nan" if dtype == "object" else None)
    reader = Reader(Contract("m", "regression", (column,)))
    known, held, new = [*levels, "c" if levels == ["a", "b"] else 3]
    columns = reader.columns(parse_body({"data": [{"x": known}, {"x": held}, {"x": new}]}))
    assert columns["x"] == [known, held, new]  # as they came: they are counted, and the model gets others
    assert reader.flags(columns).unseen == {"x": 2}
    frame = reader.frame(columns)
    assert str(frame["x"].dtype) == dtype
    assert frame["x"].tolist()[0] == known
    assert all(isinstance(value, float) and np.isnan(value) for value in frame["x"].tolist()[1:])
    assert _refuses(reader, None)  # a cell that is missing is as before
    assert "scored as a missing one" in rule_for(column).schema["description"]


def _refuses(reader: Reader, value: Any) -> bool:
    with pytest.raises(BadRequest):
        reader.columns(parse_body({"data": [{"x": value}]}))
    return True


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
