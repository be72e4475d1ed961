"""What a column is besides a feature: a constant, an identifier, free text, a date, or the id of a group.

The one place that decides it: ``orchestrate init`` leaves such columns out, and the checks before training report them.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    import pandas as pd

Kind: TypeAlias = Literal["empty", "composite", "constant", "date", "identifier", "text", "group"]

_TIME = r"([T ]+\d{1,2}:\d{2}(:\d{2}([.,]\d+)?)?\s*([AaPp][Mm])?\s*(Z|UTC|[+-]\d{2}:?\d{2})?)?"
_DATE = re.compile(
    rf"(\d{{4}}-\d{{2}}(-\d{{2}})?|\d{{4}}/\d{{1,2}}/\d{{1,2}}|\d{{1,2}}[./-]\d{{1,2}}[./-](\d{{4}}|\d{{2}})){_TIME}"
)
_COMPACT_DATE = re.compile(r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_FIRST_DAY, _LAST_DAY = 19000000, 20991232  # beyond which whole numbers are no dates
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")  # of a name: customerId, customer_id
_ID_WORDS = {"id", "ids", "uuid", "guid", "key", "identifier"}
_NUMBER_WORDS = {"nr", "no", "number", "nummer", "index"}
_PERSON_WORDS = {  # last in a column's name, if its values repeat: what rows belong to
    *("client", "customer", "employee", "household", "participant", "patient", "person", "student", "subject", "user"),
}
_THING_WORDS = {  # the same, where whole numbers repeat
    *("account", "company", "device", "family", "firm", "group", "hospital", "machine", "school", "session"),
}
_CODE = re.compile(r"[A-Za-z]{1,4}[-_ ]?\d{3,}|[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|[0-9a-fA-F]{16,}")
_MOSTLY = 0.95  # share of the values that look alike
_MIN_ROWS = 20  # below, distinct values say little
_SAMPLE = 1000  # distinct values that are compared with a pattern
_MOST_LEVELS = 0.5  # share of distinct texts among the rows, above which a column is an identifier or free text
_SENTENCE = 3  # words of a value on average, from which a column is text
_PANEL = 2  # rows of a value on average, from which numbered things are groups


@dataclass(frozen=True)
class Trait:
    """What a column is besides a feature, and a few words on why."""

    kind: Kind
    reason: str


def judge_column(values: pd.Series) -> Trait | None:
    """Return what a column (n_rows,) is besides a feature; None if it is an ordinary one."""
    present, rows = values.dropna(), len(values)
    if present.empty:
        return Trait("empty", "empty")
    first, kind = present.iloc[0], values.dtype.kind
    if not _is_hashable(first):
        return Trait("composite", f"no column of single values, but of {type(first).__name__}")
    if len(present) == rows and bool((present == first).all()):
        return Trait("constant", f"constant: {_shorten(first)} in every row")
    if kind in "mM" or isinstance(first, dt.date | dt.time):
        return Trait("date", f"a date or time, such as {first}")
    judge = {"i": _judge_numbers, "u": _judge_numbers, "O": _judge_texts}.get(kind)
    return judge(str(values.name), present, rows) if judge else None


def name_words(name: str) -> list[str]:
    """Return the words of a column's name in lower case: ``customerId`` has customer and id."""
    return [word.lower() for word in _WORDS.findall(name)]


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _judge_numbers(name: str, present: pd.Series, rows: int) -> Trait | None:
    """Judge whole numbers; the values are counted only where the name or the range asks for it."""
    words = name_words(name)
    ends = {*words[:1], *words[-1:]}
    least, most = int(present.min()), int(present.max())
    if least > _FIRST_DAY and most < _LAST_DAY and _is_compact_date(present):
        return Trait("date", f"a date, such as {present.iloc[0]}")
    runs = rows >= _MIN_ROWS and most - least == rows - 1
    numbered = [word for word in words if word not in _NUMBER_WORDS]  # of customer_nr; nr alone numbers things, too
    member = words in (["nr"], ["nummer"]) or bool({*numbered[-1:]} & (_PERSON_WORDS | _THING_WORDS))
    named = bool(ends & _ID_WORDS)
    if not (runs or member or named or ends & _NUMBER_WORDS):
        return None
    levels = int(present.nunique())
    if levels == len(present) and (ends & (_ID_WORDS | _NUMBER_WORDS) or runs):
        return Trait("identifier", f"an identifier: each of the {levels:,} values stands in one row")
    if levels >= _MIN_ROWS and (named or (member and len(present) >= _PANEL * levels)):
        return _group(levels, present, rows)
    return None


def _judge_texts(name: str, present: pd.Series, rows: int) -> Trait | None:
    levels = int(present.nunique())
    texts = [str(text).strip() for text in present.unique()[:_SAMPLE]]
    if sum(map(bool, map(_DATE.fullmatch, texts))) >= _MOSTLY * len(texts):
        return Trait("date", f"a date, such as {present.iloc[0]}")
    words = name_words(name)
    named = bool({*words[:1], *words[-1:]} & _ID_WORDS)
    unique, example = levels == len(present), _shorten(present.iloc[0])
    kind: Kind = "text" if sum(len(text.split()) for text in texts) >= _SENTENCE * len(texts) else "identifier"
    what = "free text" if kind == "text" else "an identifier or free text"
    coded = sum(bool(_CODE.fullmatch(text)) for text in texts) >= _MOSTLY * len(texts)
    if unique and (rows >= _MIN_ROWS or named):
        return Trait(kind, f"{what}: each of the {levels:,} values, such as {example}, stands in one row")
    if rows >= _MIN_ROWS and levels > _MOST_LEVELS * rows and not (coded or named):
        return Trait(kind, f"{what}: {levels:,} distinct values, such as {example}, in {rows:,} rows")
    if levels >= _MIN_ROWS and (coded or named or {*words[-1:]} & _PERSON_WORDS):
        return _group(levels, present, rows)
    return None


def _group(levels: int, present: pd.Series, rows: int) -> Trait:
    example = _shorten(present.iloc[0])
    return Trait(
        "group", f"a group: {levels:,} values, such as {example}, in {rows:,} rows; new rows would have others"
    )


def _is_compact_date(present: pd.Series) -> bool:
    texts = [str(value) for value in present.unique()[:_SAMPLE]]
    return len(texts) >= _MIN_ROWS and all(map(_COMPACT_DATE.fullmatch, texts))


def _shorten(value: Any) -> str:
    text = repr(value.item() if hasattr(value, "item") else value)
    return text if len(text) < 40 else f"{text[:36]}..."
