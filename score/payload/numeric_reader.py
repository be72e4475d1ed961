"""Long bodies of numbers alone, as batches of rows mostly are: decoded to one run of bytes, and from there to arrays.

A body in which anything is otherwise is left to the other readers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from score.contract.columns import ColumnValidator
from score.payload.typed_reader import LONG, row_type

if TYPE_CHECKING:
    import numpy.typing as npt

    from score.models.base import Columns
    from score.payload.typed_reader import Form

_ARTICLE = b'{"input"'
_NUMBER, _FLOAT = 9, 0xCB  # bytes of a float64 in MessagePack, and the first: the others are it, from its highest on
_PACKED = msgspec.msgpack.Encoder()


def floats(values: list[Any]) -> npt.NDArray[Any] | None:
    """A list (n,) as an array, if all of it are floats."""
    import numpy as np

    if type(values[0] if values else None) is not float:
        return None
    try:
        packed = _PACKED.encode(values)
    except (ValueError, OverflowError, RecursionError):  # half a surrogate pair, a long integer, deep lists
        return None
    start = 1 if len(values) < 2**4 else 3 if len(values) < 2**16 else 5  # after the list's own head
    if len(packed) != start + _NUMBER * len(values):
        return None
    if (np.frombuffer(packed, np.uint8, offset=start)[::_NUMBER] != _FLOAT).any():
        return None  # where the first is a float, the second begins where it is looked for
    return _strided(packed, start + 1, len(values), _NUMBER)


def _strided(packed: bytes, start: int, count: int, width: int) -> npt.NDArray[Any]:
    import numpy as np

    return np.ndarray(count, ">f8", packed, start, width).astype(float)


class NumericReader:
    """Reads the two forms in which each row is an object; made once, safe to use from many threads.

    MessagePack is the detour by which msgspec writes the values of many objects side by side: its floats, and the names
    before them, take as many bytes in each row.

    Raises:
        ValueError: there are no columns, or not all of them are of numbers, or one has a name with a colon or with what
            JSON escapes.
    """

    def __init__(self, rules: Mapping[str, ColumnValidator]) -> None:
        if not rules or ":" in "".join(rules) or not all(rule.numeric for rule in rules.values()):
            raise ValueError("a column for another reader")
        row: Any = row_type(dict.fromkeys(rules, float))
        data = msgspec.defstruct("Body", [("data", list[row])], forbid_unknown_fields=True)
        self._data: msgspec.json.Decoder[Any] = msgspec.json.Decoder(data)
        self._rows: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row])
        self._rules = rules
        self._least = LONG * sum(len(name) + len('"":0,') for name in rules)  # bytes, of a long body
        sizes = [len(_PACKED.encode(name)) + _NUMBER for name in rules]
        self._width = len(_PACKED.encode(row(**dict.fromkeys(row.__struct_fields__, 0.0))))
        starts = [self._width - sum(sizes[place:]) for place in range(len(sizes))]
        self._values = [start + size - _NUMBER + 1 for start, size in zip(starts, sizes, strict=True)]

    def read(self, body: bytes | str) -> tuple[Form, Columns] | None:
        """The form of a body and the array (n_rows,) of each column, in training's order; None for another body."""
        if len(body) < self._least:
            return None
        import numpy as np

        try:
            text = body.encode() if isinstance(body, str) else body
            if text.startswith(_ARTICLE):
                (inner,) = orjson.loads(text).values()  # which undoes a text's escapes in two thirds of the time
                form: Form = "input"
                rows = self._rows.decode(inner)
            else:
                form, rows = "data", self._data.decode(text).data
        except (msgspec.DecodeError, ValueError, TypeError):
            return None
        if not rows or not self._once(np.frombuffer(text, np.uint8), len(rows), form):
            return None
        columns = self._columns(rows)
        return None if columns is None else (form, columns)

    def _once(self, text: Any, rows: int, form: Form) -> bool:
        """Whether no key stands twice, of which the decoders take the last: a key has a colon, and names have none.

        In the article's text each quote takes a backslash. As many of them are no more, for an escaped colon, say.
        """
        import numpy as np

        keys = rows * len(self._rules)
        if np.count_nonzero(text == ord(":")) != 1 + keys:
            return False
        return form == "data" or np.count_nonzero(text == ord("\\")) == 2 * keys

    def _columns(self, rows: list[Any]) -> Columns | None:
        packed = _PACKED.encode(rows)
        start = len(packed) - len(rows) * self._width
        columns = {}
        for (name, rule), place in zip(self._rules.items(), self._values, strict=True):
            taken = rule.array(_strided(packed, start + place, len(rows), self._width))
            if taken is None:
                return None
            columns[name] = taken
        return columns
