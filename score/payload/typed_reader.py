"""Bodies that keep the contract to the letter, as nearly all do: decoded straight into its types, and checked on the way.

A body in which anything is otherwise is left to ``score.payload.reader``, which takes many times as long and tells what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from score.contract.columns import ColumnValidator

if TYPE_CHECKING:
    from score.models.base import Columns

Form = Literal["input", "data"]  # of the bodies in which each row is an object
LONG = 256  # so many rows are quicker in an array than in a list
_FRAME = len('{"input":""}') + len('"input":')  # a body needs more around its text where the key stands twice


def row_type(types: Mapping[str, Any]) -> Any:
    """The type of a row of columns of these names and types, and of nothing else."""
    fields = {f"c{place}": name for place, name in enumerate(types)}  # as names of columns need not be Python's
    return msgspec.defstruct(
        "Row", list(zip(fields, types.values(), strict=True)), rename=fields, forbid_unknown_fields=True, gc=False
    )


class TypedReader:
    """Reads the two forms in which each row is an object; made once, safe to use from many threads.

    Raises:
        ValueError: msgspec cannot check one of the columns.
    """

    def __init__(self, rules: Mapping[str, ColumnValidator]) -> None:
        types = {name: rule.json_type for name, rule in rules.items()}
        if not types or None in types.values() or ":" in "".join(types):
            raise ValueError("a column that msgspec cannot check")
        row: Any = row_type(types)
        forms = [("input", str | UnsetType, UNSET), ("data", list[row] | UnsetType, UNSET)]
        body = msgspec.defstruct("Body", forms, forbid_unknown_fields=True)
        self._body: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body)
        self._rows: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row])
        fields = dict(zip(types, row.__struct_fields__, strict=True))
        self._getters = [(name, attrgetter(field), rules[name].array_type) for name, field in fields.items()]
        self._texts = [attrgetter(field) for name, field in fields.items() if str in rules[name].types]

    def read(self, body: bytes | str) -> tuple[Form, Columns] | None:
        """The form of a body and the values (n_rows,) of each column, in training's order; None for another body.

        The values of a long request are an array where they can be one, else a list, in which None is a missing value.
        """
        try:
            held = self._body.decode(body)
            if held.input is UNSET:
                rows = held.data
                return ("data", self._columns(rows)) if rows is not UNSET and self._once(body, rows, 1) else None
            if held.data is not UNSET:
                return None
            rows = self._rows.decode(held.input)
        except (msgspec.DecodeError, UnicodeError):
            return None
        once = self._once(held.input, rows, 0) and self._once_outside(body, held.input, rows)
        return ("input", self._columns(rows)) if once else None

    def _once(self, text: bytes | str, rows: list[Any], more: int) -> bool:
        r"""Whether no key stands twice, of which msgspec takes the last: that there is no colon too many.

        Texts in the rows count with their own colons, unless one of them may be written as ``\u003a``.
        """
        wanted = more + len(rows) * len(self._getters)
        if self._texts:
            if _escaped(text):
                return False
            wanted += sum((get(row) or "").count(":") for get in self._texts for row in rows)
        return _colons(text) == wanted

    def _once_outside(self, body: bytes | str, text: str, rows: list[Any]) -> bool:
        """Whether the article's form has its one key once: by the length, as each quote of the text takes two bytes."""
        if not self._texts and len(body) - len(text) - 2 * len(self._getters) * len(rows) <= _FRAME:
            return True
        return not _escaped(body) and _colons(body) == _colons(text) + 1

    def _columns(self, rows: list[Any]) -> Columns:
        if len(rows) < LONG:
            return {name: [get(row) for row in rows] for name, get, _ in self._getters}
        import numpy as np

        return {
            name: np.fromiter(map(get, rows), dtype, len(rows)) if dtype else list(map(get, rows))
            for name, get, dtype in self._getters
        }


def _colons(text: bytes | str) -> int:
    return text.count(":") if isinstance(text, str) else text.count(b":")


def _escaped(text: bytes | str) -> bool:
    return "\\u003" in text if isinstance(text, str) else b"\\u003" in text
