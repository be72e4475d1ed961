"""A validator for each kind of column: which JSON values are accepted, and how they get training's dtype back."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta

from score.contract.category import CategoryValidator
from score.contract.date_column import DateValidator
from score.contract.rule import EXACT, Columns, ColumnValidator, Values, is_unicode, listed, shown
from score.contract.schema import Column

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["ColumnValidator", "Columns", "Values", "listed", "rule_for", "shown"]


class _Integer(ColumnValidator):
    noun = "an integer"
    numeric = True
    types = frozenset({int})

    def __init__(self, column: Column) -> None:
        import numpy as np

        super().__init__(column)
        limits = np.iinfo(column.dtype.lower())  # pandas' Int64 has int64's limits
        self._low, self._high = int(limits.min), int(limits.max)

    def coerce(self, value: Any) -> Any:
        whole = type(value) is float and value.is_integer()
        if whole and abs(value) > EXACT:  # an integer too long for 64 bits may be read as a float near to it
            raise ValueError(self.explain(value))
        return super().coerce(int(value) if whole else value)

    def _schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self._low, "maximum": self._high}

    def _json_type(self) -> Any:
        return Annotated[int, Meta(ge=self._low, le=self._high)] if self._high < 2**63 else None  # Meta's own limit

    def coerce_array(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        import numpy as np

        whole = values.dtype.kind in "iu"
        if values.dtype.kind == "f":  # whole ones, as ``coerce`` does; NaN is not whole
            values = values.astype(float)
            whole = bool(((np.abs(values) <= EXACT) & (np.trunc(values) == values)).all())
        kept = whole and (not len(values) or self._low <= values.min() <= values.max() <= self._high)
        return values.astype(int) if kept and self._high < 2**63 else None

    @property
    def array_type(self) -> Any:
        return None if self.column.missing or self._high >= 2**63 else int

    def in_range(self, values: list[Any]) -> bool:
        return bool(self._low <= min(values) and max(values) <= self._high)

    def explain(self, value: Any) -> str:
        return f"{shown(value)} does not fit {self.column.dtype}"


class _Number(ColumnValidator):
    noun = "a number"
    numeric = True
    types = frozenset({int, float})

    def __init__(self, column: Column) -> None:
        import numpy as np

        super().__init__(column)
        dtype = np.dtype(column.dtype.lower())  # pandas' Float64 is float64 with missing values
        # trees cast to float32 and fail beyond it, so that is the limit unless training itself went further
        largest = max(abs(column.minimum or 0), abs(column.maximum or 0))
        single, own = float(np.finfo("float32").max), float(np.finfo(dtype).max)
        self._limit = min(own, single if largest <= single else float(np.finfo("float64").max))
        if dtype != np.float64 and column.minimum is not None:
            # as training had them: 0.1 in 32 bits is not the 0.1 of a request
            self._range = (
                _rounded_to(dtype.type(column.minimum), -np.inf),
                _rounded_to(dtype.type(column.maximum), np.inf),
            )

    def _schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": -self._limit, "maximum": self._limit}

    def _json_type(self) -> Any:
        return Annotated[float, Meta(ge=-self._limit, le=self._limit)]

    def coerce_array(self, values: npt.NDArray[Any]) -> npt.NDArray[Any] | None:
        numbers = values.astype(float)
        kept = not len(numbers) or -self._limit <= numbers.min() <= numbers.max() <= self._limit  # NaN is not
        return numbers if kept else None

    @property
    def array_type(self) -> Any:
        return None if self.column.missing else float

    def in_range(self, values: list[Any]) -> bool:
        # min and max may miss NaN, the sum does not; where it overflows, cells are checked one by one
        try:
            return -self._limit <= min(values) and max(values) <= self._limit and not math.isnan(sum(values))
        except OverflowError:
            return False

    def explain(self, value: Any) -> str:
        finite = isinstance(value, int) or math.isfinite(value)
        return f"{shown(value)} is {'too large for the model' if finite else 'not finite'}"


class _Boolean(ColumnValidator):
    noun = "true or false"
    types = frozenset({bool})

    def _schema(self) -> dict[str, Any]:
        return {"type": "boolean"}

    def _json_type(self) -> Any:
        return bool

    def in_range(self, values: list[Any]) -> bool:  # noqa: ARG002  # every boolean is
        return True


class _String(ColumnValidator):
    noun = "text"
    types = frozenset({str})

    def _schema(self) -> dict[str, Any]:
        return {"type": "string"}

    def _json_type(self) -> Any:
        return str

    def in_range(self, values: list[Any]) -> bool:
        return is_unicode("".join(values))

    def explain(self, value: Any) -> str:
        return f"{shown(value)} holds half a surrogate pair"


def _rounded_to(number: Any, towards: float) -> float:
    """Return the most extreme float64, in the given direction, that still rounds to this lower-precision number."""
    import numpy as np

    with np.errstate(over="ignore", under="ignore"):  # at the end of the type's range
        middle = (float(number) + float(np.nextafter(number, number.dtype.type(towards)))) / 2
        return middle if number.dtype.type(middle) == number else math.nextafter(middle, -towards)


_RULES: dict[str, type[ColumnValidator]] = {
    "integer": _Integer,
    "number": _Number,
    "boolean": _Boolean,
    "category": CategoryValidator,
    "string": _String,
    "datetime": DateValidator,
}


def rule_for(column: Column) -> ColumnValidator:
    """Return the validator of a column's kind."""
    return _RULES[column.kind](column)
