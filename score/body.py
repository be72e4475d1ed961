"""From the body of a request to the frame the pipeline was fitted on, or to every problem found on the way."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Literal

from score.contract import Contract
from score.values import Rule, listed, rule_for, shown

if TYPE_CHECKING:
    import pandas as pd

MAX_PROBLEMS = 100
FORMS = 'one of {"input": "[{...}]"}, {"data": [{...}, ...]}, {"columns": [...], "data": [[...], ...]}'
_ABSENT = object()  # stands in a cell that was reported already


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a request: where (row counted from 0), what, and what was expected."""

    row: int | None
    column: str | None
    problem: str
    expected: str

    def __str__(self) -> str:
        places = [f"row {self.row}"] * (self.row is not None) + [f"column {shown(self.column)}"] * (
            self.column is not None
        )
        return f"{', '.join(places) or 'the request'}: {self.problem}; expected {self.expected}"


class BadRequest(ValueError):  # noqa: N818  # HTTP's own name
    """The client's mistake: ``problems`` holds what was found, ``status`` is the HTTP status."""

    status = 400

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(str(problems[0]))

    def document(self) -> dict[str, Any]:
        """The reply's body, as RFC 9457 has it."""
        return problem_document(self.status, "Bad Request", str(self)) | {"errors": [asdict(p) for p in self.problems]}


def problem_document(status: int, title: str, detail: str) -> dict[str, Any]:
    """The body of a reply that is not 200, as RFC 9457 has it."""
    return {"type": "about:blank", "title": title, "status": status, "detail": detail}


@dataclass(frozen=True)
class Request:
    """A parsed body: which of the three forms, its rows, and for the split form the columns' names."""

    form: Literal["input", "data", "split"]
    rows: list[Any]
    columns: list[Any] | None = None


class _Repeated(dict[str, Any]):
    """A JSON object in which the keys ``twice`` stand more than once: Python would keep the last and say nothing."""

    twice: list[str]


def read(body: bytes | str | dict[str, Any]) -> Request:
    """Parse a body in one of the three forms; a dict is taken as parsed already.

    Raises:
        BadRequest: it is no JSON, or has another form.
    """
    held = body if isinstance(body, dict) else _parsed(body, "the body")
    if isinstance(held, _Repeated):
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


class Reader:
    """Checks requests against a contract and makes the frame; made once, safe to use from many threads.

    Checking needs no pandas, so that a model which takes plain columns is served without it.
    """

    def __init__(self, contract: Contract, max_problems: int = MAX_PROBLEMS) -> None:
        self._max_problems = max_problems
        self._rules: dict[str, Rule] = {column.name: rule_for(column) for column in contract.columns}
        self._strict = contract.extra_columns == "forbid"

    def columns(self, request: Request) -> dict[str, list[Any]]:
        """The values (n_rows,) of each column, in training's order; None is a missing one.

        Raises:
            BadRequest: with all problems, up to ``max_problems`` and one that counts the others.
        """
        found = _Found(self._max_problems)
        given = self._from_records(request.rows, found) if request.columns is None else self._from_split(request, found)
        columns = {name: _checked(rule, given[name], found) for name, rule in self._rules.items()}
        found.refuse()
        return columns

    def frame(self, columns: dict[str, list[Any]]) -> pd.DataFrame:
        """Checked columns as the rows (n_rows, n_columns) that the pipeline was fitted on, with training's dtypes."""
        import pandas as pd

        return pd.DataFrame({name: rule.series(columns[name]) for name, rule in self._rules.items()})

    def _from_records(self, rows: list[Any], found: _Found) -> dict[str, list[Any]]:
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

    def _from_split(self, request: Request, found: _Found) -> dict[str, list[Any]]:
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

    def _compare(self, row: int | None, names: Iterable[str], found: _Found) -> None:
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


class _Found:
    """The problems of one request, bounded."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: list[Problem] = []
        self._more = 0

    @property
    def full(self) -> bool:
        return len(self._kept) == self._most

    def add(self, row: int | None, column: str | None, problem: str, expected: str) -> None:
        if self.full:
            self._more += 1
        else:
            self._kept.append(Problem(row, column, problem, expected))

    def refuse(self) -> None:
        """Raise BadRequest if there are problems, in the order of the rows."""
        kept = sorted(self._kept, key=lambda problem: -1 if problem.row is None else problem.row)
        if self._more:
            kept.append(Problem(None, None, f"and {self._more} more problems", "the same as above"))
        if kept:
            raise BadRequest(kept)


def _checked(rule: Rule, values: list[Any], found: _Found) -> list[Any]:
    """The column's values as ``rule.series`` takes them; cell by cell only where something is unusual."""
    if rule.plain(values):
        return values
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
    """JSON as Python, with NaN and Infinity let through for the column's rule to judge."""
    try:
        held = text.decode("utf-8") if isinstance(text, bytes | bytearray) else text
        return json.loads(held, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise _refused(f"{what} is not UTF-8 at byte {error.start}", "JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        at = f"line {error.lineno}, column {error.colno}"
        raise _refused(f"{what} is not JSON ({error.msg}: {at})", FORMS) from None
    except RecursionError:
        raise _refused(f"{what} is nested too deeply", FORMS) from None
    except (TypeError, ValueError) as error:  # no text at all, or more digits than Python reads in one number
        raise _refused(f"{what} cannot be read ({str(error).partition(';')[0]})", FORMS) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        held = _Repeated(held)
        held.twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    return held


def _list(value: Any, key: str) -> list[Any]:
    if not isinstance(value, list):
        raise _refused(f"{key!r} is {shown(value)}", f"a list under {key!r}; a body is {FORMS}")
    return value


def _refused(problem: str, expected: str) -> BadRequest:
    return BadRequest([Problem(None, None, problem, expected)])
