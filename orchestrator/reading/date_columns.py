"""Dates in a table: recognise how text writes them, and read every kind of date as one.

A column is one of dates if all of its cells are written in one format, and no other format could mean other days: dates
whose day and month could change places stay text until ``data.dates`` says which is which.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

from orchestrator.findings import DATE_ORDER, DATE_TEXT, TableFinding, format_overrides
from orchestrator.reading.files import UnreadableTableError
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import format_value
from score.contract import dates
from score.contract.dates import AWARE, ISO, NAIVE

if TYPE_CHECKING:
    import pandas as pd

_DAYS = (  # the formats that are tried, besides ISO 8601
    *("%Y/%m/%d", "%Y.%m.%d"),
    *("%d.%m.%Y", "%m.%d.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%Y"),
    *("%d-%b-%Y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y"),
)
_SHORT = (
    "%d.%m.%y",
    "%m.%d.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%y",
    "%m-%d-%y",
)  # reported, since the century is not known
_TIMES = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_LIKE_A_DATE = re.compile(
    r"(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}|[A-Za-z]{3,9} \d{1,2}, \d{4})"
    r"([T ]\d.*)?"
)
_SAMPLE = 100  # cells that are looked at before all are read
_MOSTLY = 0.9  # share of these that look like dates, from which the column is meant to be one
_LISTED = 3  # values in a sentence


@dataclass(frozen=True)
class DateReading:
    """How a column of text writes dates.

    ``form`` is :data:`ISO` or a format of ``strptime``; empty if the column is none of dates. Then ``forms`` are the
    formats that would all fit, and ``odd`` is a cell that is no date among many that look like one.
    """

    form: str = ""
    aware: bool = False
    forms: Sequence[str] = ()
    odd: str = ""


def recognise(texts: Iterable[str]) -> DateReading:
    """Return how distinct texts write dates, if they do: a sample is looked at before all are."""
    cells = list(texts)
    sample = list(islice(cells, _SAMPLE))
    alike = sum(bool(_LIKE_A_DATE.fullmatch(cell)) for cell in sample)
    if not sample or alike < _MOSTLY * len(sample):
        return DateReading(forms=[form for form in _SHORT if sample and _fits(cells, form)])
    for aware in (False, True):
        if _fits(sample, ISO, aware=aware) and _fits(cells, ISO, aware=aware):
            return DateReading(ISO, aware)
    forms = [form for form in _candidates(sample) if _fits(sample, form) and _fits(cells, form)]
    if len(forms) == 1:
        return DateReading(forms[0])
    if forms:
        return DateReading(forms=forms)
    return DateReading(odd=_odd(cells))


def _candidates(sample: Sequence[str]) -> list[str]:
    """Return the formats that most of a sample may be written in, by its first cell that looks like a date."""
    first = next(cell for cell in sample if _LIKE_A_DATE.fullmatch(cell))
    times = [time for time in _TIMES if first.count(":") == time.count(":")]
    return [day + time for time in times for day in _DAYS]


def _fits(texts: Iterable[str], form: str, *, aware: bool = False) -> bool:
    try:
        for text in texts:
            dates.parse_as(text, form, aware=aware)
    except ValueError:
        return False
    return True


def _is_a_date(cell: str) -> bool:
    return bool(_LIKE_A_DATE.fullmatch(cell)) and any(_fits([cell], form) for form in (ISO, *_candidates([cell])))


def _odd(cells: Sequence[str]) -> str:
    """Return the first cell that is written unlike the others; of an even mixture any."""
    forms = [partial(_fits, form=ISO, aware=aware) for aware in (False, True)]
    forms += [partial(_fits, form=form) for form in _candidates(cells)]
    best = max(forms, key=lambda fits: sum(fits([cell]) for cell in cells[:_SAMPLE]))
    return next((cell for cell in cells if not best([cell])), "")


def read_dates(frame: pd.DataFrame, data: DataSpec) -> tuple[pd.DataFrame, dict[str, str], list[TableFinding]]:
    """Return a table with its texts of dates as such, how each column writes them, and what may be a mistake.

    Raises:
        UnreadableTableError: a cell of a column in ``data.dates`` is not written so.
    """
    if data.dates == "off":
        return frame, {}, []
    forms: dict[str, str] = {}
    findings: list[TableFinding] = []
    columns: dict[str, Any] = {}
    given = data.date_formats
    parts = [data.split.by] if data.split.rule == "column" and not data.split.keep else []  # named as they are written
    for name in frame.columns:
        values = frame[name]
        if name in {data.target, *data.text_columns, *parts} or values.dtype.kind != "O":
            continue
        present = values.dropna()
        if len(present) and not isinstance(present.iloc[0], str):
            continue
        texts = present.unique().tolist()
        if name in given:
            reading = _given(name, texts, given[name])
        elif all(isinstance(text, str) for text in texts):
            reading = recognise(texts)
        else:
            continue
        if reading.form:
            columns[name], forms[name] = _convert(values, texts, reading), reading.form
        else:
            findings += _describe(name, reading, given)
    return (frame.assign(**columns) if columns else frame), forms, findings


def _given(name: str, texts: Sequence[str], form: str) -> DateReading:
    aware = "%z" in form
    if form == ISO:
        aware = bool(texts) and _fits(texts[:1], ISO, aware=True)
    for text in texts:
        if not _fits([text], form, aware=aware):
            how = "in ISO 8601, all with a time zone or all without" if form == ISO else f"as {form}"
            raise UnreadableTableError(
                "dates", f"column '{name}' holds {format_value(text)}, which is not written {how}"
            )
    return DateReading(form, aware)


def _convert(values: pd.Series, texts: Iterable[str], reading: DateReading) -> pd.Series:
    import pandas as pd

    seconds = {text: dates.parse_as(text, reading.form, aware=reading.aware) for text in texts}
    dtype = AWARE if reading.aware else NAIVE
    return pd.Series(dates.to_pandas(values.map(seconds), dtype), index=values.index, name=values.name)


def _describe(name: str, reading: DateReading, given: Mapping[str, str]) -> list[TableFinding]:
    """Return what to say of a column that seems to hold dates and is read as text."""
    if reading.forms:
        first, *others = ({"data.dates": {**given, name: form}} for form in reading.forms)
        more = " or ".join(format_overrides(each) for each in others)
        unclear = "in each of its dates day and month may change places"
        why = "the years of its dates have two digits" if reading.forms[0] in _SHORT else unclear
        remedy = " or ".join(filter(None, [format_overrides(first), more]))
        return [TableFinding(DATE_ORDER, f"column '{name}' is read as text: {why}; write {remedy}", (name,))]
    if reading.odd:
        missing = (
            f"if that means missing, write {format_overrides({'data.missing_values': [reading.odd]})}, else correct it"
        )
        remedy = "write them all in one way" if _is_a_date(reading.odd) else missing
        text = f"column '{name}' is read as text and looks like dates: all but cells like {reading.odd!r}; {remedy}"
        return [TableFinding(DATE_TEXT, text, (name,))]
    return []
