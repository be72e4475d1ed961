"""The rows of a CSV file with their line numbers."""

from __future__ import annotations

import csv
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import chain, islice

from orchestrator.spec.separators import BLANKS

_BLOCK = 1000  # rows that are cut at once
_LONGEST_CELL = 2**31 - 1  # Python's csv module stops at 131,072 characters unless it is given a limit


def read_rows(text: Iterable[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its first line, from 1."""
    csv.field_size_limit(_LONGEST_CELL)  # for the whole process
    if separator == BLANKS:
        lines = (line.replace("\t", " ").strip() for line in text)
        reader = csv.reader(lines, delimiter=" ", skipinitialspace=True)
    else:
        reader = csv.reader(text, delimiter=separator)
    line = 1
    for row in reader:
        if row and (len(row) > 1 or not row[0] or not row[0].isspace()):
            yield line, row
        line = reader.line_num + 1


def cut_rows(lines: Iterator[str], separator: str, rows: int) -> Iterator[tuple[int, str]]:
    """Yield the text of ``rows`` rows at a time, cut where :func:`read_rows` ends a row, with the number of rows.

    A line without a quote is a row. Where there are quotes, or blank lines, rows are read to be counted.
    """
    while block := list(islice(lines, rows)):
        text, count = "".join(block), len(block)
        if '"' in text or not all(map(str.strip, block)):
            taken: list[str] = []
            reader = read_rows(_recorded(chain(block, lines), taken), separator)  # it takes all of the block
            count = sum(1 for _ in islice(reader, rows))
            text = "".join(taken)
        if count:
            yield count, text


def _recorded(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def pick_rows(lines: Iterator[str], separator: str, numbers: Sequence[int]) -> Iterator[str]:
    """Yield the text of the first row, then of the rows with these ascending numbers, counted from 0 behind the first."""
    yield from (text for _, text in islice(cut_rows(lines, separator, 1), 1))
    start = place = 0
    for count, text in cut_rows(lines, separator, _BLOCK):
        stop = bisect_left(numbers, start + count)
        if place < stop:
            single = [row for _, row in cut_rows(StringIO(text, newline=""), separator, 1)]
            yield from (single[number - start] for number in numbers[place:stop])
        start, place = start + count, stop
