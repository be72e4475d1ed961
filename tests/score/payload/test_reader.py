"""Every rule by which a request is refused, with the row and the column it names."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from score.contract.cells import TableFormat
from score.contract.schema import Contract
from score.payload.errors import BadRequest
from score.payload.reader import FORMS, Reader, parse_body
from score.predict.predictor import Predictor

GOOD = {"age": 30, "income": 1.5, "member": True, "city": "Oslo", "grade": "low", "level": 1, "note": "a"}
NAN, INF = float("nan"), float("inf")
LOST = object()
Ask = Callable[[Predictor, Any], tuple[int, Any]]
Errors = Callable[[Predictor, Any], list[dict[str, Any]]]


@pytest.fixture
def errors(ask: Ask) -> Errors:
    def refused(scorer: Predictor, body: Any) -> list[dict[str, Any]]:
        status, reply = ask(scorer, body)
        assert status == 400, reply
        assert (reply["type"], reply["title"], reply["status"]) == ("about:blank", "Bad Request", 400)
        assert reply["problems"][0]["problem"] in reply["detail"]
        found: list[dict[str, Any]] = reply["problems"]
        return found

    return refused


@pytest.mark.parametrize(
    ("column", "value", "problem", "expected"),
    [
        ("age", "30", '"30" is text', "an integer, such as"),
        ("age", True, "true is a boolean", "an integer, such as"),
        ("age", 3.5, "3.5", "an integer, such as"),
        ("age", 2**63, "9223372036854775808 does not fit int64", "an integer, such as"),
        ("age", 1e300, "does not fit int64", "an integer, such as"),
        ("age", 10**1000, "an integer of 3322 bits does not fit int64", "an integer, such as"),
        ("age", None, "the value is missing", "an integer, such as"),
        ("age", NAN, "the value is missing", "an integer, such as"),
        ("age", INF, "Infinity", "an integer, such as"),
        ("age", [30], "the value is a list", "an integer, such as"),
        ("age", {"a": 1}, "the value is an object", "an integer, such as"),
        ("age", LOST, "the column is missing", "an integer, such as"),
        ("income", "1.5", '"1.5" is text', "a number, such as"),
        ("income", False, "false is a boolean", "a number, such as"),
        ("income", INF, "Infinity is not finite", "a number, such as"),
        ("income", -INF, "-Infinity is not finite", "a number, such as"),
        ("income", 1e300, "1e+300 is too large for the model", "a number, such as"),
        ("income", 10**400, "an integer of 1329 bits is too large for the model", "a number, such as"),
        ("income", LOST, "the column is missing", "or null"),
        ("member", 1, "the value is 1", "true or false, such as"),
        ("member", "true", '"true" is text', "true or false, such as"),
        ("member", None, "the value is missing", "true or false, such as"),
        ("city", "Paris", '"Paris" is no category that training saw', 'one of "Kyiv", "Oslo", "Rome" or null'),
        ("city", "\ud800", "is no category", 'one of "Kyiv"'),
        ("city", 1, "the value is 1", 'one of "Kyiv"'),
        ("city", ["Oslo"], "the value is a list", 'one of "Kyiv"'),
        ("grade", "middle", '"middle" is no category', 'one of "low", "high"'),
        ("grade", None, "the value is missing", 'one of "low", "high"'),
        ("level", 4, "4 is no category", "one of 1, 2, 3"),
        ("level", True, "true is a boolean", "one of 1, 2, 3"),
        ("level", "1", '"1" is text', "one of 1, 2, 3"),
        ("note", 1, "the value is 1", "text, such as"),
        ("note", None, "the value is missing", "text, such as"),
        ("note", "\ud800", "holds half a surrogate pair", "text, such as"),
    ],
)
def test_a_wrong_value_is_named_in_every_form(
    column: str, value: Any, problem: str, expected: str, *, survey_scorer: Predictor, errors: Errors
) -> None:
    bad = {key: held for key, held in (GOOD | {column: value}).items() if held is not LOST}
    bodies: list[Any] = [{"data": [GOOD, bad]}, {"input": json.dumps([GOOD, bad])}, {"input": [GOOD, bad]}]
    if value is not LOST:
        bodies.append({"columns": list(GOOD), "data": [list(GOOD.values()), list(bad.values())]})
    for body in bodies:
        (error,) = errors(survey_scorer, body)
        assert (error["row"], error["column"]) == (1, column)
        assert problem in error["problem"]
        assert expected in error["expected"]


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("age", 30.0), ("income", 1), ("income", None), ("income", NAN), ("income", -1e38),
        ("city", None), ("city", NAN), ("level", 2.0), ("note", "é\U0001f600"), ("age", -(2**63)),
    ],
)  # fmt: skip
def test_an_unusual_right_value_is_taken(column: str, value: Any, survey_scorer: Predictor, ask: Ask) -> None:
    usual = {"age": 30, "income": 1.0, "level": 2, "note": "a"}
    status, reply = ask(survey_scorer, {"data": [GOOD | {column: value}, GOOD]})
    assert status == 200, reply
    if column in usual and value == usual[column]:
        assert reply == ask(survey_scorer, {"data": [GOOD | {column: usual[column]}, GOOD]})[1]


def test_null_and_nan_mean_the_same(survey_scorer: Predictor, ask: Ask) -> None:
    replies = [ask(survey_scorer, {"data": [GOOD | {"income": missing, "city": missing}]}) for missing in (None, NAN)]
    assert replies[0] == replies[1]
    assert replies[0][0] == 200


def test_strings_that_meant_missing_in_training_are_missing_values(mixed: pd.DataFrame) -> None:
    described = Contract.describe(mixed, model_name="m", task="regression")
    contract = dataclasses.replace(described, table=TableFormat(missing=("", "NA", "-")))
    reader = Reader(Contract.from_json(contract.to_json()))
    for word in ("", "NA", "-", None):
        for rows in (1, 400):  # the quick readers, too
            columns = reader.read(json.dumps({"data": [GOOD | {"city": word}] * rows}))[1]
            assert columns["city"] == [None] * rows
        for column in ("note", "age"):  # text without a missing value in training, and a number
            if word is not None or column == "age":
                with pytest.raises(BadRequest, match=f'column "{column}"'):
                    reader.read(json.dumps({"data": [GOOD | {column: word}]}))
    for other in (described, dataclasses.replace(described, table=TableFormat("parquet", missing=("NA",)))):
        assert Reader(other).read(json.dumps({"data": [GOOD | {"note": "NA"}]}))[1]["note"] == ["NA"]
        with pytest.raises(BadRequest, match='"NA" is no category that training saw'):
            Reader(other).read(json.dumps({"data": [GOOD | {"city": "NA"}]}))


def test_an_unknown_column_gets_the_near_name(survey_scorer: Predictor, errors: Errors) -> None:
    first, second = errors(survey_scorer, {"data": [GOOD | {"incme": 1, "zzz": 1}]})
    assert (first["row"], first["column"], first["problem"]) == (0, "incme", "unknown column")
    assert first["expected"] == 'did you mean "income"?'
    assert (second["column"], second["expected"][:16]) == ("zzz", 'only "age", "inc')
    (third,) = errors(survey_scorer, {"columns": [*GOOD, "citi"], "data": [[*GOOD.values(), 1]]})
    assert (third["row"], third["column"], third["expected"]) == (None, "citi", 'did you mean "city"?')


def test_extra_columns_may_be_ignored(mixed: pd.DataFrame) -> None:
    contract = Contract.describe(mixed, model_name="m", task="regression", extra_columns="ignore")
    reader = Reader(contract)
    for body in ({"data": [{"x": [], **GOOD}]}, {"columns": ["x", *GOOD], "data": [[{}, *GOOD.values()]]}):
        frame = reader.frame(reader.columns(parse_body(json.dumps(body))))
        assert list(frame) == list(mixed)
        assert (frame.dtypes == mixed.dtypes).all()
    with pytest.raises(BadRequest, match=r'^row 0, column "age": the column is missing'):
        reader.columns(parse_body({"data": [{"x": 1} | {key: GOOD[key] for key in list(GOOD)[1:]}]}))


def test_a_row_that_is_no_object(survey_scorer: Predictor, errors: Errors) -> None:
    found = errors(survey_scorer, {"data": [GOOD, 1, [1], None, "x"]})
    assert [(error["row"], error["column"]) for error in found] == [(1, None), (2, None), (3, None), (4, None)]
    assert [error["problem"].removeprefix("the row is ") for error in found] == ["1", "a list", "null", '"x"']


def test_split_rows_of_the_wrong_length_or_form(survey_scorer: Predictor, errors: Errors) -> None:
    values = list(GOOD.values())
    found = errors(survey_scorer, {"columns": list(GOOD), "data": [values, values[1:], [*values, 1], GOOD, 7]})
    assert [error["row"] for error in found] == [1, 2, 3, 4]
    assert found[0]["problem"] == "the row has 6 values"
    assert found[0]["expected"] == "a list of 7 values"


def test_split_columns_that_stand_twice_are_missing_or_no_names(survey_scorer: Predictor, errors: Errors) -> None:
    (twice,) = errors(survey_scorer, {"columns": [*GOOD, "age"], "data": [[*GOOD.values(), 1]]})
    assert (twice["row"], twice["column"], twice["problem"]) == (None, "age", "the column stands twice")
    (missing,) = errors(survey_scorer, {"columns": list(GOOD)[1:], "data": []})
    assert (missing["row"], missing["column"], missing["problem"]) == (None, "age", "the column is missing")
    (number,) = errors(survey_scorer, {"columns": [*GOOD, 7], "data": [[*GOOD.values(), 1]]})
    assert (number["row"], number["column"], number["problem"]) == (None, None, "'columns' holds 7")


def test_of_a_repeated_key_the_last_one_counts(survey_scorer: Predictor, ask: Ask, errors: Errors) -> None:
    wanted = ask(survey_scorer, {"data": [GOOD | {"age": 31}]})
    for last in ('"age": 31', '"ag\\u0065": 31', '"age": "x", "age": 31'):
        row = json.dumps(GOOD)[:-1] + f", {last}}}"
        assert ask(survey_scorer, f'{{"data": [{row}]}}') == wanted
        assert ask(survey_scorer, f'{{"data": [1], "data": [{row}]}}') == wanted
        article = ask(survey_scorer, {"input": [GOOD | {"age": 31}]})
        assert ask(survey_scorer, f'{{"input": "x", "input": {json.dumps(f"[{row}]")}}}') == article
    (error,) = errors(survey_scorer, '{"data": [], "data": [1]}')
    assert (error["row"], error["problem"]) == (0, "the row is 1")


def test_a_column_name_may_hold_a_colon() -> None:
    contract = Contract.describe(pd.DataFrame({"a:b": [1.0, 2.0]}), model_name="m", task="regression")
    for rows in (1, 300):
        body = json.dumps({"data": [{"a:b": 1.5}] * rows})
        assert list(Reader(contract).read(body).columns["a:b"]) == [1.5] * rows


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("", "the body is not JSON (Expecting value: line 1, column 1)"),
        ('{"data": [}', "the body is not JSON (Expecting value: line 1, column 11)"),
        (b'{"data": "\xff"}', "the body is not UTF-8 at byte 10"),
        ("[" * 100_000, "the body is nested too deeply"),
        ('{"data": [' + "9" * 5000 + "]}", "the body cannot be read (Exceeds the limit"),
        ("7", "the body is 7"),
        ("[]", "the body is a list"),
        ("{}", "the body is an object with no keys"),
        ('{"dat": []}', 'the body is an object with "dat"'),
        ('{"data": [], "more": 1}', 'the body is an object with "data", "more"'),
        ('{"data": {}}', "'data' is an object"),
        ('{"input": null}', "'input' is null"),
        ('{"input": "x"}', "the text in 'input' is not JSON"),
        ('{"input": "{}"}', "'input' is an object"),
        ('{"columns": "age", "data": []}', "'columns' is \"age\""),
        ('{"columns": [], "data": [], "index": 1}', "'index' is 1"),
        ('{"columns": [], "data": [], "index": [1]}', "'index' has 1 entries for 0 rows"),
    ],
)
def test_a_body_of_no_known_form(body: bytes | str, problem: str, survey_scorer: Predictor, errors: Errors) -> None:
    (error,) = errors(survey_scorer, body)
    assert error["problem"].startswith(problem)
    assert (error["row"], error["column"]) == (None, None)
    assert FORMS in error["expected"] or "UTF-8" in error["expected"] or "index" in error["expected"]


def test_all_problems_are_reported_at_once_in_the_order_of_rows(survey_scorer: Predictor, errors: Errors) -> None:
    found = errors(survey_scorer, {"data": [GOOD | {"note": 1}, 5, GOOD | {"age": "x", "city": "Rom"}]})
    assert [(e["row"], e["column"]) for e in found] == [(0, "note"), (1, None), (2, "age"), (2, "city")]


def test_the_hundred_and_first_problem_is_counted(survey_scorer: Predictor, ask: Ask) -> None:
    reply = ask(survey_scorer, {"data": [GOOD | {"age": None}] * 250})[1]
    assert [problem["row"] for problem in reply["problems"]] == list(range(100))
    assert reply["more"] == 150
    assert "more" not in ask(survey_scorer, {"data": [GOOD | {"age": None}] * 100})[1]


def test_an_integer_too_long_for_64_bits_is_not_rounded_into_them(survey_scorer: Predictor, errors: Errors) -> None:
    for text in (f"{-(2**63) - 1}", f"{-(2**63)}.0", "9007199254740993.0"):
        body = json.dumps({"data": [GOOD | {"age": "here"}]}).replace('"here"', text)
        (error,) = errors(survey_scorer, body.encode())
        assert error["column"] == "age"
        assert "does not fit int64" in error["problem"]


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float64"])
def test_a_number_is_out_of_range_as_training_saw_numbers(dtype: str) -> None:
    frame = pd.DataFrame({"x": pd.Series([0.1, 0.7, None], dtype=dtype)})
    reader = Reader(Contract.describe(frame, model_name="m", task="regression"))

    def outside(*values: float | None) -> dict[str, int]:
        return reader.flags(reader.columns(parse_body({"data": [{"x": value} for value in values]}))).outside

    assert outside(0.1, None, 0.7) == {}
    assert outside(0.0999, 0.1, 0.7001, 5, None) == {"x": 3}


def test_columns_are_checked_values_in_training_s_order_and_need_no_pandas(survey: Path) -> None:
    code = """
