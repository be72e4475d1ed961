"""The two filter languages of the clients: OData for run history, MLflow's for runs and models."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from typing import Any

from azure_emulator.common.store import Document

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq, "ne": operator.ne, "ge": operator.ge, "gt": operator.gt, "le": operator.le, "lt": operator.lt,
    "=": operator.eq, "!=": operator.ne, ">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt,
}  # fmt: skip
_ODATA = re.compile(r"\s*(?:([()])|(and|or)(?=[\s(])|([\w/.-]+) (eq|ne|ge|gt|le|lt) (.*?)(?=\)|\s+(?:and|or)[\s(]|$))")
_MLFLOW = re.compile(
    r"""\s*(\w+)(?:\.(`[^`]+`|"[^"]+"|[\w.]+))?\s*(!=|>=|<=|=|>|<|I?LIKE)\s*('[^']*'|"[^"]*"|[-\w.+]+)\s*""",
    re.IGNORECASE,
)


def matches(run: Document, odata: str) -> bool:
    """Return whether a run of run history matches an OData filter such as ``(Status eq "Failed" and Tags/kind eq "trial")``."""
    tokens = _ODATA.finditer(odata)
    return not odata or _evaluate(tokens, run)


def _evaluate(tokens: Iterator[re.Match[str]], run: Document) -> bool:
    """Evaluate up to the closing bracket or the end; ``and`` binds closer than ``or``."""
    alternatives, current = [], True
    for bracket, word, field, sign, value in (token.groups() for token in tokens):
        if bracket == ")":
            break
        if bracket == "(":
            current = _evaluate(tokens, run) and current
        elif word == "or":
            alternatives.append(current)
            current = True
        elif field and sign:
            current = _matches_clause(run, field, sign, str(value).strip("'\"")) and current
    return any([*alternatives, current])


def _matches_clause(run: Document, field: str, sign: str, value: str) -> bool:
    section, _, name = field.partition("/")
    key = section[:1].lower() + section[1:]
    if name:
        pairs = run.get(key) or {}
        if name not in pairs:
            return False  # also for "ne null or eq null", the SDK's test for existence
        actual = pairs[name]
    else:
        actual = run.get(key)
    expected = None if value == "null" else value
    if sign in {"eq", "ne"}:
        return _COMPARE[sign](None if actual is None else str(actual), expected)
    return actual is not None and expected is not None and _COMPARE[sign](str(actual), expected)


def comparisons(mlflow: str) -> list[tuple[str, str, str, str]]:
    """Return section, key, sign and value of each clause of an MLflow filter, which knows only ``and``."""
    clauses, rest = [], mlflow.strip()
    while rest:
        match = _MLFLOW.match(rest)
        if not match:
            raise ValueError(f"Invalid clause(s) in filter string: {rest!r}")
        section, key, sign, value = match.groups()
        if key is None:
            section, key = "attributes", section
        clauses.append((section.lower().rstrip("s"), key.strip('`"'), sign.upper(), value.strip("'\"")))
        rest = re.sub(r"^and\s+", "", rest[match.end() :], flags=re.IGNORECASE)
    return clauses


def compare(actual: Any, sign: str, value: str) -> bool:
    """Evaluate one clause of an MLflow filter; numbers compare as numbers."""
    if actual is None:
        return False
    if sign.endswith("LIKE"):
        pattern = re.escape(value).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, str(actual), re.IGNORECASE if sign == "ILIKE" else 0) is not None
    if isinstance(actual, int | float):
        return _COMPARE[sign](actual, float(value))
    return _COMPARE[sign](str(actual), value)
