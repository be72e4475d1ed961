"""Values as they stand in messages: as JSON where that is short, by their kind where it is not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

SHOWN = 40  # characters of a value, and
LISTED = 10  # entries of a list, in a message
_NOUNS = {dict: "an object", list: "a list", bool: "a boolean", str: "text", type(None): "null"}


def shown(value: Any) -> str:
    """A value in a message: as JSON where it is short, by what it is where it is not."""
    if isinstance(value, str):
        text = json.dumps(value if len(value) <= SHOWN else value[:SHOWN] + "...", ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair has no UTF-8
    if isinstance(value, int) and value.bit_length() > 100:
        return f"an integer of {value.bit_length()} bits"  # printing it may pass Python's limit of digits
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return _NOUNS.get(type(value), f"a {type(value).__name__}")


def listed(values: Iterable[Any]) -> str:
    """Some values in a message."""
    known = list(values)
    more = f", ... ({len(known)} in all)" if len(known) > LISTED else ""
    return (", ".join(map(shown, known[:LISTED])) or "no value") + more


def misplaced(value: Any) -> str:
    """Why a value of another type than the column's is refused."""
    noun = _NOUNS.get(type(value), "")
    return f"{shown(value)} is {noun}" if isinstance(value, str | bool) else f"the value is {noun or shown(value)}"
