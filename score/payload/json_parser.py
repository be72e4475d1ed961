"""Parse JSON: with orjson, and with the standard library what orjson refuses.

orjson refuses NaN and half surrogate pairs, whose place the contract's rules can name. Of a key that occurs twice the last
one counts, as in every JSON library.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


class InvalidJson(ValueError):  # noqa: N818  # as one says it
    """A text that is not JSON: what is wrong, and where."""


def parse(text: bytes | str) -> Any:
    """Return JSON as Python values; NaN and Infinity pass.

    Raises:
        InvalidJson: the text is not JSON, or cannot be read.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return _parse_with_json(text)


def _parse_with_json(text: bytes | str) -> Any:
    try:
        return json.loads(text.decode("utf-8") if isinstance(text, bytes | bytearray) else text)
    except UnicodeDecodeError as error:
        raise InvalidJson(f"is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise InvalidJson(f"is not JSON ({error.msg}: line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise InvalidJson("is nested too deeply") from None
    except (TypeError, ValueError) as error:  # neither text nor bytes, or more digits than Python reads in one number
        raise InvalidJson(f"cannot be read ({str(error).partition(';')[0]})") from None
