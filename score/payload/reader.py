"""From the body of a request to the frame the pipeline was fitted on, or to every problem found on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from score.contract.columns import ColumnValidator, Values, listed, rule_for, shown
from score.contract.schema import Contract
from score.payload.errors import MAX_PROBLEMS, BadRequest, Problem, Problems
from score.payload.json_parser import DuplicateKeys, InvalidJson, parse
from score.payload.numeric_reader import NumericReader
from score.payload.typed_reader import LONG, TypedReader

if TYPE_CHECKING:
    import pandas as pd

    from score.models.base import Columns

Form = Literal["input", "data", "split"]
FORMS = 'one of {"input": "[{...}]"}, {"data": [{...}, ...]}, {"columns": [...], "data": [[...], ...]}'
_ABSENT = object()  # stands in a cell that was reported already


@dataclass(frozen=True)
class Request:
    """A parsed body: which of the three forms, its rows, and for the split form the columns' names."""

    form: Form
    rows: list[Any]
    columns: list[Any] | None = None


def read(body: bytes | str | dict[str, Any]) -> Request:
    """Parse a body in one of the three forms; a dict is taken as parsed already.

    Raises:
        BadRequest: it is no JSON, or has another form.
    """
    held = body if isinstance(body, dict) else _parsed(body, "the body")
    if isinstance(held, DuplicateKeys):
        raise _refused(f"key {shown(held.twice[0])} stands twice", "each key once")
    keys = set(held) if isinstance(held, dict) else set()
    if keys == {"input"}:
        rows = held["input"]
        return Request("input", _list(_parsed(rows, "the text in 'input'") if isinstance(rows, str) else rows, "input"))
    if keys == {"data"}:
        return Request("data", _list(held["data"], "data"))
    if {"columns", "data"} <= keys <= {"columns", "data", "index"}:
        rows, index = _list(held["data"], "data"), held.get("index")
        if index is not None and len(_list(index, "index")) != len(rows):
            raise _refused(f"'index' has {len(index)} entries for {len(rows)} rows", "one entry a row, or no 'index'")
        return Request("split", rows, _list(held["columns"], "columns"))
    is_object = isinstance(held, dict)
    names = ", ".join(shown(key) for key in list(held)[:10]) or "no keys" if is_object else ""
    raise _refused(f"the body is an object with {names}" if is_object else f"the body is {shown(held)}", FORMS)


class Flags(NamedTuple):
    """How many values of each column are scored although training saw none like them; only of columns with some.

    Numbers ``outside`` of training's range, and levels that are ``unseen`` in the training rows.
    """

    outside: dict[str, int]
    unseen: dict[str, int]


