"""One pass over the text of a CSV file: every row has a cell for each column, and what its numbers look like."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.reading.files import Unreadable, opened
from orchestrator.reading.header import Header
from orchestrator.reading.rows import BLANKS, rows_of
from score.contract.cells import TableFormat

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192  # looked at together
_BLOCK = 2**22  # bytes looked at together; a longer row is read by csv
_SHORTEST = 9  # last number of a table that another one may stand behind: a column of 0 and 1 numbers nothing
_GROUPED = r"^(?:[+-]?[1-9]\d{0,2}(?:\.\d{3})*|0)?$"


@dataclass
class ColumnScan:
    """What the cells of one column look like, as text.

    ``missing`` counts the cells by the string that meant a missing value, ``leading_zero`` is the first number that
    begins with a zero too many, ``misgrouped`` the first that has a thousands separator where none belongs.
    ``grouped`` says whether every number may be one with thousands dots, and some have one. ``numbers_rows`` says
    whether the column only numbers the rows; it is looked at for columns that may be an index.
    """

    missing: Counter[str] = field(default_factory=Counter)
    leading_zero: str = ""
    misgrouped: str = ""
    grouped: bool = False
    numbers_rows: bool = False
    empty: bool = True


class RowNumbers:
    """Judges whether cells only number the rows of a table: whole, and distinct or in runs from 0 or 1 upwards."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._last: int | None = None
        self._runs, self._twice = True, False

    def go_on(self, cells: Iterable[str]) -> bool:
        """Return whether the next cells may be row numbers, too; runs stand behind each other in joined tables."""
        for text in cells:
            cell = text.removesuffix(".0")  # as pandas writes an index of floats
            if not (cell.isascii() and cell.isdigit() and len(cell) < 19):
                return False
            number = int(cell)
            begins = number in {0, 1} and (self._last is None or self._last >= _SHORTEST)
            self._runs = self._runs and (begins or number - 1 == self._last)
            self._twice = self._twice or number in self._seen
            self._last = number
            self._seen.add(number)
            if self._twice and not self._runs:
                return False
        return True


class _Watch:
    """Looks at one column, some thousand cells at a time; each question is dropped once it is answered."""

    def __init__(self, form: TableFormat, *, index: bool) -> None:
        import pyarrow as pa

        self.found = ColumnScan(numbers_rows=index)
        self._words = pa.array(form.missing, pa.string())
        self._zero = rf"^ *[+-]?0\d[\d{re.escape(form.decimal)}]* *$"
        self._may_be_grouped, self._dots = form.decimal == "." and form.thousands is None, False
        self._misgrouped = misgrouped(form)
        self._row_numbers = RowNumbers()

    def look(self, cells: pa.Array) -> None:
        """Look at the next cells (n_rows,), all text."""
        from pyarrow import compute as pc

        found = self.found
        is_missing = pc.is_in(cells, value_set=self._words)
        numbers = cells
        if pc.any(is_missing).as_py():
            counts = cells.filter(is_missing).value_counts().to_pylist()
            found.missing.update({each["values"]: each["counts"] for each in counts})
            numbers = cells.filter(pc.invert(is_missing))
        found.empty = found.empty and not pc.any(pc.not_equal(cells, "")).as_py()
        if found.numbers_rows:
            found.numbers_rows = self._row_numbers.go_on(cells.to_pylist())
        if not found.leading_zero:
            zeros = cells.filter(pc.match_substring_regex(cells, self._zero))
            found.leading_zero = zeros[0].as_py().strip() if len(zeros) else ""
        if self._misgrouped and not found.misgrouped:
            wrong = self._misgrouped.search("\n".join(cells.to_pylist()))
            found.misgrouped = wrong[0].strip() if wrong else ""
        if self._may_be_grouped:
            self._may_be_grouped = pc.all(pc.match_substring_regex(numbers, _GROUPED), min_count=0).as_py()
            self._dots = self._dots or pc.any(pc.match_substring(numbers, "."), min_count=0).as_py()
            found.grouped = self._may_be_grouped and self._dots


