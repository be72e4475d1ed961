"""Parse a request body and check it against the contract: checked columns come out, or every problem found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from score.contract.columns import Columns, ColumnValidator, Values, listed, rule_for, shown
from score.contract.schema import Contract
from score.payload.errors import MAX_PROBLEMS, BadRequest, Problem, Problems
from score.payload.json_parser import InvalidJson, parse
from score.payload.typed_reader import LONG, TypedReader

if TYPE_CHECKING:
    import pandas as pd

Form = Literal["input", "data", "split"]
FORMS = 'one of {"input": "[{...}]"}, {"data": [{...}, ...]}, {"columns": [...], "data": [[...], ...]}'
_REPORTED = object()  # placeholder of a cell whose problem was reported already


@dataclass(frozen=True)
class Body:
    """A parsed body: which of the three forms, its rows, and for the split form the columns' names."""

    form: Form
    rows: list[Any]
    columns: list[Any] | None = None


class Request(NamedTuple):
    """The form of a body and its checked columns: the values (n_rows,) of each, in training's order."""

    form: Form
    columns: Columns

    @property
    def labels(self) -> bool:
        """Whether the reply holds labels even where there are probabilities."""
        return self.form != "input"


def parse_body(body: bytes | str | dict[str, Any]) -> Body:
    """Parse a body in one of the three forms; a dict is taken as parsed already.

    Raises:
        BadRequest: it is not JSON, or has another form.
    """
    content = body if isinstance(body, dict) else _parse(body, "the body")
    keys = set(content) if isinstance(content, dict) else set()
    if keys == {"input"}:
        rows = content["input"]
        return Body("input", _list(_parse(rows, "the text in 'input'") if isinstance(rows, str) else rows, "input"))
    if keys == {"data"}:
        return Body("data", _list(content["data"], "data"))
    if {"columns", "data"} <= keys <= {"columns", "data", "index"}:
        rows, index = _list(content["data"], "data"), content.get("index")
        if index is not None and len(_list(index, "index")) != len(rows):
            raise _refused(f"'index' has {len(index)} entries for {len(rows)} rows", "one entry a row, or no 'index'")
        return Body("split", rows, _list(content["columns"], "columns"))
    is_object = isinstance(content, dict)
    names = ", ".join(shown(key) for key in list(content)[:10]) or "no keys" if is_object else ""
    raise _refused(f"the body is an object with {names}" if is_object else f"the body is {shown(content)}", FORMS)


class Flags(NamedTuple):
    """Counts of values unlike training's, by column; columns without any are left out.

    Attributes:
        outside: Numbers outside of training's range.
        unseen: Levels that no training row has.
    """

    outside: dict[str, int]
    unseen: dict[str, int]


