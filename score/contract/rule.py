"""The base of all column validators, and how values are written in their messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

from score.contract.schema import Column

if TYPE_CHECKING:
    import numpy.typing as npt

Values: TypeAlias = "list[Any] | npt.NDArray[Any]"  # of one column (n_rows,)
Columns: TypeAlias = "Mapping[str, Values]"
EXACT = 2**53 - 1  # up to here a float stands for one integer only
SHOWN = 40  # characters of a value in a message
LISTED = 10  # entries of a list in a message
_NOUNS = {dict: "an object", list: "a list", bool: "a boolean", str: "text", type(None): "null"}


class ColumnValidator:
    """Validates one column: ``all_valid`` checks a whole column quickly, ``coerce`` one unusual cell slowly."""

    noun: ClassVar[str]
    numeric: ClassVar[bool] = False
    types: frozenset[type]

    def __init__(self, column: Column) -> None:
        self.column = column
        self._range: tuple[Any, Any] = column.minimum, column.maximum  # of the training rows

    @cached_property
    def expected(self) -> str:
        """Describe the accepted values in a message."""
        example = "" if self.column.example is None else f", such as {shown(self.column.example)}"
        return f"{self.noun}{example}{' or null' if self.column.missing else ''}"

    @property
    def schema(self) -> dict[str, Any]:
        """Return the accepted values as JSON Schema; training's range is described and not enforced."""
        schema = self._schema()
        if self.column.missing and "anyOf" in schema:
            schema["anyOf"].append({"type": "null"})
        elif self.column.missing:
            schema |= {"enum": [*schema["enum"], None]} if "enum" in schema else {"type": [schema["type"], "null"]}
        if self.column.minimum is not None:
            schema["description"] = f"Training saw {self.column.minimum} to {self.column.maximum}."
        return schema | ({} if self.column.example is None else {"examples": [self.column.example]})

    def _schema(self) -> dict[str, Any]:
        """Return the schema of a value that is not missing."""
        raise NotImplementedError

    @property
    def json_type(self) -> Any:
        """Return the msgspec type that accepts only what ``all_valid`` accepts, and null if it may be missing.

        None where there is no such type.
        """
        of_value = self._json_type()
        return of_value | None if of_value is not None and self.column.missing else of_value

    def _json_type(self) -> Any:
        """Return the type of a value that is not missing."""
        raise NotImplementedError

    @property
    def array_type(self) -> Any:
        """Return the type of an array that holds such values exactly; None where only a list does."""
        return None

    def coerce_array(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:  # noqa: ARG002 -- the default
        """Return the validated array, or None if the values need checking one by one."""
        return None

    def all_valid(self, values: list[Any]) -> bool:
        """Return whether all values are valid as they are."""
        return set(map(type, values)) <= self.types and (not values or self.in_range(values))

    def coerce(self, value: Any) -> Any:
        """Return the value as training had it, None for a missing one.

        Raises:
            ValueError: what is wrong with it.
        """
        if value is None or (type(value) is float and value != value):  # noqa: PLR0124  # only NaN differs from itself
            if self.column.missing:
                return None
            raise ValueError("the value is missing")
        if type(value) not in self.types:  # not isinstance: to Python, True is an integer
            raise ValueError(misplaced(value))
        if not self.in_range([value]):
            raise ValueError(self.explain(value))
        return value

    def in_range(self, values: list[Any]) -> bool:
        """Return whether at least one value, all of the right types, are in range."""
        raise NotImplementedError

    def explain(self, value: Any) -> str:
        """Explain what is wrong with a value of the right type."""
        raise NotImplementedError

    def read_texts(self, texts: list[Any]) -> list[Any] | None:  # noqa: ARG002 -- the default
        """Return the checked values of texts (n_rows,) of :attr:`json_type`; None where these are the values."""
        return None

    def to_json(self, value: Any) -> Any:
        """Return a checked value as a request holds it."""
        return value

    def count_outside(self, values: Values) -> int:
        """Count the checked values outside of training's range, in a column that has one."""
        least, most = self._range
        if not isinstance(values, list):
            return int(((values < least) | (values > most)).sum())
        count = 0
        for value in values:
            if value is not None and not least <= value <= most:
                count += 1
        return count

    @property
    def may_be_unseen(self) -> bool:
        """Whether the column may hold a level that no training row has."""
        return False

    def count_unseen(self, values: Values) -> int:  # noqa: ARG002 -- the default
        """Count the checked values that no training row has."""
        return 0

    def to_pandas(self, values: Values) -> Any:
        """Return the column (n_rows,) in training's dtype."""
        import pandas as pd

        if not isinstance(values, list) and values.dtype.name == self.column.dtype:
            return values
        dtype = self._dtype(values)
        if self.column.missing_as == "nan":  # an object column keeps whatever it is given
            values = [float("nan") if value is None else value for value in values]
        column: pd.Series = pd.Series(values, dtype=dtype)
        return column if dtype == "object" else column.array  # pandas looks for text in an array of objects

    def _dtype(self, values: Values) -> Any:  # noqa: ARG002 -- only that of categories depends on them
        """Return the dtype for these values."""
        return self.column.dtype


def is_unicode(text: str) -> bool:
    """Return whether a text has no half surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def shown(value: Any) -> str:
    """Format a value for a message: as JSON where it is short, else by its type."""
    if isinstance(value, str):
        text = json.dumps(value if len(value) <= SHOWN else value[:SHOWN] + "...", ensure_ascii=False)
        return text.encode("utf-8", "backslashreplace").decode()  # half a surrogate pair has no UTF-8
    if isinstance(value, int) and value.bit_length() > 100:
        return f"an integer of {value.bit_length()} bits"  # printing it may pass Python's limit of digits
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return _NOUNS.get(type(value), f"a {type(value).__name__}")


def listed(values: Iterable[Any]) -> str:
    """Format the first values of a list for a message."""
    entries = list(values)
    more = f", ... ({len(entries)} in all)" if len(entries) > LISTED else ""
    return (", ".join(map(shown, entries[:LISTED])) or "no value") + more


def misplaced(value: Any) -> str:
    """Explain why a value of another type than the column's is refused."""
    noun = _NOUNS.get(type(value), "")
    return f"{shown(value)} is {noun}" if isinstance(value, str | bool) else f"the value is {noun or shown(value)}"