class Reader:
    """Checks requests against a contract and makes the frame; made once, safe to use from many threads.

    Checking needs no pandas, so that a model which takes plain columns is served without it.
    """

    def __init__(self, contract: Contract, max_problems: int = MAX_PROBLEMS) -> None:
        self._max_problems = max_problems
        self._rules: dict[str, ColumnValidator] = {column.name: rule_for(column) for column in contract.columns}
        self._ranges = {name: rule for name, rule in self._rules.items() if rule.column.minimum is not None}
        self._levels = {name: rule for name, rule in self._rules.items() if rule.may_be_unseen}
        self._strict = contract.extra_columns == "forbid"
        self._missing = contract.table.words if contract.table else frozenset()  # strings, in columns of text
        self._texts = [name for name, rule in self._rules.items() if str in rule.types] if self._missing else []
        self._quick: list[NumericReader | TypedReader] = []  # for bodies without a fault, of which they tell nothing
        for kind in (NumericReader, TypedReader):
            with suppress(ValueError):
                self._quick.append(kind(self._rules))

    def read(self, body: bytes | str | dict[str, Any]) -> tuple[Form, Columns]:
        """The form of a body, and the values (n_rows,) of each column, in training's order.

        Raises:
            BadRequest: with all problems, up to ``max_problems``.
        """
        if not isinstance(body, dict):
            for quick in self._quick:
                if (found := quick.read(body)) is not None:
                    if not any(self._holds_missing(found[1][name]) for name in self._texts):
                        return found
                    break
        request = read(body)
        return request.form, self.columns(request)

    def columns(self, request: Request) -> Columns:
        """The values (n_rows,) of each column, in training's order; None is a missing one.

        Raises:
            BadRequest: with all problems, up to ``max_problems``.
        """
        found = Problems(self._max_problems)
        given = self._from_records(request.rows, found) if request.columns is None else self._from_split(request, found)
        return self._checked(given, found)

    def checked(self, given: Columns) -> Columns:
        """The same from columns of one length, in any order; raises as ``columns`` does."""
        found = Problems(self._max_problems)
        self._compare(None, given, found)
        return self._checked({name: given.get(name, []) for name in self._rules}, found)

    def flags(self, columns: Columns) -> Flags:
        """What checked columns hold that training saw nothing like."""
        flags = Flags({}, {})
        for name, rule in self._ranges.items():
            if count := rule.outside(columns[name]):
                flags.outside[name] = count
        for name, rule in self._levels.items():
            if count := rule.unseen(columns[name]):
                flags.unseen[name] = count
        return flags

    def frame(self, columns: Columns) -> pd.DataFrame:
        """Checked columns as the rows (n_rows, n_columns) that the pipeline was fitted on, with training's dtypes."""
        import pandas as pd

        # arrays and no Series, whose indexes pandas would compare for every column
        return pd.DataFrame({name: rule.cells(columns[name]) for name, rule in self._rules.items()})

    def _from_records(self, rows: list[Any], found: Problems) -> dict[str, list[Any]]:
        names = self._rules.keys()
        odd = [i for i, row in enumerate(rows) if type(row) is not dict or row.keys() != names]
        if not odd:
            return {name: [row[name] for row in rows] for name in names}
        for i in odd:
            row = rows[i]
            if not isinstance(row, dict):
                found.add(i, None, f"the row is {shown(row)}", "an object with a value for each column")
                continue
            for name in getattr(row, "twice", ()):
                found.add(i, name, "the column stands twice", "each column once")
            self._compare(i, row.keys(), found)
        return {name: [row.get(name, _ABSENT) if isinstance(row, dict) else _ABSENT for row in rows] for name in names}

    def _from_split(self, request: Request, found: Problems) -> dict[str, list[Any]]:
        names = request.columns or []
        for name in names:
            if not isinstance(name, str):
                found.add(None, None, f"'columns' holds {shown(name)}", "names of columns")
        texts = [name for name in names if isinstance(name, str)]
        for name in (name for name, count in Counter(texts).items() if count > 1):
            found.add(None, name, "the column stands twice", "each column once")
        self._compare(None, texts, found)
        rows = []
        for i, row in enumerate(request.rows):
            fits = isinstance(row, list | tuple) and len(row) == len(names)
            if not fits:
                has = f"{len(row)} values" if isinstance(row, list | tuple) else f"the form of {shown(row)}"
                found.add(i, None, f"the row has {has}", f"a list of {len(names)} values")
            rows.append(row if fits else [_ABSENT] * len(names))
        by_name = dict(zip(names if len(texts) == len(names) else [], zip(*rows, strict=True), strict=False))
        return {name: list(by_name.get(name, [_ABSENT] * len(rows))) for name in self._rules}

    def _holds_missing(self, values: Values) -> bool:
        return any(isinstance(value, str) and value in self._missing for value in values)

    def _checked(self, given: Columns, found: Problems) -> Columns:
        """Check each column; a string that meant a missing value in training's table means one here."""
        worded = [name for name in self._texts if self._holds_missing(given[name])]
        given = {**given, **{name: [None if self._holds_missing([v]) else v for v in given[name]] for name in worded}}
        columns = {name: _converted(rule, given[name], found) for name, rule in self._rules.items()}
        found.refuse()
        return columns

    def _compare(self, row: int | None, names: Iterable[str], found: Problems) -> None:
        """Report the columns that are missing or unknown."""
        there = dict.fromkeys(names)
        for name, rule in self._rules.items():
            if name not in there:
                found.add(row, name, "the column is missing", rule.expected)
        for name in there if self._strict else ():
            if name not in self._rules:
                # a near name costs time, so only for problems that will be shown
                near = [] if found.full else get_close_matches(str(name)[:100], self._rules, 1)
                hint = f"did you mean {shown(near[0])}?" if near else f"only {listed(self._rules)}"
                found.add(row, str(name), "unknown column", hint)


def _converted(rule: ColumnValidator, values: Values, found: Problems) -> Values:
    """The column's values as ``rule.series`` takes them; cell by cell only where something is unusual."""
    if not isinstance(values, list):
        taken = rule.array(values)
        if taken is not None:
            return taken
        return _converted(rule, values.tolist(), found)
    if rule.plain(values):
        if len(values) < LONG or rule.array_type is None:
            return values
        import numpy as np

        return np.array(values, rule.array_type)
    result = []
    for i, value in enumerate(values):
        if value is _ABSENT:
            continue
        try:
            result.append(rule.convert(value))
        except ValueError as error:
            found.add(i, rule.column.name, str(error), rule.expected)
    return result


def _parsed(text: bytes | str, what: str) -> Any:
    try:
        return parse(text)
    except InvalidJson as error:
        raise _refused(f"{what} {error}", "JSON in UTF-8" if "UTF-8" in str(error) else FORMS) from None


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise _refused(f"{key!r} is {shown(value)}", f"a list under {key!r}; a body is {FORMS}")
    return value


def _refused(problem: str, expected: str) -> BadRequest:
    return BadRequest([Problem(None, None, problem, expected)])
