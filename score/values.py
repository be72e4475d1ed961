"""One rule for each kind of column: which JSON values it takes, and how they get training's dtype back."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

from msgspec import Meta

from score.contract import Column

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

Values: TypeAlias = "list[Any] | npt.NDArray[Any]"  # of one column (n_rows,)

SHOWN = 40  # characters of a value, and
LISTED = 10  # entries of a list, in a message
EXACT = 2**53 - 1  # up to here a float stands for one integer only
_NOUNS = {dict: "an object", list: "a list", bool: "a boolean", str: "text", type(None): "null"}


class Rule:
    """What one column takes. ``plain`` judges a whole column quickly, ``convert`` one unusual cell slowly."""

    noun: ClassVar[str]
    numeric: ClassVar[bool] = False
    types: frozenset[type]

    def __init__(self, column: Column) -> None:
        self.column = column
        self._range: tuple[Any, Any] = column.minimum, column.maximum  # that training saw

    @cached_property
    def expected(self) -> str:
        """What the column takes, in words."""
        example = "" if self.column.example is None else f", such as {shown(self.column.example)}"
        return f"{self.noun}{example}{' or null' if self.column.missing else ''}"

    @property
    def schema(self) -> dict[str, Any]:
        """What the column takes, as JSON Schema; the range that training saw is told and not demanded."""
        schema = self._schema()
        if self.column.missing:
            schema |= {"enum": [*schema["enum"], None]} if "enum" in schema else {"type": [schema["type"], "null"]}
        if self.column.minimum is not None:
            schema["description"] = f"Training saw {self.column.minimum} to {self.column.maximum}."
        return schema | ({} if self.column.example is None else {"examples": [self.column.example]})

    def _schema(self) -> dict[str, Any]:
        """The schema of a value that is there."""
        raise NotImplementedError

    @property
    def json_type(self) -> Any:
        """The type by which msgspec takes no value but those that ``plain`` takes, and null if it may be missing.

        None where there is no such type.
        """
        of_value = self._json_type()
        return of_value | None if of_value is not None and self.column.missing else of_value

    def _json_type(self) -> Any:
        """The type of a value that is there."""
        raise NotImplementedError

    @property
    def array_type(self) -> Any:
        """The type of an array that holds such values exactly; None where they are for a list."""
        return None

    def array(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:  # noqa: ARG002 -- by default none are
        """Numbers as they are to be taken, if all of them can be; None where they have to be looked at one by one."""
        return None

    def plain(self, values: list[Any]) -> bool:
        """Whether all values can be taken as they stand."""
        return set(map(type, values)) <= self.types and (not values or self.fits(values))

    def convert(self, value: Any) -> Any:
        """The value to take, None for a missing one; ValueError tells what is wrong with it."""
        if value is None or (type(value) is float and value != value):  # noqa: PLR0124  # only NaN differs from itself
            if self.column.missing:
                return None
            raise ValueError("the value is missing")
        if type(value) not in self.types:  # not isinstance: to Python, True is an integer
            raise ValueError(_told(value))
        if not self.fits([value]):
            raise ValueError(self.misfit(value))
        return value

    def fits(self, values: list[Any]) -> bool:
        """Whether values of the right types are in range; called with at least one."""
        raise NotImplementedError

    def misfit(self, value: Any) -> str:
        """What is wrong with a value of the right type."""
        raise NotImplementedError

    def outside(self, values: Values) -> int:
        """How many checked values are outside of the range that training saw, in a column that has one."""
        least, most = self._range
        if not isinstance(values, list):
            return int(((values < least) | (values > most)).sum())
        count = 0
        for value in values:
            if value is not None and not least <= value <= most:
                count += 1
        return count

    def series(self, values: Values) -> pd.Series:
        """The column (n_rows,) as training saw it."""
        import pandas as pd

        if self.column.missing_as == "nan":  # an object column keeps whatever it is given
            values = [float("nan") if value is None else value for value in values]
        dtype: Any = self.column.dtype
        if dtype == "category":
            dtype = pd.CategoricalDtype(list(self.column.categories or ()), ordered=self.column.ordered)
        series: pd.Series = pd.Series(values, dtype=dtype)
        return series


class _Integer(Rule):
    noun = "an integer"
    numeric = True
    types = frozenset({int})

    def __init__(self, column: Column) -> None:
        import numpy as np

        super().__init__(column)
        limits = np.iinfo(column.dtype.lower())  # pandas' Int64 has int64's limits
        self._low, self._high = int(limits.min), int(limits.max)

    def convert(self, value: Any) -> Any:
        whole = type(value) is float and value.is_integer()
        if whole and abs(value) > EXACT:  # an integer too long for 64 bits may be read as a float near to it
            raise ValueError(self.misfit(value))
        return super().convert(int(value) if whole else value)

    def _schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self._low, "maximum": self._high}

    def _json_type(self) -> Any:
        return Annotated[int, Meta(ge=self._low, le=self._high)] if self._high < 2**63 else None  # Meta's own limit

    def array(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        import numpy as np

        whole = values.dtype.kind in "iu"
        if values.dtype.kind == "f":  # as ``convert`` takes whole ones, which NaN is not
            values = values.astype(float)
            whole = bool(((np.abs(values) <= EXACT) & (np.trunc(values) == values)).all())
        kept = whole and (not len(values) or self._low <= values.min() <= values.max() <= self._high)
        return values.astype(int) if kept and self._high < 2**63 else None

    @property
    def array_type(self) -> Any:
        return None if self.column.missing or self._high >= 2**63 else int

    def fits(self, values: list[Any]) -> bool:
        return bool(self._low <= min(values) and max(values) <= self._high)

    def misfit(self, value: Any) -> str:
        return f"{shown(value)} does not fit {self.column.dtype}"


class _Number(Rule):
    noun = "a number"
    numeric = True
    types = frozenset({int, float})

    def __init__(self, column: Column) -> None:
        import numpy as np

        super().__init__(column)
        dtype = np.dtype(column.dtype.lower())  # pandas' Float64 is float64 with gaps
        # trees cast to float32 and fail beyond it, so that is the limit unless training itself went further
        seen = max(abs(column.minimum or 0), abs(column.maximum or 0))
        single, own = float(np.finfo("float32").max), float(np.finfo(dtype).max)
        self._limit = min(own, single if seen <= single else float(np.finfo("float64").max))
        if dtype != np.float64 and column.minimum is not None:
            # as training saw them: 0.1 of 32 bits is not the 0.1 that a request writes
            self._range = (
                _rounded_to(dtype.type(column.minimum), -np.inf),
                _rounded_to(dtype.type(column.maximum), np.inf),
            )

    def _schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": -self._limit, "maximum": self._limit}

    def _json_type(self) -> Any:
        return Annotated[float, Meta(ge=-self._limit, le=self._limit)]

    def array(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        numbers = values.astype(float)
        kept = not len(numbers) or -self._limit <= numbers.min() <= numbers.max() <= self._limit  # which NaN is not
        return numbers if kept else None

    @property
    def array_type(self) -> Any:
        return None if self.column.missing else float

    def fits(self, values: list[Any]) -> bool:
        # min and max may pass over NaN, the sum does not; where it overflows, cells are looked at one by one
        try:
            return -self._limit <= min(values) and max(values) <= self._limit and not math.isnan(sum(values))
        except OverflowError:
            return False

    def misfit(self, value: Any) -> str:
        finite = isinstance(value, int) or math.isfinite(value)
        return f"{shown(value)} is {'too large for the model' if finite else 'not finite'}"


class _Boolean(Rule):
    noun = "true or false"
    types = frozenset({bool})

    def _schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def _json_type(self) -> Any:
        return bool

    def fits(self, values: list[Any]) -> bool:  # noqa: ARG002  # every boolean does
        return True


class _Category(Rule):
    noun = ""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._allowed = {value: value for value in column.categories or ()}
        self._own = frozenset(map(type, self._allowed))
        self.types = self._own | {int, float} if self._own & {int, float} else self._own

    @cached_property
    def expected(self) -> str:
        return f"one of {listed(self._allowed)}{' or null' if self.column.missing else ''}"

    def plain(self, values: list[Any]) -> bool:
        return set(map(type, values)) <= self._own and self.fits(values)

    def convert(self, value: Any) -> Any:
        held = super().convert(value)
        return held if held is None else self._allowed[held]  # 1.0 is asked for by 1

    def _schema(self) -> dict[str, Any]:
        return {"enum": list(self._allowed)}

    def _json_type(self) -> Any:
        # msgspec knows no longer integers, and texts among numbers are for the other reader
        exact = self._own == {str} or (self._own == {int} and all(-(2**63) <= value < 2**63 for value in self._allowed))
        return Literal[tuple(self._allowed)] if exact else None

    def fits(self, values: list[Any]) -> bool:
        return set(values) <= self._allowed.keys()

    def misfit(self, value: Any) -> str:
        return f"{shown(value)} is no category that training saw"


class _String(Rule):
    noun = "text"
    types = frozenset({str})

    def _schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def _json_type(self) -> Any:
        return str

    def fits(self, values: list[Any]) -> bool:
        try:
            "".join(values).encode()
        except UnicodeEncodeError:
            return False
        return True

    def misfit(self, value: Any) -> str:
        return f"{shown(value)} holds half a surrogate pair"


def _rounded_to(number: Any, towards: float) -> float:
    """Of the float64 that are rounded to this number of fewer bits the outermost in a direction."""
    import numpy as np

    with np.errstate(over="ignore", under="ignore"):  # at the end of the type's own range
        middle = (float(number) + float(np.nextafter(number, number.dtype.type(towards)))) / 2
        return middle if number.dtype.type(middle) == number else math.nextafter(middle, -towards)


_RULES: dict[str, type[Rule]] = {
    "integer": _Integer,
    "number": _Number,
    "boolean": _Boolean,
    "category": _Category,
    "string": _String,
}


def rule_for(column: Column) -> Rule:
    """The rule for a column's kind."""
    return _RULES[column.kind](column)


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


def _told(value: Any) -> str:
    noun = _NOUNS.get(type(value), "")
    return f"{shown(value)} is {noun}" if isinstance(value, str | bool) else f"the value is {noun or shown(value)}"
