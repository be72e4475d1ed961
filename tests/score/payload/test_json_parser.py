"""JSON is parsed as the standard library parses it, faster where orjson can."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from score.payload import json_parser
from score.payload.json_parser import InvalidJson, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)  # distinguishes 1 from 1.0 and -0.0 from 0.0, and NaN is itself


@given(VALUES, st.booleans())
def test_every_value_is_read_as_the_standard_library_reads_it(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert same(parse(text), json.loads(text))
    assert same(parse(text.encode("utf-8", "replace")), json.loads(text.encode("utf-8", "replace")))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": 1, "\\u0061": 2}', '{"a": NaN, "a": 2}'])
def test_of_a_repeated_key_the_last_one_counts(text: str) -> None:
    assert parse(text) == parse(text.encode()) == {"a": 2}


@pytest.mark.parametrize(
    "text",
    [
        b'{"input": "[{\\"a\\": 1, \\"b\\": \\"x\\"}]"}',
        '{"data": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}',
        b'{"columns": ["a", "b"], "data": [[1, "x"]]}',
        b'[{"a": 1}]',
        '{"id": "a:b", "parameters": {"x": {"y": 1}}, "inputs": [{"name": "a", "parameters": {"z": ":"}, "data": [1]}]}',
    ],
)
def test_usual_requests_are_parsed_by_orjson(text: bytes | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parser, "_parse_with_json", lambda _: pytest.fail("read slowly"))
    assert parse(text) == json.loads(text)


def test_what_json_does_not_have_is_let_through_for_the_columns_rules() -> None:
    nan, infinite, half = parse(b'[NaN, 1e999, "\\ud800"]')
    assert math.isnan(nan)
    assert (infinite, half) == (math.inf, "\ud800")


def test_nesting_is_read_as_deep_as_the_fast_way_goes_and_refused_beyond() -> None:
    held = parse("[" * 1000 + "]" * 1000)
    for _ in range(999):
        (held,) = held
    assert held == []
    with pytest.raises(InvalidJson, match=r"^is nested too deeply$"):
        parse("[" * 100_000 + "]" * 100_000)
