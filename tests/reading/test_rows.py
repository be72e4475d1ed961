"""Separators, and the rows that they give."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.reading.rows import cut_rows, read_rows
from orchestrator.spec.separators import BLANKS, parse_separator


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (";", ";"),
        ("\t", "\t"),
        (r"\t", "\t"),
        (r"\\t", "\t"),
        (r"\x1f", "\x1f"),
        (r"\\x01", "\x01"),
        (r"\u00a6", "\u00a6"),
        (r"\|", "|"),
        (r"\s+", r"\s+"),
        ("\\", "\\"),
    ],
)
def test_an_escape_means_its_character(typed: str, meant: str) -> None:
    assert parse_separator(typed) == meant


@pytest.mark.parametrize("typed", ["||", ", ", "ab", r"\t+", r"[;,]", "tab", '"', "\n", r"\n", r"\s", r"\x1f\x1f"])
def test_what_is_no_single_character_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match=r"should be one character|cannot separate cells"):
        parse_separator(typed)


@pytest.mark.parametrize(
    ("text", "separator", "rows"),
    [
        ('a,b\n\n"x\ny",1\n  \n,2\n', ",", [(1, ["a", "b"]), (3, ["x\ny", "1"]), (6, ["", "2"])]),
        ("\ta\tb\n\t1\t\n", "\t", [(1, ["", "a", "b"]), (2, ["", "1", ""])]),
        ('a  b\t c\n  1 "x y"   3 \n', r"\s+", [(1, ["a", "b", "c"]), (2, ["1", "x y", "3"])]),
        ('a\n""\n1\n', ",", [(1, ["a"]), (2, [""]), (3, ["1"])]),
        ("a\x1fb\r\n1\x1f2\r\n", "\x1f", [(1, ["a", "b"]), (2, ["1", "2"])]),
    ],
)
def test_rows_have_the_number_of_their_first_line(text: str, separator: str, rows: list[tuple[int, list[str]]]) -> None:
    assert list(read_rows(io.StringIO(text, newline=""), separator)) == rows


def test_a_cell_may_be_longer_than_pythons_own_limit() -> None:
    long = "x" * 200_000
    assert [row for _, row in read_rows(io.StringIO(f"a,b\n{long},1\n"), ",")][1] == [long, "1"]


@settings(max_examples=300)
@given(st.text('a", \n\r\t\x1f', max_size=40), st.sampled_from([",", "\t", BLANKS]), st.integers(1, 4))
def test_text_is_cut_where_rows_end(text: str, separator: str, rows: int) -> None:
    def read(text: str) -> list[list[str]]:
        return [row for _, row in read_rows(io.StringIO(text, newline=""), separator)]

    blocks = list(cut_rows(io.StringIO(text, newline=""), separator, rows))
    whole = read(text)
    assert [read(block) for _, block in blocks] == [whole[at : at + rows] for at in range(0, len(whole), rows)]
    assert [count for count, _ in blocks] == [len(read(block)) for _, block in blocks]
