"""JSON as Python, fast where that is exact, and by the standard library wherever the fast way would hide something.

orjson refuses NaN and half surrogate pairs, whose place the contract's rules can name; of a key that stands twice it
keeps the last and says nothing. Such texts are read again, slowly.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import orjson

LEVELS = 6  # of objects and lists in each other, as the Open Inference Protocol has them


class InvalidJson(ValueError):  # noqa: N818  # as one says it
    """A text that is no JSON: what is wrong, and where."""


class DuplicateKeys(dict[str, Any]):
    """A JSON object in which the keys ``twice`` stand more than once: Python would keep the last and say nothing."""

    twice: list[str]


def parse(text: bytes | str) -> Any:
    """JSON as Python, with NaN and Infinity let through; an object with a key that stands twice is a ``DuplicateKeys``.

    Raises:
        NotJson: it is none, or cannot be read.
    """
    try:
        held = orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_slowly(text)
    return held if _each_key_once(text, held) else _parse_slowly(text)


def _each_key_once(text: bytes | str, held: Any) -> bool:
    r"""Whether there are no more colons than keys kept, and so no key twice; False may also mean "perhaps".

    Keys are counted where requests mostly have them, in the object and in the rows of its lists, and if that is not
    enough, deeper. Texts in it (the article's form holds all rows in one) count with their own colons, unless one of
    them may be written as ``\u003a``.
    """
    # a single character is looked for seventy times as fast as several
    colon, *escape = (":", "\\", "\\u003") if isinstance(text, str) else (b":", b"\\", b"\\u003")
    there = text.count(colon)  # type: ignore[arg-type]  # both text or bytes
    counted = len(held) + sum(map(_colons, held.values())) if isinstance(held, dict) else _colons(held)
    if all(piece in text for piece in escape):  # type: ignore[operator]
        return False
    return there == counted or there == _colons_below(held, LEVELS)


def _colons(value: Any) -> int:
    if isinstance(value, str):
        return value.count(":")
    return sum(len(row) for row in value if type(row) is dict) if isinstance(value, list) else 0


def _colons_below(value: Any, levels: int) -> int:
    """Never more than there are; none of lists that begin with no object, and none at last."""
    if not levels:
        return 0
    if isinstance(value, dict):
        return len(value) + sum(_colons_below(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return sum(_colons_below(inner, levels - 1) for inner in value) if value and type(value[0]) is dict else 0
    return _colons(value)


def _parse_slowly(text: bytes | str) -> Any:
    try:
        held = text.decode("utf-8") if isinstance(text, bytes | bytearray) else text
        return json.loads(held, object_pairs_hook=_object)
    except UnicodeDecodeError as error:
        raise InvalidJson(f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"is not JSON ({error.msg}: line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise InvalidJson("is nested too deeply") from None
    except (TypeError, ValueError) as error:  # no text at all, or more digits than Python reads in one number
        raise InvalidJson(f"cannot be read ({str(error).partition(';')[0]})") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held = dict(pairs)
    if len(held) < len(pairs):
        held = DuplicateKeys(held)
        held.twice = [key for key, count in Counter(key for key, _ in pairs).items() if count > 1]
    return held
