"""What a column of categories takes: the levels of the table and, where the pipeline can score them, others."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from msgspec import Meta

from score.contract.rule import EXACT, ColumnValidator, Values, is_unicode, listed, shown
from score.contract.schema import Column

ANOTHER = "Another value is scored, too, and named in the header X-Unseen-Values."


class CategoryValidator(ColumnValidator):
    """A column of categories. An unseen level is one that no training row has, whether or not it is accepted."""

    noun = ""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._allowed = {value: value for value in column.categories or ()}
        self._trained = self._allowed.keys() - set(column.held_out)
        self._open = column.unseen == "accept"
        self._own = frozenset(map(type, self._allowed)) or frozenset({str} if self._open else ())
        self.types = self._own | {int, float} if self._own & {int, float} else self._own

    @cached_property
    def expected(self) -> str:
        """What the column takes, in words."""
        return f"one of {listed(self._allowed)}{', or another' * self._open}{' or null' if self.column.missing else ''}"

    @property
    def may_be_unseen(self) -> bool:
        """Whether the column may hold a level that no training row has."""
        return self._open or bool(self.column.held_out)

    def unseen(self, values: Values) -> int:
        """How many checked values are levels that no training row has."""
        return sum(value is not None and value not in self._trained for value in values)

    def plain(self, values: list[Any]) -> bool:
        """Whether all values can be taken as they stand."""
        return set(map(type, values)) <= self._own and self.fits(values)

    def convert(self, value: Any) -> Any:
        """The value to take, as the table writes it; raises ValueError for one that is refused."""
        held = super().convert(value)
        if held is None or held in self._allowed:
            return held if held is None else self._allowed[held]  # 1.0 is asked for by 1
        return int(held) if self._own == {int} else held

    def _schema(self) -> dict[str, Any]:
        known = {"enum": list(self._allowed)}
        if not self._open:
            return known
        names = {str: "string", bool: "boolean", int: "integer", float: "number"}
        others: dict[str, Any] = {"type": sorted(names[kind] for kind in self._own)}
        if self._own & {int, float}:
            others |= {"minimum": -EXACT, "maximum": EXACT}
        return {"anyOf": [known, others] if self._allowed else [others], "description": ANOTHER}

    def _json_type(self) -> Any:
        # msgspec knows no longer integers, and texts among numbers are for the other reader
        if self._own == {str}:
            return str if self._open else Literal[tuple(self._allowed)]
        if self._own != {int}:
            return None
        if not self._open and all(-(2**63) <= value < 2**63 for value in self._allowed):
            return Literal[tuple(self._allowed)]
        exact = self._open and all(abs(value) <= EXACT for value in self._allowed)
        return Annotated[int, Meta(ge=-EXACT, le=EXACT)] if exact else None

    def fits(self, values: list[Any]) -> bool:
        """Whether values of the right types are levels, or could be."""
        others = set(values) - self._allowed.keys()
        return not others or (self._open and all(map(self._could_be, others)))

    def _could_be(self, value: Any) -> bool:
        """Whether a value of the right type, which no row of the table has, could be a level."""
        if isinstance(value, str):
            return is_unicode(value)
        # infinity and NaN are in no range
        return -EXACT <= value <= EXACT and (float in self._own or float(value).is_integer())

    def misfit(self, value: Any) -> str:
        """What is wrong with a value of the right type."""
        if self._open and isinstance(value, str):
            return f"{shown(value)} holds half a surrogate pair"
        return f"{shown(value)} is no category that training saw"

    def _dtype(self, values: Values) -> Any:
        if self.column.dtype != "category":
            return super()._dtype(values)
        import pandas as pd

        declared = list(self._allowed if self.column.declared is None else self.column.declared)
        known = {None, *declared}
        others = [value for value in dict.fromkeys(values) if value not in known]
        return pd.CategoricalDtype(declared + others, ordered=self.column.ordered)
