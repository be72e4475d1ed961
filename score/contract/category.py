"""Validation of a column of categories: the table's levels and, where the pipeline can score them or a missing value, others."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Literal

from msgspec import Meta

from score.contract.rule import EXACT, ColumnValidator, Values, is_unicode, listed, shown
from score.contract.schema import Column

ANOTHER = {
    "accept": "Another value is scored, too, and named in the header X-Unseen-Values.",
    "missing": "Another value is scored as a missing one, and named in the header X-Unseen-Values.",
}


def learned_only(values: Values, learned: frozenset[Any]) -> Values:
    """Return checked values as a model gets them where unseen levels are scored as missing: None in their place."""
    return [value if value in learned else None for value in values]


class CategoryValidator(ColumnValidator):
    """Validates a column of categories; an unseen level is one that no training row has, accepted or not."""

    noun = ""

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._allowed = {value: value for value in column.categories or ()}
        self._trained = frozenset(column.learned)
        self._open = column.unseen != "refuse"
        self._own = frozenset(map(type, self._allowed)) or frozenset({str} if self._open else ())
        self.types = self._own | {int, float} if self._own & {int, float} else self._own

    @cached_property
    def expected(self) -> str:
        """Describe the accepted values in a message."""
        return f"one of {listed(self._allowed)}{', or another' * self._open}{' or null' if self.column.missing else ''}"

    @property
    def may_be_unseen(self) -> bool:
        """Whether the column may hold a level that no training row has."""
        return self._open or bool(self.column.held_out)

    def count_unseen(self, values: Values) -> int:
        """Count the checked values that no training row has."""
        return sum(value is not None and value not in self._trained for value in values)

    def all_valid(self, values: list[Any]) -> bool:
        """Return whether all values are valid as they are."""
        return set(map(type, values)) <= self._own and self.in_range(values)

    def coerce(self, value: Any) -> Any:
        """Return the value as the table writes it; raises ValueError for one that is refused."""
        coerced = super().coerce(value)
        if coerced is None or coerced in self._allowed:
            return coerced if coerced is None else self._allowed[coerced]  # 1 stands for the level 1.0
        return int(coerced) if self._own == {int} else coerced

    def _schema(self) -> dict[str, Any]:
        levels = {"enum": list(self._allowed)}
        if not self._open:
            return levels
        names = {str: "string", bool: "boolean", int: "integer", float: "number"}
        others: dict[str, Any] = {"type": sorted(names[kind] for kind in self._own)}
        if self._own & {int, float}:
            others |= {"minimum": -EXACT, "maximum": EXACT}
        return {"anyOf": [levels, others] if self._allowed else [others], "description": ANOTHER[self.column.unseen]}

    def _json_type(self) -> Any:
        # msgspec has no longer integers; levels of mixed types are left to the general reader
        if self._own == {str}:
            return str if self._open else Literal[tuple(self._allowed)]
        if self._own != {int}:
            return None
        if not self._open and all(-(2**63) <= value < 2**63 for value in self._allowed):
            return Literal[tuple(self._allowed)]
        exact = self._open and all(abs(value) <= EXACT for value in self._allowed)
        return Annotated[int, Meta(ge=-EXACT, le=EXACT)] if exact else None

    def in_range(self, values: list[Any]) -> bool:
        """Return whether values of the right types are levels, or could be."""
        others = set(values) - self._allowed.keys()
        return not others or (self._open and all(map(self._could_be, others)))

    def _could_be(self, value: Any) -> bool:
        """Return whether a value of the right type, which no row of the table has, could be a level."""
        if isinstance(value, str):
            return is_unicode(value)
        # infinity and NaN are in no range
        return -EXACT <= value <= EXACT and (float in self._own or float(value).is_integer())

    def explain(self, value: Any) -> str:
        """Explain what is wrong with a value of the right type."""
        if self._open and isinstance(value, str):
            return f"{shown(value)} holds half a surrogate pair"
        return f"{shown(value)} is no category that training saw"

    def to_pandas(self, values: Values) -> Any:
        """See the base; where unseen levels are scored as missing, they are missing here."""
        return super().to_pandas(learned_only(values, self._trained) if self.column.unseen == "missing" else values)

    def _dtype(self, values: Values) -> Any:
        if self.column.dtype != "category":
            return super()._dtype(values)
        import pandas as pd

        declared = list(self._allowed if self.column.declared is None else self.column.declared)
        known = {None, *declared}
        others = [value for value in dict.fromkeys(values) if value not in known]
        return pd.CategoricalDtype(declared + others, ordered=self.column.ordered)
