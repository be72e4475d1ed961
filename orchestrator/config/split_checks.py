"""Check the keys of ``data.split`` against the files, of which only headers and the first rows are read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from itertools import islice

from orchestrator.errors import Problem
from orchestrator.reading.date_columns import recognise
from orchestrator.reading.files import UnreadableTableError, open_text
from orchestrator.reading.frame import left_out
from orchestrator.reading.header import Header, column_differences
from orchestrator.reading.rows import read_rows
from orchestrator.reading.second_table import common_names
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import format_value, suggest_or_list
from score.contract.dates import ISO

_ROWS = 200  # of a CSV file whose dates are looked at before it is read
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_ISO = re.compile(r"\d{4}(-?\d{2}(-?\d{2})?)?([T ]\d{2}.*)?")


def column_problems(data: DataSpec, header: Header) -> Iterator[Problem]:
    """Yield that the column of the split is no column of the file or the target, or that it holds no dates."""
    by, file = data.split.by, data.path.name
    if by is None:
        return
    if by not in header.names:
        yield Problem("data.split.by", f"{file} has no column '{by}'{suggest_or_list(by, header.names)}")
    elif by == data.target:
        yield Problem("data.split.by", f"'{by}' is the target; name the column that decides the split")
    elif data.split.rule == "time" and data.format == "csv" and (cell := _no_date(data, header)):
        if data.split.date_format is not None:
            text = f"'{by}' holds {format_value(cell)}, which is not written as {data.split.date_format}"
            yield Problem("data.split.date_format", text)
        else:
            text = f"'{by}' holds {format_value(cell)}, which is neither a number nor a date such as 2024-01-31"
            yield Problem("data.split.by", f"{text}; say how it is written: 'data.split.date_format=\"%d/%m/%Y\"'")


def _no_date(data: DataSpec, header: Header) -> str:
    """Return the first cell that cannot be a time; "" if there is none in the first rows."""
    place = header.names.index(str(data.split.by))
    missing = set(data.table_format().missing)
    form, cells = data.split.date_format or data.date_formats.get(str(data.split.by)), list[str]()
    with (
        suppress(Exception),
        open_text(data.files().paths[0], data.encoding) as (text, _),
    ):  # training reports what is damaged
        rows = read_rows(text, str(data.separator))
        next(rows, None)
        for _, row in islice(rows, _ROWS):
            cells.append(row[place].strip())
    cells = [cell for cell in dict.fromkeys(cells) if cell not in missing]
    if form is None and data.dates != "off" and recognise(cells).form:
        return ""
    return next((cell for cell in cells if not _may_be_a_time(cell, form)), "")


def _may_be_a_time(cell: str, date_format: str | None) -> bool:
    if date_format in (None, ISO):
        return bool(_NUMBER.fullmatch(cell) or _ISO.fullmatch(cell))
    try:
        datetime.strptime(cell, str(date_format))  # noqa: DTZ007 - only whether it can be read
    except ValueError:
        return False
    return True


def file_problems(data: DataSpec, header: Header, read: Callable[[DataSpec], Header]) -> Iterator[Problem]:
    """Yield what is wrong with the table of the hold-out rows; ``read`` returns the header of a table."""
    described = data.of_held_out()
    if described.path == data.path:
        yield Problem("data.split.file", f"{data.path.name} is the table that is learned from; name another")
        return
    try:
        second = read(described)
        shared = {each.path.resolve() for each in data.files().files} & {
            each.path.resolve() for each in described.files().files
        }
    except UnreadableTableError as error:
        text = str(error)
        if error.key == "format":
            text = f"{described.path.name} should be a {data.format} file as data.path is"
        yield Problem("data.split.file", text)
        return
    if shared:
        text = f"{described.path.name} is one of the files of {data.path}, and its rows would be learned from"
        yield Problem("data.split.file", f"{text}; move it, or name the others by a pattern")
    names = common_names(header, [*left_out(data, header)])
    present = common_names(second, [*left_out(described, second)])
    for problem in column_differences(described.path.name, names, present, data.path.name):
        yield Problem("data.split.file", problem)
