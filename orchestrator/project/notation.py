"""Detect how a CSV file is written: its encoding, separator, decimal sign and words for a missing value."""

from __future__ import annotations

import codecs
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from orchestrator.reading.files import UnreadableTableError, open_text
from orchestrator.reading.frame import translate_read_errors
from orchestrator.reading.header import SEPARATORS
from orchestrator.reading.number_text import NOTATIONS
from orchestrator.reading.rows import read_rows
from orchestrator.spec.data import DataSpec
from orchestrator.spec.separators import BLANKS, is_tab_separated
from score.contract.cells import MISSING

_ROWS = 1000  # that are looked at
_MOSTLY = 0.9  # share of a column's cells in a notation from which it is meant to be numbers
_FEW_ROWS = 3  # in which blanks may be those of a text
_SYMBOLS = frozenset({"?", "-", "--", ".", "*", "n.a.", "N.A.", "missing", "unknown", "Unknown", "(null)"})
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?inf")
_THREE_DIGITS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_WITH_UNIT = re.compile(r"([$€£¥]?) ?[+-]?\d[\d.,']*( ?(?:%|[$€£¥]|[A-Za-zµ°]{1,4})|)")
_SOME = 5  # distinct cells with one unit from which a column is meant to be numbers
_MARKS = (  # UTF-32's first: its mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BLOCK = 2**20  # characters
_CONTROL = re.compile("[\x80-\x9f]")  # in no text of Latin-1, where Windows-1252 has quotes, dashes and the euro
_BEYOND_ASCII = re.compile(r"\w{0,20}[^\x00-\x7f]+\w{0,20}")


@dataclass(frozen=True)
class Notation:
    """Keys of ``data`` that differ from their defaults, each with what it was concluded from; ``doubts`` are sentences."""

    keys: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    doubts: tuple[str, ...] = ()


def candidate_encodings(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the encodings to try, each with the reason.

    Raises:
        UnreadableTableError: the file is neither UTF-8, nor has it a byte order mark, nor is it a Western text.
    """
    with path.open("rb") as file:
        start = file.read(4)
    if marked := next((name for mark, name in _MARKS if start.startswith(mark)), None):
        yield marked, "the file begins with its byte order mark"
        return
    yield "utf-8", ""
    encoding, example = _western(path)
    yield encoding, f"it is not UTF-8; look whether {example!r} is right"


def _western(path: Path) -> tuple[str, str]:
    """Return latin-1, or cp1252 where it has letters of that, and an example of what it reads."""
    encoding, example = "latin-1", ""
    with open_text(path, "latin-1") as (text, _):
        while block := text.read(_BLOCK):
            example = example or next(iter(_BEYOND_ASCII.findall(block)), "")
            if controls := set(_CONTROL.findall(block)):
                encoding = "cp1252"
                _check_windows(path, controls)
    return encoding, example.encode("latin-1").decode(encoding, errors="replace")


def _check_windows(path: Path, controls: set[str]) -> None:
    try:
        "".join(controls).encode("latin-1").decode("cp1252")
    except UnicodeDecodeError:
        text = f"{path.name} is not written in utf-8 and not in cp1252; name its encoding, such as cp932 or koi8-r"
        raise UnreadableTableError("encoding", text) from None


def detect_notation(path: Path, target: str | None, encoding: str) -> Notation:
    """Return how a CSV file in an encoding is written, judged by its first rows.

    Raises:
        UnreadableTableError: it cannot be read.
        OSError: it cannot be opened.
    """
    default = "\t" if is_tab_separated(path) else ","
    data = DataSpec(path=path, format="csv", target=target or "", test_size=0.2, encoding=encoding)
    with translate_read_errors(data):
        separator, rows = _find_separator(path, target, encoding, default)
    if not rows:
        raise UnreadableTableError("path", f"{path.name} is empty")
    keys: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    if separator != default:
        keys["separator"], reasons["separator"] = separator, "it splits every row into the same number of cells"
    columns = [_cells(rows[1:], place) for place in range(len(rows[0]))]
    symbols = sorted(set().union(*map(_missing_symbols, columns)))
    columns = [Counter({text: n for text, n in cells.items() if text not in symbols}) for cells in columns]
    doubts = []
    grouping, decimal, example = _find_numbers(columns, separator)
    if example:
        chosen = {key: sign for key, sign in (("decimal", decimal), ("thousands", grouping)) if sign not in {"", "."}}
        chosen |= {"thousands": "."} if grouping == "." else {}
        keys |= chosen
        reasons |= dict.fromkeys(chosen, f"numbers such as {example!r}")
        if _THREE_DIGITS.fullmatch(example):
            meaning = "decimals" if "decimal" in chosen else "thousands"
            doubts.append(
                f"numbers such as {example!r} are read with the sign for {meaning}; look whether that is right"
            )
    named = [(name, find_unit(cells)) for name, cells in zip(rows[0], columns, strict=True) if name != target]
    doubts += [
        f"column '{name}' holds numbers with a unit, such as {cell!r}, and is text: write them without it to learn from them"
        for name, cell in named
        if cell
    ]
    if symbols:
        keys["missing_values"] = symbols
        reasons["missing_values"] = "they stand among numbers"
    return Notation(keys, reasons, tuple(doubts))


def _find_separator(path: Path, target: str | None, encoding: str, default: str) -> tuple[str, Sequence[list[str]]]:
    """Return the separator that splits the first rows best, and these rows."""
    best: tuple[tuple[bool, float, bool, int], str, Sequence[list[str]]] | None = None
    first: Sequence[list[str]] = ()
    for separator in (default, *(each for each in SEPARATORS if each != default), BLANKS):
        with open_text(path, encoding) as (text, _):
            rows = [row for _, row in islice(read_rows(text, separator), _ROWS)]
        first = first or rows
        width = len(rows[0]) if rows else 0
        share = sum(len(row) == width for row in rows) / max(len(rows), 1)
        in_words = share < 1 or len(rows) < _FEW_ROWS if target is None else share < 1 or target not in rows[0]
        if width < 2 or (separator == BLANKS and in_words):
            continue
        merit = (target is None or target in rows[0], share, separator != BLANKS, width)
        if best is None or merit > best[0]:
            best = (merit, separator, rows)
    return (default, first) if best is None else best[1:]


def note_on_header(names: Sequence[str]) -> str:
    """Return a sentence if a table seems to have no header; else ""."""
    number = next((name for name in names if _FLOAT.fullmatch(name.strip())), None)
    return f"the first row holds the number {number!r}: if it is no header, write one above it" if number else ""


def find_unit(texts: Iterable[str]) -> str:
    """Return one of the texts if they are numbers with the same unit or currency sign; else ""."""
    distinct = set(texts)
    found = [match for match in map(_WITH_UNIT.fullmatch, distinct) if match]
    units = {(match[1], match[2].strip()) for match in found}
    alike = len(found) == len(distinct) >= _SOME and len(units) == 1 and units != {("", "")}
    return min(distinct) if alike else ""


def _cells(rows: Sequence[Sequence[str]], place: int) -> Counter[str]:
    """Count the cells of a column by their text, without empty ones and other words for a missing value."""
    texts = (row[place].strip() for row in rows if place < len(row))
    return Counter(text for text in texts if text not in MISSING)


def _missing_symbols(cells: Counter[str]) -> set[str]:
    """Return the symbols among a column's numbers that can only mean a missing value."""
    words = {text for text in cells if text in _SYMBOLS}
    numbers = [text for text in cells if text not in words]
    signs = re.compile(r"[+-]?\d[\d.,' ]*([eE][+-]?\d+)?")
    return words if numbers and all(signs.fullmatch(text) for text in numbers) else set()


def _find_numbers(columns: Sequence[Counter[str]], separator: str) -> tuple[str, str, str]:
    """Return the thousands separator, the decimal sign and an example with one of them; plain numbers win a tie."""
    order = sorted(
        NOTATIONS, key=lambda signs: (signs != ("", "."), (signs == (",", ".")) != (separator == ","), signs)
    )
    numeric = {signs: sum(_in_notation(cells, signs) for cells in columns) for signs in order}
    grouping, decimal = best = max(order, key=lambda signs: numeric[signs])  # the first of equals
    if numeric[best] == numeric["", "."]:
        return "", ".", ""
    signs = [sign for sign in (grouping, "," if decimal == "," else "") if sign]
    chosen = (cells for cells in columns if _in_notation(cells, best) and not _in_notation(cells, ("", ".")))
    examples = [text for cells in chosen for text in cells if any(sign in text for sign in signs)]
    plain = [text for text in examples if not _THREE_DIGITS.fullmatch(text)]
    return grouping, decimal, (plain or examples)[0]


def _in_notation(cells: Counter[str], signs: tuple[str, str]) -> bool:
    """Return whether nearly all cells are numbers in the notation."""
    total = sum(cells.values())
    fits = sum(
        count
        for text, count in cells.items()
        if NOTATIONS[signs].fullmatch(text) or (signs == ("", ".") and _FLOAT.fullmatch(text))
    )
    return total > 0 and fits >= _MOSTLY * total
