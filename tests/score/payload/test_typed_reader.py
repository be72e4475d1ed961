"""What keeps the contract to the letter is read in one pass, and as the other reader reads it; nothing else is."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from score.contract.columns import rule_for
from score.contract.schema import Contract
from score.payload.errors import BadRequest
from score.payload.reader import Reader, parse_body
from score.payload.typed_reader import LONG, TypedReader

ROW = {"age": 30, "income": 1.5, "member": True, "city": "Oslo", "grade": "low", "level": 1, "note": "a: b"}
NUMBERS = {"x": 1, "ü": 2.5}


def contract_of(frame: pd.DataFrame) -> Contract:
    return Contract.describe(frame, model_name="m", task="regression")


def typed_of(contract: Contract) -> TypedReader:
    return TypedReader({column.name: rule_for(column) for column in contract.columns})


@pytest.fixture(scope="module")
def numbers() -> Contract:
    return contract_of(pd.DataFrame({"x": [1, 2], "ü": [0.5, 1.5]}))


def checked(contract: Contract, body: bytes | str) -> Any:
    """Return what the general reader returns for a body."""
    request = parse_body(body)
    return request.form, Reader(contract).columns(request)


def bodies(rows: list[Any]) -> list[bytes | str]:
    texts = [json.dumps({"data": rows}), json.dumps({"input": json.dumps(rows)}),
             json.dumps({"input": json.dumps(rows, ensure_ascii=False)}, ensure_ascii=False, indent=1)]  # fmt: skip
    return [*texts, *(text.encode() for text in texts)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_usual_bodies_are_read(mixed: pd.DataFrame, numbers: Contract, count: int) -> None:
    for contract, row in ((contract_of(mixed), ROW), (numbers, NUMBERS)):
        for body in bodies([row] * count):
            assert typed_of(contract).read(body) == checked(contract, body)


def test_a_missing_value_is_none_and_any_order_of_keys_will_do(mixed: pd.DataFrame) -> None:
    contract = contract_of(mixed)
    missing = {column.name: None for column in contract.columns if column.missing}
    assert missing
    for body in bodies([dict(reversed((ROW | missing).items()))]):
        found = typed_of(contract).read(body)
        assert found == checked(contract, body)
        assert found is not None
        assert list(found[1]) == [column.name for column in contract.columns]


@pytest.mark.parametrize("count", [LONG - 1, LONG])
def test_long_requests_hold_the_same_in_arrays(mixed: pd.DataFrame, count: int) -> None:
    rows = [ROW | {"age": 2**53 + number, "income": number / 7} for number in range(count)]
    contract = contract_of(mixed)
    reader = Reader(contract)
    form, columns = reader.read(json.dumps({"data": rows}))
    _, wanted = checked(contract, json.dumps({"data": rows}))
    assert form == "data"
    assert {name: list(values) for name, values in columns.items()} == {
        name: [*values] for name, values in wanted.items()
    }
    assert isinstance(columns["age"], np.ndarray) == (count == LONG)
    assert reader.flags(columns) == reader.flags(wanted)
    pd.testing.assert_frame_equal(reader.frame(columns), reader.frame(wanted))


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [{"x": 1, "ü": 1}], "input": "[]"}',
        '{"data": [{"x": 1.0, "ü": 1}]}',
        '{"data": [{"x": 1, "ü": 1, "y": 1}]}',
        '{"data": [{"x": 1, "ü": NaN}]}',
        '{"data": [{"x": 1, "ü": 1e39}]}',
        '{"data": [{"x": 9223372036854775808, "ü": 1}]}',
        '{"columns": ["x", "ü"], "data": [[1, 1]]}',
        '{"input": [{"x": 1, "ü": 1}]}',
        '{"input": "[{"}',
        '{"input": "\\ud800"}',
        "{}",
        "[" * 100_000,
        b'{"data": [{"x": 1, "\xfc": 1}]}',
    ],
)
def test_any_other_body_is_left_to_the_general_reader(numbers: Contract, body: bytes | str) -> None:
    assert typed_of(numbers).read(body) is None


@pytest.mark.parametrize(
    "body",
    [
        '{"data": [{"x": 1, "x": 2, "ü": 1}]}',
        '{"data": [{"x": 1, "\\u0078": 2, "ü": 1}]}',
        '{"data": [], "data": [{"x": 1, "ü": 1}]}',
        '{"input": "", "input": "[{\\"x\\": 1, \\"ü\\": 1}]"}',
        '{"input": "", "inpu\\u0074": "[{\\"x\\"\\u003a 1, \\"ü\\": 1}]"}',
        '{"input":"","input":"[]"}',
        '{"input": "[{\\"x\\": 1, \\"x\\": 1, \\"ü\\": 1}]"}',
    ],
)
def test_of_a_repeated_key_the_last_one_counts(numbers: Contract, body: str) -> None:
    assert typed_of(numbers).read(body) == checked(numbers, body)


@pytest.mark.parametrize("frame", [pd.DataFrame({'"': [1]}), pd.DataFrame({"x": [1, None]}, dtype="UInt64"),
                                   pd.DataFrame({"x": pd.Categorical([0.5])}), pd.DataFrame(index=[0])])  # fmt: skip
def test_a_contract_that_msgspec_cannot_check_is_read_all_the_same(frame: pd.DataFrame) -> None:
    contract = contract_of(frame)
    with pytest.raises(ValueError, match=r"cannot check|must not contain"):
        typed_of(contract)
    rows = json.loads(frame.to_json(orient="records"))
    assert Reader(contract).read(json.dumps({"data": rows})) == checked(contract, json.dumps({"data": rows}))


@given(data=st.data())
def test_a_damaged_body_never_makes_the_two_readers_differ(
    mixed: pd.DataFrame, numbers: Contract, data: st.DataObject
) -> None:
    contract, row = data.draw(st.sampled_from([(contract_of(mixed), ROW), (numbers, NUMBERS)]))
    body = str(data.draw(st.sampled_from(bodies([row, row])[:3])))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body)))
        end = data.draw(st.integers(start, min(len(body), start + 8)))
        piece = data.draw(
            st.sampled_from([*"0123456789.eE+-:,\"'\\{}[] ", "null", "true", '"x": 1, ', "\\u003a", "1e5", ""])
        )
        body = body[:start] + piece + body[end:]
    found = typed_of(contract).read(body)
    try:
        wanted = checked(contract, body)
    except BadRequest as error:
        pytest.fail(f"taken, and refused: {error}") if found is not None else None
    else:
        assert found is None or found == wanted


@given(text=st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,2})?", fullmatch=True))
def test_numbers_are_read_to_the_bit(numbers: Contract, text: str) -> None:
    found = typed_of(numbers).read(f'{{"data": [{{"x": 1, "ü": {text}}}]}}')
    assert found is None or found[1]["ü"] == [float(text)]
    assert (found is not None) == (abs(float(text)) <= float(np.finfo("float32").max))


WIDE = {"i1": [-128], "i8": [-(2**63), 2**63 - 1, 2**53 + 1], "u8": [2**64 - 1]}
BROKEN = [0.5, math.nan, math.inf, -math.inf, 6e4]


def taken(reader: Reader, values: Any) -> tuple[dict[str, Any], str]:
    """Return a column as it is accepted, or the error that refuses it."""
    try:
        return dict(reader.checked({"x": values})), ""
    except BadRequest as error:
        return {}, json.dumps(error.document())


@given(data=st.data())
@pytest.mark.parametrize("missing", [False, True])
def test_an_array_is_checked_as_its_values_are(data: st.DataObject, *, missing: bool) -> None:
    own = ["Int64", "UInt64", "Float64", "float64"] if missing else ["int8", "int64", "uint64", "float32", "float64"]
    training = pd.Series([0, 1, None] if missing else [0, 1], dtype=data.draw(st.sampled_from(own)))
    reader = Reader(contract_of(pd.DataFrame({"x": training})))
    sent = data.draw(st.sampled_from(["i1", "i8", "u8", "f2", "f4", "f8"]))
    numbers = st.sampled_from([0, 1, 2, 100, *WIDE.get(sent, BROKEN)])
    values = np.array(data.draw(st.lists(numbers, max_size=4)), dtype=f"<{sent}")
    values = np.tile(values, data.draw(st.sampled_from([1, LONG])))
    (found, refused), (wanted, reported) = (taken(reader, each) for each in (values, values.tolist()))
    assert refused == reported
    if not refused:
        assert list(found["x"]) == list(wanted["x"])
        assert reader.flags(found) == reader.flags(wanted)
        pd.testing.assert_frame_equal(reader.frame(found), reader.frame(wanted))


@given(data=st.data(), dtype=st.sampled_from([np.float16, np.float32]))
def test_a_narrow_columns_range_is_that_of_the_rounded_values(data: st.DataObject, dtype: Any) -> None:
    numbers = st.floats(width=16 if dtype is np.float16 else 32, allow_nan=False, allow_infinity=False)
    drawn: Any = data.draw(st.lists(numbers, min_size=1))
    seen = np.array(drawn, dtype)
    reader = Reader(contract_of(pd.DataFrame({"x": seen})))
    ends = [float(seen.min()), float(seen.max())]
    with np.errstate(over="ignore", under="ignore"):
        near = float(
            np.nextafter(dtype(data.draw(st.sampled_from(ends))), dtype(data.draw(st.sampled_from([-9e4, 9e4]))))
        )
    middle = (data.draw(st.sampled_from(ends)) + near) / 2
    for value in [*ends, near, middle, math.nextafter(middle, -math.inf), math.nextafter(middle, math.inf)]:
        if abs(value) <= float(np.finfo(dtype).max):
            held = float(dtype(value))
            assert reader.flags({"x": [value]}).outside == ({} if ends[0] <= held <= ends[1] else {"x": 1})


def test_a_category_too_long_for_msgspec_is_read_all_the_same() -> None:
    contract = contract_of(pd.DataFrame({"x": pd.Categorical(np.array([2**63 + 1, 1], dtype=np.uint64))}))
    assert Reader(contract).read(f'{{"data": [{{"x": {2**63 + 1}}}]}}') == ("data", {"x": [2**63 + 1]})


def test_categories_of_texts_and_numbers_are_read_all_the_same() -> None:
    contract = contract_of(pd.DataFrame({"x": pd.Categorical(["a", 1], categories=["a", 1])}))
    body = json.dumps({"data": [{"x": "a"}, {"x": 1}]})
    assert Reader(contract).read(body) == checked(contract, body)
