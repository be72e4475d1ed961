"""SplitSpec: by which rule rows are held out, and folds are made."""

from __future__ import annotations

import math
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, StrictBool, StrictStr, WithJsonSchema, model_validator

from orchestrator.spec.field_types import Values
from orchestrator.spec.messages import format_value
from orchestrator.spec.place import Place
from orchestrator.spec.section import Section

Rule = Literal["random", "group", "time", "column", "file"]
UNITS = {"w": 604_800, "d": 86_400, "h": 3_600, "min": 60, "s": 1}  # in seconds; months and years have no fixed length
_DURATION = re.compile(r"(\d+(?:\.\d+)?) ?(w|d|h|min|s)")
_EXAMPLES = {"group": "customer_id", "time": "date", "column": "part"}  # of the columns that rules need
_ONLY_OF = {  # keys that one rule has, or two
    "by": ("group", "time", "column"),
    "gap": ("time",),
    "date_format": ("time",),
    "test": ("column",),
    "validation": ("column",),
    "file": ("file",),
    "keep": ("group", "time", "column"),
}


def duration_seconds(text: str) -> float:
    """Return the seconds of a duration such as ``7d``, ``12h`` or ``1.5 w``.

    Raises:
        ValueError: it is none.
    """
    matched = _DURATION.fullmatch(text.strip())
    if matched is None:
        raise ValueError(
            f"should be a number in the column's own unit, or 7d, 2w, 12h, 30min, got {format_value(text)}"
        )
    return float(matched[1]) * UNITS[matched[2]]


def _check_gap(gap: Any) -> Any:
    """Accept a number of at least 0 or a duration; a union of types would report one mistake for each of them."""
    if isinstance(gap, int | float) and not isinstance(gap, bool):
        if not 0 <= gap < math.inf:
            raise ValueError(f"should be at least 0, got {gap}")
    else:
        duration_seconds(gap if isinstance(gap, str) else format_value(gap))
    return gap


Gap = Annotated[
    Any,
    AfterValidator(_check_gap),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION.pattern}]}),
]


class SplitSpec(Section):
    """By which rule rows are held out, and folds are made of the others.

    ``by`` is the column of groups, of times or of the parts' names; it is no feature unless ``keep`` is set.
    """

    section = "data.split"

    rule: Rule = "random"
    by: StrictStr | None = None
    gap: Gap | None = None
    date_format: StrictStr | None = None
    test: Values | None = None
    validation: Values | None = None
    file: Place | None = None
    keep: StrictBool = False

    @model_validator(mode="after")
    def _keys_of_the_rule(self) -> SplitSpec:
        for key, rules in _ONLY_OF.items():
            if getattr(self, key) not in (None, False) and self.rule not in rules:
                raise ValueError(f"{key}: data.split={self.rule} has no such key; it is for {', '.join(rules)}")
        if self.by is None and self.rule in _EXAMPLES:
            example = _EXAMPLES[self.rule]
            raise ValueError(f"by: is missing; data.split={self.rule} needs a column, such as data.split.by={example}")
        if self.file is None and self.rule == "file":
            raise ValueError("file: is missing; name the table of the hold-out rows, such as data.split.file=test.csv")
        if both := [value for value in self.validation or () if value in (self.test or ())]:
            raise ValueError(f"validation: {format_value(both[0])} is held out by data.split.test; name other rows")
        return self

    def without_place(self) -> dict[str, str]:
        """Return the parts without the place of the file: its contents count."""
        return {at: value for at, value in self.parts().items() if at != "data.split.file"}
