"""The two filter languages that clients send: OData for run history, MLflow's for runs and models."""

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
    """Whether a run of run history meets an OData filter such as ``(Status eq "Failed" and Tags/kind eq "trial")``."""
    tokens = _ODATA.finditer(odata)
    return not odata or _either(tokens, run)


def _either(tokens: Iterator[re.Match[str]], run: Document) -> bool:
    """Up to the closing bracket or the end; ``and`` binds closer than ``or``."""
    alternatives, current = [], True
    for bracket, word, field, sign, value in (token.groups() for token in tokens):
        if bracket == ")":
            break
        if bracket == "(":
            current = _either(tokens, run) and current
        elif word == "or":
            alternatives.append(current)
            current = True
        elif field and sign:
            current = _meets(run, field, sign, str(value).strip("'\"")) and current
    return any([*alternatives, current])


def _meets(run: Document, field: str, sign: str, value: str) -> bool:
    section, _, name = field.partition("/")
    key = section[:1].lower() + section[1:]
    if name:
        pairs = run.get(key) or {}
        if name not in pairs:
            return False  # also for "ne null or eq null", which is how the SDK asks whether there is one
        found = pairs[name]
    else:
        found = run.get(key)
    wanted = None if value == "null" else value
    if sign in {"eq", "ne"}:
        return _COMPARE[sign](None if found is None else str(found), wanted)
    return found is not None and wanted is not None and _COMPARE[sign](str(found), wanted)


def comparisons(mlflow: str) -> list[tuple[str, str, str, str]]:
    """Section, key, sign and value of each part of an MLflow filter; ``and`` is all that joins them there."""
    found, rest = [], mlflow.strip()
    while rest:
        match = _MLFLOW.match(rest)
        if not match:
            raise ValueError(f"Invalid clause(s) in filter string: {rest!r}")
        section, key, sign, value = match.groups()
        if key is None:
            section, key = "attributes", section
        found.append((section.lower().rstrip("s"), key.strip('`"'), sign.upper(), value.strip("'\"")))
        rest = re.sub(r"^and\s+", "", rest[match.end() :], flags=re.IGNORECASE)
    return found


def compare(found: Any, sign: str, value: str) -> bool:
    """One comparison of an MLflow filter; numbers as numbers."""
    if found is None:
        return False
    if sign.endswith("LIKE"):
        pattern = re.escape(value).replace("%", ".*").replace("_", ".")
        return re.fullmatch(pattern, str(found), re.IGNORECASE if sign == "ILIKE" else 0) is not None
    if isinstance(found, int | float):
        return _COMPARE[sign](found, float(value))
    return _COMPARE[sign](str(found), value)
