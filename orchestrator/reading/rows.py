"""The rows of a CSV file with their line numbers."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from typing import TextIO

from orchestrator.spec.separators import BLANKS

_LONGEST_CELL = 2**31 - 1  # Python's csv module stops at 131,072 characters unless it is given a limit


def read_rows(text: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
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