import json, sys
from pathlib import Path
from score.payload.reader import Reader, parse_body
from score.contract.cells import TableFormat
from score.contract.schema import Contract
reader = Reader(Contract.from_json(Path("contract.json").read_bytes()))
row = {"level": 2.0, "age": 30.0, "income": None, "member": True, "city": None, "grade": "low", "note": "a"}
print(json.dumps(reader.columns(parse_body(json.dumps({"data": [row]})))), "pandas" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=survey, capture_output=True, text=True, check=True)
    assert done.stdout == (
        '{"age": [30], "income": [null], "member": [true], "city": [null], "grade": ["low"], "level": [2], '
        '"note": ["a"]} False\n'
    )


def test_long_values_and_lists_are_shortened(make_contract_of_letters: Contract) -> None:
    with pytest.raises(BadRequest) as caught:
        Reader(make_contract_of_letters).columns(parse_body({"data": [{"letter": "x" * 10_000}]}))
    (problem,) = caught.value.problems
    assert len(problem.problem) < 100
    assert problem.expected.endswith(", ... (26 in all)")


@pytest.fixture
def make_contract_of_letters() -> Contract:
    frame = pd.DataFrame({"letter": list("abcdefghijklmnopqrstuvwxyz") * 2})
    return Contract.describe(frame, model_name="m", task="regression")


def test_hostile_bodies_take_no_time_beyond_their_length(survey_scorer: Predictor, errors: Errors) -> None:
    names = [f"incom{i}" for i in range(30_000)]
    started = time.process_time()
    errors(survey_scorer, {"columns": names * 2, "data": []})
    errors(survey_scorer, {"data": [{name: 1} for name in names]})
    errors(survey_scorer, {"data": [dict.fromkeys(names, 1)]})
    assert time.process_time() - started < 5


def test_large_requests_are_quick(pima_scorer: Predictor, X: pd.DataFrame) -> None:
    body = json.dumps({"data": X.to_dict(orient="records") * 130})
    started = time.process_time()
    frame = pima_scorer.reader.frame(pima_scorer.reader.columns(parse_body(body)))
    checked = time.process_time() - started
    started = time.process_time()
    json.loads(body)
    assert len(frame) == 99_840
    assert checked < 20 * (time.process_time() - started)
