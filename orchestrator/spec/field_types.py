"""Field types of the spec: validated text, names, paths and lists."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, NewType

from pydantic import AfterValidator, BeforeValidator, Field, StrictStr

from orchestrator.bundled import BUNDLED
from orchestrator.bundled import ROOT as ROOT  # noqa: PLC0414 -- exported here, too
from orchestrator.spec.components import NOT_A_PATH, is_dotted
from orchestrator.spec.messages import format_value
from orchestrator.spec.separators import parse_separator

Seed = NewType("Seed", int)
StateDir = NewType("StateDir", Path)


def matches(pattern: str, said: str) -> AfterValidator:
    """Return a validator for text of a pattern; ``said`` describes the pattern in an error."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"should be {said}, got {format_value(text)}")
        return text

    return AfterValidator(check)


def _check_dotted_path(path: Any) -> Any:
    if not isinstance(path, str) or not is_dotted(path):
        raise ValueError(f"{NOT_A_PATH}, got {format_value(path)}")
    return path


def one_is_a_list(value: Any) -> Any:
    """Return a tuple; one value may be written without brackets."""
    return (value,) if isinstance(value, str | int | float | None) else value


def _refuse_duplicates(values: tuple[Any, ...]) -> tuple[Any, ...]:
    seen: set[str] = set()
    for value in values:
        if (text := f"{type(value)} {value!r}") in seen:
            raise ValueError(f"{format_value(value)} stands twice")
        seen.add(text)
    return values


def _refuse_reserved_name(name: str) -> str:
    if name in {"model", "branches"}:
        raise ValueError("the pipeline has a step of this name already; choose another")
    return name


def _read_separator(typed: str) -> str:
    if not typed:
        raise ValueError("should not be empty")
    return parse_separator(typed)


Separator = Annotated[StrictStr, AfterValidator(_read_separator)]
Decimal = Literal[".", ","]
Thousands = Literal[",", ".", "'", " ", "_"]
Name = Annotated[
    StrictStr, matches(r"[A-Za-z][A-Za-z0-9_-]*", "a name of letters, digits, - and _, beginning with a letter")
]
StepName = Annotated[Name, AfterValidator(_refuse_reserved_name)]
Values = Annotated[
    tuple[Any, ...], Field(min_length=1), BeforeValidator(one_is_a_list), AfterValidator(_refuse_duplicates)
]
DottedPath = Annotated[StrictStr, BeforeValidator(_check_dotted_path)]


def resolve_input(path: Path) -> Path:
    """Resolve a relative path from the working directory, then from the data that comes with this tool."""
    path = path.expanduser()
    bundled = not path.is_absolute() and not path.exists() and (BUNDLED / path).exists()
    return (BUNDLED / path).resolve() if bundled else path.resolve()
