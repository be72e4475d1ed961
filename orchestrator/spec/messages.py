"""Format problems: the path in the configuration, what should be there, what is there, and a similar name."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from orchestrator.errors import Problem
from orchestrator.errors import one_line as one_line  # noqa: PLC0414 -- exported here, too

LONGEST_LIST = 20  # known names that are listed where none is similar


def suggest_or_list(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, else the whole list when it is short."""
    options = sorted({str(option) for option in known})
    if close := suggest(name, options):
        return close
    return f"; there are: {', '.join(options)}" if 0 < len(options) <= LONGEST_LIST else ""


def suggest(name: str, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest known name, or nothing."""
    spelled = {option.casefold(): option for option in known}
    close = difflib.get_close_matches(name.casefold(), spelled, n=1, cutoff=0.6)
    return f"; did you mean '{spelled[close[0]]}'?" if close else ""


def missing_columns(at: str, file: str, wanted: Iterable[str], names: Sequence[str]) -> Iterator[Problem]:
    """Yield a problem at ``at`` for each wanted column that a file with these names has not, or more than once."""
    for name in wanted:
        if (count := names.count(name)) != 1:
            has = f"{count} columns" if count else "no column"
            yield Problem(
                at, f"{file} has {has} '{name}'{suggest_or_list(name, names) if not count else '; rename one'}"
            )


def format_value(value: Any) -> str:
    """Format a value as it would be typed, truncated where it is long."""
    text = repr(value) if isinstance(value, str) else json.dumps(value, default=repr, ensure_ascii=False)
    return text if len(text) < 60 else f"{text[:57]}..."


def format_input(value: Any) -> str:
    """Return ``", got 'x'"``, and how null is written where the value looks like an attempt at it."""
    null = " (write null for none)" if value in ("None", "none", "NULL") else ""
    return f", got {format_value(value)}{null}"


def format_path(*path: str | int) -> str:
    """Format a path as it is typed: ``data.drop[0]``. Names in brackets are tags of pydantic unions and are left out."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif not part.startswith("["):
            text += f".{part}" if text else part
    return text


_SHOULD_BE: Mapping[str, str] = {
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "path_type": "should be a path",
    "tuple_type": "should be a list such as [a, b]",
    "list_type": "should be a list such as [a, b]",
    "set_type": "should be a list such as [a, b]",
    "mapping_type": "should be a mapping of names to values",
    "dict_type": "should be a mapping of names to values",
    "model_type": "should be a mapping of names to values",
    "model_attributes_type": "should be a mapping of names to values",
    "dataclass_type": "should be a mapping of names to values",
    "literal_error": "should be {expected}",
    "greater_than": "should be above {gt:g}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be below {lt}",
    "less_than_equal": "should be at most {le}",
    "string_too_short": "should not be empty",
    "too_short": "should not be empty",
}


def describe_error(error: Mapping[str, Any]) -> str:
    """Describe an error of pydantic: what should be there, and what is."""
    kind, context, value = error["type"], error.get("ctx", {}), error.get("input")
    if kind == "missing":
        return "is missing"
    if kind in {"value_error", "assertion_error"}:  # raised by a validator of the spec, with the whole text
        return str(context["error"])
    text = str(error["msg"]).replace("Input should", "should").replace("String should", "should")
    if kind in _SHOULD_BE and context.get("min_length", 1) == 1:
        text = _SHOULD_BE[kind].format_map(context)
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f"{text}{format_input(value)}; write it in quotes"
    if kind == "literal_error" and isinstance(value, str):
        return f"{text}{format_input(value)}{suggest(value, context['expected'].split(chr(39))[1::2])}"
    return f"{text}{format_input(value)}"


def format_params(params: Mapping[str, Any]) -> str:
    """Format parameters as they are typed: ``max_depth=2, n_estimators=10``."""
    return ", ".join(f"{name}={value}" for name, value in params.items())