def misgrouped(form: TableFormat) -> re.Pattern[str] | None:
    """Return what finds a cell of digits and thousands separators in which the groups are not of three digits."""
    if form.thousands is None:
        return None
    group, decimal = re.escape(form.thousands), re.escape(form.decimal)
    right = rf" *[+-]?\d{{1,3}}(?:{group}\d{{3}})*(?:{decimal}\d*)?(?:[eE][+-]?\d+)? *$"
    return re.compile(rf"(?m)^(?!{right})(?=[^\n]*{group})[ \d+\-eE{group}{decimal}]*\d[ \d+\-eE{group}{decimal}]*$")


def scan(path: Path, header: Header, form: TableFormat, columns: Collection[str]) -> tuple[int, dict[str, ColumnScan]]:
    """Return how many rows a CSV file has, and what the cells of the columns look like.

    Raises:
        Unreadable: a row has more cells than the header has names, or fewer; it is named by its line.
    """
    import pyarrow as pa

    if form.separator != BLANKS and form.separator.isascii():
        with suppress(pa.ArrowException):  # a row is torn, which csv names by its line, or only csv can read it
            return _looked_at(_quick_chunks(path, header, form), header, form, columns)
    return _looked_at(_chunks(path, header, form), header, form, columns)


def _looked_at(
    chunks: Iterable[Sequence[pa.Array]], header: Header, form: TableFormat, columns: Collection[str]
) -> tuple[int, dict[str, ColumnScan]]:
    watches = {name: _Watch(form, index=name in header.index) for name in columns}
    places = [(watches[name], place) for place, name in enumerate(header.names) if name in watches]
    rows = 0
    for by_column in chunks:
        rows += len(by_column[0])
        for watch, place in places:
            watch.look(by_column[place])
    return rows, {name: watch.found for name, watch in watches.items()}


def _quick_chunks(path: Path, header: Header, form: TableFormat) -> Iterator[Sequence[pa.Array]]:
    """Yield the rows behind the header as columns of text, read by pyarrow: many times as fast as csv.

    Raises:
        ArrowException: a row is torn, or pyarrow cannot read it.
    """
    import pyarrow as pa
    from pyarrow import csv

    text_only = csv.ConvertOptions(column_types=dict.fromkeys(header.names, pa.string()), strings_can_be_null=False)
    with opened(path, form.encoding) as (text, _):
        encoding = "utf8" if text.encoding == "utf-8-sig" else text.encoding  # pyarrow skips UTF-8's byte order mark
        reader = csv.open_csv(
            text.buffer,
            csv.ReadOptions(
                use_threads=False,
                block_size=_BLOCK,
                encoding=encoding,
                column_names=header.names,
            ),
            csv.ParseOptions(delimiter=form.separator, newlines_in_values=True),
            text_only,
        )
        skip = 1  # the header; pyarrow's own option would skip a blank line before it
        for batch in reader:
            yield batch.slice(skip).columns
            skip = max(0, skip - batch.num_rows)


def _chunks(path: Path, header: Header, form: TableFormat) -> Iterator[Sequence[pa.Array]]:
    """Yield the rows behind the header as columns of text, read by csv.

    Raises:
        Unreadable: a row is torn.
    """
    import pyarrow as pa

    width, number = len(header.names), 0
    with opened(path, form.encoding) as (text, _):
        lines = rows_of(text, form.separator)
        next(lines, None)
        while chunk := list(islice(lines, _ROWS)):
            for line, row in chunk:
                number += 1
                if len(row) != width:
                    raise Unreadable("path", _torn(path, header, line, number, row, form.separator))
            yield [pa.array(cells, pa.string()) for cells in zip(*(row for _, row in chunk), strict=True)]


def _torn(path: Path, header: Header, line: int, number: int, row: Sequence[str], separator: str) -> str:
    """Return the words for the first row that has not one cell for each name."""
    width = len(header.names)
    text = f"{path.name}, line {line} (row {number}) has {len(row)} cell{'s' * (len(row) != 1)} and the header {width}"
    if len(row) > width and not any(row[width:]):
        return f"{text}; remove the separator at the end of the rows, or add one to the header"
    if len(row) == width + 1 and number == 1:
        names = "if the first column holds row names, write its name, or '', into the header"
        return f"{text}; {names}; if not, put a cell that holds the separator in quotes"
    if any("\n" in cell for cell in row):
        return f"{text}; close the quote in it"
    if len(row) > width and separator != BLANKS:
        return f"{text}; put a cell that holds the separator in quotes"
    return f"{text}; complete the row, or remove it"
