"""Validation of a column of dates and times: ISO 8601 in, seconds since 1970 out."""

from __future__ import annotations

import datetime as dt
from typing import Any

from score.contract import dates
from score.contract.rule import ColumnValidator, Values, misplaced, shown
from score.contract.schema import Column


class DateValidator(ColumnValidator):
    """Validates a column of dates; what it checked are seconds, which no request may hold itself."""

    noun = "a date in ISO 8601"
    types = frozenset({str})

    def __init__(self, column: Column) -> None:
        super().__init__(column)
        self._aware = dates.is_aware(column.dtype)
        if column.minimum is not None:
            self._range = self.coerce(column.minimum), self.coerce(column.maximum)

    def _schema(self) -> dict[str, Any]:
        if self._aware:
            return {"type": "string", "format": "date-time"}
        # RFC 3339's date-time has a zone; this is the name that OpenAPI's registry has for one without
        return {"type": "string", "format": "date-time-local", "pattern": f"^{dates.PATTERN}$"}

    def _json_type(self) -> Any:
        return str

    @property
    def array_type(self) -> Any:
        """Return float: seconds."""
        return None if self.column.missing else float

    def all_valid(self, values: list[Any]) -> bool:
        """Return whether there is nothing to convert."""
        return not values

    def read_texts(self, texts: list[Any]) -> list[Any]:
        """Return the seconds of texts, None for None; a text that stands often is read once.

        Raises:
            ValueError: one is no date.
        """
        known = {text: None if text is None else self.coerce(text) for text in set(texts)}
        return [known[text] for text in texts]

    def coerce(self, value: Any) -> Any:
        """Return the seconds of a text, or of a date from a table; None for a missing one.

        Raises:
            ValueError: what is wrong with it.
        """
        if value is None or value != value:  # noqa: PLR0124 -- only NaN and NaT differ from themselves
            return super().coerce(None)
        try:
            if isinstance(value, str):
                return dates.parse(value, aware=self._aware)
            if isinstance(value, dt.date):
                return dates.seconds_of(value, aware=self._aware)
        except ValueError as error:
            raise ValueError(f"{shown(value) if isinstance(value, str) else value} {error}") from None
        raise ValueError(misplaced(value))

    def in_range(self, values: list[Any]) -> bool:  # noqa: ARG002 -- every date is
        """Return whether at least one value, all of the right types, are in range."""
        return True

    def explain(self, value: Any) -> str:
        """Explain what is wrong with a text."""
        return f"{shown(value)} is no date"

    def to_json(self, value: Any) -> Any:
        """Return checked seconds as a request holds them."""
        return None if value is None else dates.write(value, aware=self._aware)

    def to_pandas(self, values: Values) -> Any:
        """Return seconds (n_rows,) in training's dtype."""
        return dates.to_pandas(values, self.column.dtype)