class Reader:
    """Checks requests against a contract; made once, safe to use from many threads.

    Only ``frame`` needs pandas, so that a compiled model is served without it.
    """

    def __init__(self, contract: Contract, max_problems: int = MAX_PROBLEMS) -> None:
        self._max_problems = max_problems
        self._rules: dict[str, ColumnValidator] = {column.name: rule_for(column) for column in contract.columns}
        self._ranges = {name: rule for name, rule in self._rules.items() if rule.column.minimum is not None}
        self._levels = {name: rule for name, rule in self._rules.items() if rule.may_be_unseen}
        self._strict = contract.extra_columns == "forbid"
        self._missing = contract.table.words if contract.table else frozenset()  # strings, in columns of text
        self._texts = [name for name, rule in self._rules.items() if str in rule.types] if self._missing else []
        self._plain = [
            name for name in self._texts if self._rules[name].read_texts([]) is None
        ]  # texts when checked, too
        self._typed: TypedReader | None = None
        with suppress(ValueError):
            self._typed = TypedReader(self._rules)

    def read(self, body: bytes | str | dict[str, Any]) -> Request:
        """Return the form of a body and its checked columns; of a key that occurs twice the last one counts.

        Raises:
            BadRequest: with all problems, up to ``max_problems``.
        """
        if self._typed is not None and not isinstance(body, dict) and (found := self._typed.read(body)) is not None:
            request = Request(*found)
            if not any(self._holds_missing(request.columns[name]) for name in self._plain):
                return request
        parsed = parse_body(body)
        return Request(parsed.form, self.columns(parsed))

    def columns(self, body: Body) -> Columns:
        """Return the checked values (n_rows,) of each column, in training's order; None is a missing value.

        Raises:
            BadRequest: with all problems, up to ``max_problems``.
        """
        found = Problems(self._max_problems)
        columns = self._from_records(body.rows, found) if body.columns is None else self._from_split(body, found)
        return self._check(columns, found)

    def checked(self, columns: Columns) -> Columns:
        """Check columns of one length, in any order; return and raise as ``columns`` does."""
        found = Problems(self._max_problems)
        self._compare_names(None, columns, found)
        return self._check({name: columns.get(name, []) for name in self._rules}, found)

    def flags(self, columns: Columns) -> Flags:
        """Count the values of checked columns that are unlike training's."""
        flags = Flags({}, {})
        for name, rule in self._ranges.items():
            if count := rule.count_outside(columns[name]):
                flags.outside[name] = count
        for name, rule in self._levels.items():
            if count := rule.count_unseen(columns[name]):
                flags.unseen[name] = count
        return flags

    def frame(self, columns: Columns) -> pd.DataFrame:
        """Return checked columns as the frame (n_rows, n_columns) that the pipeline takes, with training's dtypes."""
        import pandas as pd

        # arrays and no Series, whose indexes pandas would compare for every column
        return pd.DataFrame({name: rule.to_pandas(columns[name]) for name, rule in self._rules.items()})

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
            self._compare_names(i, row.keys(), found)
        return {
            name: [row.get(name, _REPORTED) if isinstance(row, dict) else _REPORTED for row in rows] for name in names
        }

    def _from_split(self, body: Body, found: Problems) -> dict[str, list[Any]]:
        names = body.columns or []
        for name in names:
            if not isinstance(name, str):
                found.add(None, None, f"'columns' holds {shown(name)}", "names of columns")
        texts = [name for name in names if isinstance(name, str)]
        for name in (name for name, count in Counter(texts).items() if count > 1):
            found.add(None, name, "the column stands twice", "each column once")
        self._compare_names(None, texts, found)
        rows = []
        for i, row in enumerate(body.rows):
            fits = isinstance(row, list | tuple) and len(row) == len(names)
            if not fits:
                has = f"{len(row)} values" if isinstance(row, list | tuple) else f"the form of {shown(row)}"
                found.add(i, None, f"the row has {has}", f"a list of {len(names)} values")
            rows.append(row if fits else [_REPORTED] * len(names))
        by_name = dict(zip(names if len(texts) == len(names) else [], zip(*rows, strict=True), strict=False))
        return {name: list(by_name.get(name, [_REPORTED] * len(rows))) for name in self._rules}

    def _holds_missing(self, values: Values) -> bool:
        return any(isinstance(value, str) and value in self._missing for value in values)

    def _check(self, columns: Columns, found: Problems) -> Columns:
        """Check each column; a string that meant a missing value in training's table means one here."""
        texts = [name for name in self._texts if self._holds_missing(columns[name])]
        nulled = {name: [None if self._holds_missing([v]) else v for v in columns[name]] for name in texts}
        columns = {**columns, **nulled}
        checked = {name: _convert(rule, columns[name], found) for name, rule in self._rules.items()}
        found.raise_if_any()
        return checked

    def _compare_names(self, row: int | None, names: Iterable[str], found: Problems) -> None:
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


def _convert(rule: ColumnValidator, values: Values, found: Problems) -> Values:
    """Return the column's checked values; cell by cell only where something is unusual."""
    if not isinstance(values, list):
        array = rule.coerce_array(values)
        if array is not None:
            return array
        return _convert(rule, values.tolist(), found)
    if rule.all_valid(values):
        if len(values) < LONG or rule.array_type is None:
            return values
        import numpy as np

        return np.array(values, rule.array_type)
    result = []
    for i, value in enumerate(values):
        if value is _REPORTED:
            continue
        try:
            result.append(rule.coerce(value))
        except ValueError as error:
            found.add(i, rule.column.name, str(error), rule.expected)
    return result


def _parse(text: bytes | str, what: str) -> Any:
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
