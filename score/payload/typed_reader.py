"""Fast path: msgspec decodes and validates a body that matches the contract exactly, in one pass.

Any other body is left to ``score.payload.reader``, which takes many times as long and names every problem.
"""

from __future__ import annotations

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from score.contract.columns import Columns, ColumnValidator

Form = Literal["input", "data"]  # of the bodies in which each row is an object
LONG = 256  # from this number of rows on, arrays are faster than lists


def row_type(types: Mapping[str, Any]) -> Any:
    """Return the msgspec type of a row with exactly these columns."""
    fields = {f"c{place}": name for place, name in enumerate(types)}  # a column's name need not be a Python name
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
        if not types or None in types.values():
            raise ValueError("a column that msgspec cannot check")
        row: Any = row_type(types)
        forms = [("input", str | UnsetType, UNSET), ("data", list[row] | UnsetType, UNSET)]
        body = msgspec.defstruct("Body", forms, forbid_unknown_fields=True)
        self._body: msgspec.json.Decoder[Any] = msgspec.json.Decoder(body)
        self._rows: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[row])
        fields = dict(zip(types, row.__struct_fields__, strict=True))
        self._rules = rules
        self._getters = [(name, attrgetter(field), rules[name].array_type) for name, field in fields.items()]
        self._texts = [name for name, rule in rules.items() if rule.read_texts([]) is not None]

    def read(self, body: bytes | str) -> tuple[Form, Columns] | None:
        """Return the form of a body and the values (n_rows,) of each column, in training's order; None for another body.

        The values of a long request are an array where they can be one, else a list, in which None is a missing value.
        """
        try:
            decoded = self._body.decode(body)
            if (decoded.input is UNSET) == (decoded.data is UNSET):
                return None
            if decoded.input is UNSET:
                return "data", self._columns(decoded.data)
            return "input", self._columns(self._rows.decode(decoded.input))
        except (msgspec.DecodeError, ValueError):  # a text that is no Unicode, or no date
            return None

    def _columns(self, rows: list[Any]) -> Columns:
        if len(rows) < LONG:
            columns: dict[str, Any] = {name: [get(row) for row in rows] for name, get, _ in self._getters}
            for name in self._texts:
                columns[name] = self._rules[name].read_texts(columns[name])
            return columns
        import numpy as np

        found: dict[str, Any] = {}
        for name, get, dtype in self._getters:
            values: Any = map(get, rows)
            if name in self._texts:
                values = self._rules[name].read_texts(list(values)) or []
            found[name] = np.fromiter(values, dtype, len(rows)) if dtype else list(values)
        return found
