"""One pass over the text of a CSV file: check the number of cells in every row, and collect facts about each column."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.reading.files import UnreadableTableError, open_text
from orchestrator.reading.header import Header
from orchestrator.reading.rows import read_rows
from orchestrator.spec.separators import BLANKS
from score.contract.cells import TableFormat

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS = 8192  # of a chunk
_BLOCK = 2**22  # bytes of a chunk; a longer row is read by csv
_SHORTEST = 9  # last number of a run that another run may follow: a column of 0 and 1 is no index
_GROUPED = r"^(?:[+-]?[1-9]\d{0,2}(?:\.\d{3})*|0)?$"


@dataclass
class ColumnScan:
    """Facts about the text of one column's cells.

    ``missing`` counts the missing values by their text, ``leading_zero`` is the first number with a superfluous leading
    zero, ``misgrouped`` the first with a misplaced thousands separator. ``grouped``: every number may use dots for
    thousands, and some have one. ``numbers_rows``: the column only numbers the rows (for columns that may be an index).
    """

    missing: Counter[str] = field(default_factory=Counter)
    leading_zero: str = ""
    misgrouped: str = ""
    grouped: bool = False
    numbers_rows: bool = False
    empty: bool = True


class RowNumbers:
    """Detects columns that only number the rows: integers that are distinct, or in runs from 0 or 1 upwards."""

    def __init__(self) -> None:
        self._seen: set[int] = set()
        self._last: int | None = None
        self._runs, self._repeats = True, False

    def extend(self, cells: Iterable[str]) -> bool:
        """Return whether the column is still row numbers with the next cells; concatenated tables have several runs."""
        for text in cells:
            cell = text.removesuffix(".0")  # as pandas writes an index of floats
            if not (cell.isascii() and cell.isdigit() and len(cell) < 19):
                return False
            number = int(cell)
            begins = number in {0, 1} and (self._last is None or self._last >= _SHORTEST)
            self._runs = self._runs and (begins or number - 1 == self._last)
            self._repeats = self._repeats or number in self._seen
            self._last = number
            self._seen.add(number)
            if self._repeats and not self._runs:
                return False
        return True


class _ColumnScanner:
    """Scans one column, some thousand cells at a time; each check stops once its result is certain."""

    def __init__(self, form: TableFormat, *, index: bool) -> None:
        import pyarrow as pa

        self.result = ColumnScan(numbers_rows=index)
        self._missing_texts = pa.array(form.missing, pa.string())
        self._zero = rf"^ *[+-]?0\d[\d{re.escape(form.decimal)}]* *$"
        self._may_be_grouped, self._dots = form.decimal == "." and form.thousands is None, False
        self._misgrouped = misgrouped_pattern(form)
        self._row_numbers = RowNumbers()

    def add(self, cells: pa.Array) -> None:
        """Scan the next cells (n_rows,), all text."""
        from pyarrow import compute as pc

        result = self.result
        is_missing = pc.is_in(cells, value_set=self._missing_texts)
        numbers = cells
        if pc.any(is_missing).as_py():
            counts = cells.filter(is_missing).value_counts().to_pylist()
            result.missing.update({each["values"]: each["counts"] for each in counts})
            numbers = cells.filter(pc.invert(is_missing))
        result.empty = result.empty and not pc.any(pc.not_equal(cells, "")).as_py()
        if result.numbers_rows:
            result.numbers_rows = self._row_numbers.extend(cells.to_pylist())
        if not result.leading_zero:
            zeros = cells.filter(pc.match_substring_regex(cells, self._zero))
            result.leading_zero = zeros[0].as_py().strip() if len(zeros) else ""
        if self._misgrouped and not result.misgrouped:
            wrong = self._misgrouped.search("\n".join(cells.to_pylist()))
            result.misgrouped = wrong[0].strip() if wrong else ""
        if self._may_be_grouped:
            self._may_be_grouped = pc.all(pc.match_substring_regex(numbers, _GROUPED), min_count=0).as_py()
            self._dots = self._dots or pc.any(pc.match_substring(numbers, "."), min_count=0).as_py()
            result.grouped = self._may_be_grouped and self._dots


def misgrouped_pattern(form: TableFormat) -> re.Pattern[str] | None:
    """Return a pattern for cells with thousands separators in which the groups are not of three digits."""
    if form.thousands is None:
        return None
    group, decimal = re.escape(form.thousands), re.escape(form.decimal)
    right = rf" *[+-]?\d{{1,3}}(?:{group}\d{{3}})*(?:{decimal}\d*)?(?:[eE][+-]?\d+)? *$"
    return re.compile(rf"(?m)^(?!{right})(?=[^\n]*{group})[ \d+\-eE{group}{decimal}]*\d[ \d+\-eE{group}{decimal}]*$")


def scan_csv(
    paths: Sequence[Path], header: Header, form: TableFormat, columns: Collection[str]
) -> tuple[int, dict[str, ColumnScan]]:
    """Return the number of rows of the CSV files of one table, and the scans of its columns.

    Raises:
        UnreadableTableError: a row has more or fewer cells than the header; the text has its file and line number.
    """
    import pyarrow as pa

    if form.separator != BLANKS and form.separator.isascii():
        with suppress(pa.ArrowException):  # a row is ragged, for which csv has the line number, or only csv can read it
            return _scan_chunks(_chunks(_read_with_pyarrow, paths, header, form), header, form, columns)
    return _scan_chunks(_chunks(_read_with_csv, paths, header, form), header, form, columns)


def _chunks(
    read: Callable[[Path, Header, TableFormat], Iterator[Sequence[pa.Array]]],
    paths: Sequence[Path],
    header: Header,
    form: TableFormat,
) -> Iterator[Sequence[pa.Array]]:
    return chain.from_iterable(read(path, header, form) for path in paths)


def _scan_chunks(
    chunks: Iterable[Sequence[pa.Array]], header: Header, form: TableFormat, columns: Collection[str]
) -> tuple[int, dict[str, ColumnScan]]:
    scanners = {name: _ColumnScanner(form, index=name in header.index) for name in columns}
    places = [(scanners[name], place) for place, name in enumerate(header.names) if name in scanners]
    rows = 0
    for by_column in chunks:
        rows += len(by_column[0])
        for scanner, place in places:
            scanner.add(by_column[place])
    return rows, {name: scanner.result for name, scanner in scanners.items()}


def _read_with_pyarrow(path: Path, header: Header, form: TableFormat) -> Iterator[Sequence[pa.Array]]:
    """Yield the rows after the header as columns of text, read by pyarrow: many times as fast as csv.

    Raises:
        ArrowException: a row is ragged, or pyarrow cannot read it.
    """
    import pyarrow as pa
    from pyarrow import csv

    text_only = csv.ConvertOptions(column_types=dict.fromkeys(header.names, pa.string()), strings_can_be_null=False)
    with open_text(path, form.encoding) as (text, _):
        encoding = "utf8" if text.encoding == "utf-8-sig" else text.encoding  # pyarrow skips UTF-8's byte order mark
        options = csv.ReadOptions(use_threads=False, block_size=_BLOCK, encoding=encoding, column_names=header.names)
        parsing = csv.ParseOptions(delimiter=form.separator, newlines_in_values=True)
        reader = csv.open_csv(text.buffer, options, parsing, text_only)
        skip = 1  # the header; pyarrow's own option would skip a blank line before it
        for batch in reader:
            yield batch.slice(skip).columns
            skip = max(0, skip - batch.num_rows)


def _read_with_csv(path: Path, header: Header, form: TableFormat) -> Iterator[Sequence[pa.Array]]:
    """Yield the rows after the header as columns of text, read by csv.

    Raises:
        UnreadableTableError: a row is ragged.
    """
    import pyarrow as pa

    width, number = len(header.names), 0
    with open_text(path, form.encoding) as (text, _):
        lines = read_rows(text, form.separator)
        next(lines, None)
        while chunk := list(islice(lines, _ROWS)):
            for line, row in chunk:
                number += 1
                if len(row) != width:
                    raise UnreadableTableError(
                        "path", _ragged_row_message(path, header, line, number, row, form.separator)
                    )
            yield [pa.array(cells, pa.string()) for cells in zip(*(row for _, row in chunk), strict=True)]


def _ragged_row_message(path: Path, header: Header, line: int, number: int, row: Sequence[str], separator: str) -> str:
    """Describe a row that has not one cell for each column, with the likely remedy."""
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
