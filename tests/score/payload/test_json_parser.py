"""JSON as the standard library reads it, by a faster way where that is the same."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score.payload import json_parser
from score.payload.json_parser import DuplicateKeys, InvalidJson, parse

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    return json.dumps(one) == json.dumps(other)  # tells 1 from 1.0 and -0.0 from 0.0, and NaN is itself


@settings(max_examples=500, deadline=None)
@given(VALUES, st.booleans())
def test_every_value_is_read_as_the_standard_library_reads_it(value: Any, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert same(parse(text), json.loads(text))
    assert same(parse(text.encode("utf-8", "replace")), json.loads(text.encode("utf-8", "replace")))


@settings(max_examples=500, deadline=None)
@given(st.dictionaries(st.text(max_size=3), st.text(max_size=3), min_size=1, max_size=3), st.booleans(), st.data())
def test_no_key_that_stands_twice_is_missed(row: dict[str, str], ascii_only: bool, data: st.DataObject) -> None:
    key = data.draw(st.sampled_from(sorted(row)))
    again = json.dumps({key: data.draw(st.text(max_size=3))}, ensure_ascii=ascii_only)[1:]
    twice = json.dumps(row, ensure_ascii=ascii_only)[:-1] + "," + again
    for text in (twice, twice.replace(":", "\\u003a", data.draw(st.integers(0, 1)))):
        try:
            held = parse(text)
        except InvalidJson:
            continue  # the colon between a key and its value was the one that was written otherwise
        assert isinstance(held, DuplicateKeys)
        assert held.twice == [key]
        assert isinstance(parse(f'{{"data": [{text}]}}')["data"][0], DuplicateKeys)
        assert isinstance(parse(f'{{"inputs": [{{"parameters": {text}}}]}}')["inputs"][0]["parameters"], DuplicateKeys)


@pytest.mark.parametrize(
    "text",
    [
        '{"input": "x", "input": "y\\u003a"}',  # the colon of the text makes up for the one too many
        '{"input": "a:", "input": "b"}',
        '{"data": [{"a": "\\u003A", "a": 1}]}',
    ],
)
def test_a_colon_in_a_text_hides_no_key(text: str) -> None:
    held = parse(text)
    assert isinstance(held, DuplicateKeys) or isinstance(held["data"][0], DuplicateKeys)


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
def test_usual_requests_go_the_fast_way(text: bytes | str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_parser, "_parse_slowly", lambda _: pytest.fail("read slowly"))
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
