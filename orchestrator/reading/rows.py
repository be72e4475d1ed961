"""The rows of a CSV file with their line numbers, and what may separate their cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

BLANKS = r"\s+"  # runs of blanks and tabs, the only separator of more than one character
_LONGEST_CELL = 2**31 - 1  # Python's csv module stops at 131,072 characters unless it is given a limit


def is_tabbed(path: Path) -> bool:
    """Return whether a file's name says that tabs separate its cells, compressed or not."""
    return not {".tsv", ".tab"}.isdisjoint(ending.lower() for ending in path.suffixes)


def rows_of(text: TextIO, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not blank, each with the number of its first line, from 1."""
    csv.field_size_limit(_LONGEST_CELL)  # of the whole process: a smaller limit would only turn long cells into errors
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


def separator_of(typed: str) -> str:
    r"""Return the one character that a separator stands for; escapes such as ``\t`` and ``\x1f`` mean what they say.

    Raises:
        ValueError: it stands for several characters, or for one that cannot separate cells.
    """
    found = typed
    if found != BLANKS and len(found) > 1 and found.startswith("\\"):
        found = "\\" + found.lstrip("\\")  # a shell, Hydra or YAML may leave a backslash doubled
        if re.fullmatch(r"\\(t|v|f|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|[0-7]{1,3}|[^\w\s])", found):
            found = found[1:] if not found[1].isalnum() else found.encode("ascii").decode("unicode_escape")
    if found == BLANKS or (len(found) == 1 and found not in '"\r\n\0'):
        return found
    if len(found) == 1:
        raise ValueError(f"{typed!r} cannot separate cells; write another character, such as ';'")
    raise ValueError(
        rf"should be one character such as ';', '\t' for a tab, or '\s+' for blanks, got {typed!r}"
        + ("; write '\\t'" if typed.lower() == "tab" else "")
    )
