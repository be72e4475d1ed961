"""Long bodies of numbers are read into arrays, and as the other readers read them; nothing else is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score.contract.columns import rule_for
from score.contract.schema import Contract
from score.payload.errors import BadRequest
from score.payload.numeric_reader import NumericReader, floats
from score.payload.reader import Reader, read
from score.payload.typed_reader import LONG

ROW = {"whole": 1, "ü": 2.5, "gap": -0.5}


@pytest.fixture(scope="module")
def contract() -> Contract:
    frame = pd.DataFrame({"whole": [1, 2], "ü": [0.5, 1.5], "gap": [None, 1.0]})
    return Contract.describe(frame, model_name="m", task="regression")


def numeric_of(contract: Contract) -> NumericReader:
    return NumericReader({column.name: rule_for(column) for column in contract.columns})


def checked(contract: Contract, body: bytes | str) -> Any:
    """What the reader makes of a body that looks at each value."""
    request = read(body)
    return request.form, {name: list(values) for name, values in Reader(contract).columns(request).items()}


def listed(found: Any) -> Any:
    return found[0], {name: values.tolist() for name, values in found[1].items()}


def bodies(rows: list[Any]) -> list[bytes | str]:
    article = {"input": json.dumps(rows, ensure_ascii=False)}  # an escape more is for the other readers
    texts = [json.dumps({"data": rows}), json.dumps({"data": rows}, ensure_ascii=False, indent=1),
             json.dumps(article, ensure_ascii=False, separators=(",", ":"))]  # fmt: skip
    return [*texts, *(text.encode() for text in texts)]


def test_long_bodies_are_read_into_arrays(contract: Contract) -> None:
    rng = np.random.default_rng(0)
    table = {"whole": rng.integers(-(2**53) + 1, 2**53, LONG), "ü": rng.normal(size=LONG), "gap": rng.normal(size=LONG)}
    rows = pd.DataFrame(table).to_dict(orient="records")
    rows[0] = dict(reversed((ROW | {"whole": 3.0, "gap": -0.0}).items()))
    for body in bodies(rows):
        found = numeric_of(contract).read(body)
        assert found is not None
        assert listed(found) == checked(contract, body)
        assert [np.asarray(values).dtype for values in found[1].values()] == [np.int64, np.float64, np.float64]
        assert all(isinstance(values, np.ndarray) for values in Reader(contract).read(body)[1].values())


def test_many_columns_and_long_names_keep_their_values() -> None:
    names = [f"{'long ' * place}{place}" for place in range(60)]
    frame = pd.DataFrame([range(60)], columns=names, dtype=float)
    contract = Contract.describe(frame, model_name="m", task="regression")
    rows = [{name: place + number / 8 for place, name in enumerate(names)} for number in range(70_000)][-LONG:]
    for count in (LONG, 2**16 - LONG):  # MessagePack writes a longer list's length otherwise
        body = json.dumps({"data": (rows * (count // LONG + 1))[: count + 1]})
        found = numeric_of(contract).read(body)
        assert found is not None
        assert [values[1] for values in found[1].values()] == [rows[1][name] for name in names]
        assert [values[-1] for values in found[1].values()] == [rows[count % LONG][name] for name in names]


@pytest.mark.parametrize(
    "last",
    [
        '{"whole": 1, "whole": 2, "ü": 1, "gap": 1}',
        '{"whole": 1, "whole"\\u003a 2, "ü": 1, "gap": 1}',
        '{"whole": 1.5, "ü": 1, "gap": 1}',
        '{"whole": 9007199254740993, "ü": 1, "gap": 1}',
        '{"whole": 1, "ü": 1e39, "gap": 1}',
        '{"whole": 1, "ü": 1e999, "gap": 1}',
        '{"whole": 1, "ü": NaN, "gap": 1}',
        '{"whole": 1, "ü": "1", "gap": 1}',
        '{"whole": true, "ü": 1, "gap": 1}',
        '{"whole": 1, "ü": 1, "gap": null}',
        '{"whole": 1, "ü": 1}',
        '{"whole": 1, "ü": 1, "gap": 1, "more": 1}',
        "[1, 1, 1]",
        "{",
    ],
)
def test_whatever_else_is_for_the_other_readers(contract: Contract, last: str) -> None:
    rows = ", ".join([json.dumps(ROW)] * LONG + [last])
    for body in (f'{{"data": [{rows}]}}', json.dumps({"input": f"[{rows}]"})):
        assert numeric_of(contract).read(body) is None


@pytest.mark.parametrize(
    "head",
    ['{"input": "", ', '{"data": [], ', '{"columns": [], ', '{"index": 1, ', '{"input": "[]", "data": [], '],
)
def test_a_key_more_is_for_the_other_readers(contract: Contract, head: str) -> None:
    rows = [ROW] * LONG
    for body in (json.dumps({"data": rows}), json.dumps({"input": json.dumps(rows)})):
        assert numeric_of(contract).read(head + body[1:]) is None
        escaped = body.replace('"whole\\":', '"whole\\"\\u003a', 1).replace('"whole":', '"whole"\\u003a', 1)
        assert numeric_of(contract).read(head + escaped[1:]) is None


def test_short_bodies_are_for_the_other_readers(contract: Contract) -> None:
    for rows in ([], [ROW], [ROW] * (LONG // 10)):
        assert numeric_of(contract).read(json.dumps({"data": rows})) is None
    assert numeric_of(contract).read(f'{{"data": [{" " * 10_000}]}}') is None


@pytest.mark.parametrize("frame", [{"a:b": [1.0]}, {"text": ["a"]}, {"whether": [True]}])
def test_other_contracts_are_for_the_other_readers(frame: dict[str, list[Any]]) -> None:
    with pytest.raises(ValueError, match="for another reader"):
        numeric_of(Contract.describe(pd.DataFrame(frame), model_name="m", task="regression"))


@settings(max_examples=1000, deadline=None)
@given(data=st.data())
def test_no_damage_makes_the_readers_differ(contract: Contract, data: st.DataObject) -> None:
    body = str(data.draw(st.sampled_from(bodies([ROW] * LONG)[:3])))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, 200))
        end = data.draw(st.integers(start, start + 8))
        piece = data.draw(
            st.sampled_from([*"0123456789.eE+-:,\"'\\{}[] ", "null", "true", '"whole": 1, ', "\\u003a", '\\"', ""])
        )
        body = body[:start] + piece + body[end:]
    found = numeric_of(contract).read(body)
    try:
        wanted = checked(contract, body)
    except BadRequest as error:
        pytest.fail(f"taken, and refused: {error}") if found is not None else None
    else:
        assert found is None or listed(found) == wanted


@settings(max_examples=1000, deadline=None)
@given(
    start=st.lists(
        st.floats()
        | st.integers()
        | st.just(10**400)
        | st.just("\ud800")
        | st.text(max_size=12)
        | st.none()
        | st.booleans(),
        max_size=20,
    ),
    count=st.sampled_from([0, 16, LONG, 2**16]),
)
def test_lists_of_floats_alone_are_arrays(start: list[Any], count: int) -> None:
    values = [*start, *[0.5] * count]
    found = floats(values)
    if values and all(type(value) is float for value in values):
        assert found is not None
        np.testing.assert_array_equal(found, values)
    else:
        assert found is None


def test_what_no_message_pack_holds_is_for_the_columns_rules() -> None:
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    for value in (10**30, "\ud800", deep):
        assert floats([0.5, value]) is None
