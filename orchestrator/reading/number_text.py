"""Find columns of text that are meant to be numbers: in another notation, with units, or with words among them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from orchestrator.findings import format_overrides
from score.contract.cells import MISSING, TableFormat

NOTATIONS = {  # of numbers, by thousands separator and decimal separator
    (grouping, decimal): re.compile(
        rf"[+-]?(\d+|[1-9]\d{{0,2}}({re.escape(grouping)}\d{{3}})+)?({re.escape(decimal)}\d+)?(?<=\d)"
        if grouping
        else rf"[+-]?\d*({re.escape(decimal)}\d+)?(?<=\d)"
    )
    for grouping, decimal in (
        ("", ","),
        ("", "."),
        (",", "."),
        (".", ","),
        ("'", "."),
        ("_", "."),
        (" ", "."),
        (" ", ","),
    )
}
_DECORATED = re.compile(  # numbers with a currency or a unit, in brackets, or with typographic signs
    r"\(?[+\-\u2212]?(?P<before>[^\w\s.,:;/#'\"()+\-\u2212]?)\s*[+\-\u2212]?"
    r"\d(?:[\d.,'\u2019\u00a0\u202f ]*\d)?\s*(?P<after>[^\s\d()+\-]{0,6})\)?-?"
)
_PLAIN = re.compile(r"[+-]?[\d.,' ]+")
_THREE_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_CODE = re.compile(r"0\d")  # leading zeros
_MOSTLY = 0.9  # share of values in a notation from which the column is meant to be numbers
_LISTED = 3  # words in a sentence
_SAMPLE = 5000  # distinct texts that are searched for a notation
_LEAST = 0.2  # share of numbers among words from which the column may be meant to be numbers
_FEWEST = 10  # distinct numbers, below which they may be levels as the words are: grades 1, 2, 3, K


def looks_numeric(texts: Mapping[str, int], form: TableFormat) -> tuple[str, dict[str, Any]] | None:
    """Return advice where most texts are numbers in another notation, or numbers among a few words.

    Also returns the keys to change, where keys can correct it.
    """
    sample = {text.strip(): count for text, count in islice(texts.items(), _SAMPLE)}
    total = sum(sample.values())

    best: tuple[int, str, dict[str, Any]] = (0, "", {})
    for (grouping, decimal), pattern in NOTATIONS.items():
        new = [("thousands", grouping, form.thousands), ("decimal", decimal, form.decimal)]
        keys: dict[str, Any] = {f"data.{key}": sign for key, sign, now in new if sign and sign != now}
        fits = [text for text in sample if pattern.fullmatch(text)]
        example = next((text for text in fits if any(sign in text for sign in keys.values())), None)
        cells = sum(sample[text] for text in fits)
        if example is not None and cells >= _MOSTLY * total and cells > best[0]:
            best = (cells, f"{example!r}; write {format_overrides(keys)}", keys)
            if not grouping and all(_THREE_DIGITS.fullmatch(text) for text in fits if decimal in text):
                other = format_overrides({"data.thousands": decimal})
                best = (cells, f"{best[1]}, or {other} if it groups thousands", keys)
    if best[1]:
        return best[1:]
    signs = (form.thousands or "", form.decimal)
    plain = _NUMBER if signs == ("", ".") else NOTATIONS.get(signs, _NUMBER)
    words = [text for text in texts if not plain.fullmatch(text.strip())]
    return _with_words(texts, words, form) or _decorated(sample, total)


def _with_words(texts: Mapping[str, int], words: Sequence[str], form: TableFormat) -> tuple[str, dict[str, Any]] | None:
    """Return advice where texts are numbers besides a few ``words``, or numbers and what is none in no code."""
    cells, others = sum(texts.values()), sum(texts[word] for word in words)
    listed = f"{', '.join(map(repr, words[:_LISTED]))}{' ...' if len(words) > _LISTED else ''}"
    few = 0 < len(words) <= _LISTED
    why = f"all but {listed}"
    if not (few and others <= (1 - _MOSTLY) * cells):
        wordy = sum(texts[word] for word in words if not any(map(str.isdigit, word)))
        numbers = [text.strip() for text in texts.keys() - {*words}]
        if others == cells or cells - others < _LEAST * cells or wordy < _MOSTLY * others or len(numbers) < _FEWEST:
            return None
        if any(_CODE.match(text) for text in numbers):
            return None
        why = f"{cells - others:,} of {cells:,} cells, and the others are {listed}"
    if not few:
        return f"{why}; write numbers, or nothing, into these cells, or name the column in data.text_columns", {}
    changes = {"data.missing_values": [*sorted(set(form.missing) - MISSING), *words]}
    return f"{why}; if that means missing, write {format_overrides(changes)}", changes


def _decorated(sample: Mapping[str, int], total: int) -> tuple[str, dict[str, Any]] | None:
    """Return advice where most texts are numbers with one currency or unit, in brackets, or the like."""
    fits = {text: match for text in sample if (match := _DECORATED.fullmatch(text))}
    units = {match.group("before", "after") for match in fits.values()} - {("", "")}
    odd = next((text for text in fits if not _PLAIN.fullmatch(text)), None)
    if odd is None or len(fits) < 2 or len(units) > 1 or sum(sample[text] for text in fits) < _MOSTLY * total:
        return None
    return f"{odd!r}; write plain numbers into the file, without units, brackets and other signs", {}
