"""PackageSpec: what the package is called, and which requests its endpoint takes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictFloat, StrictInt, StrictStr, WithJsonSchema

from orchestrator.spec.field_types import Matches
from orchestrator.spec.messages import format_value, suggest
from orchestrator.spec.section import Section

Unseen = Literal["auto", "accept", "missing", "refuse"]

WHICH = ("auto", "last", "champion", "challenger", "previous", "live", "best")


def _which(version: Any) -> Any:
    text = str(version) if isinstance(version, int) and not isinstance(version, bool) else version
    if not isinstance(text, str) or not (text in WHICH or re.fullmatch("[1-9][0-9]*", text)):
        known = f"should be {', '.join(WHICH)} or the number of a version, got {format_value(version)}"
        raise ValueError(f"{known}{suggest(str(version), WHICH)}")
    return text


def _paths(value: Any) -> Any:
    paths = (value,) if isinstance(value, str) else value
    if isinstance(paths, list | tuple) and not all(isinstance(path, str) and path.strip() for path in paths):
        raise ValueError(f"should name files and folders, such as features.py, got {format_value(value)}")
    return paths


class PackageSpec(Section):
    """What the package is called, which requests its endpoint takes, and whether its model is compiled."""

    section = "package"

    model_name: Annotated[
        StrictStr,
        Matches(
            r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}",
            "at most 255 letters, digits, '.', - and _, beginning with a letter or digit",
        ),
    ]
    golden_rows: StrictInt = Field(default=5, ge=1, le=1000)
    extra_columns: Literal["forbid", "ignore"] = "forbid"
    unseen: Unseen = "auto"
    unseen_columns: Mapping[StrictStr, Unseen] = {}
    code: Annotated[
        tuple[StrictStr, ...] | None,
        BeforeValidator(_paths),
        WithJsonSchema({"type": ["array", "string", "null"], "items": {"type": "string"}}),
    ] = None
    max_refused: StrictFloat = Field(default=0.01, ge=0, le=1)
    category_share: StrictFloat = Field(default=0.5, gt=0, le=1)
    max_categories: StrictInt = Field(default=1000, ge=1)
    compile: Literal["auto", "never", "required"] = "auto"
    version: Annotated[
        StrictStr,
        BeforeValidator(_which),
        WithJsonSchema({"type": ["string", "integer"], "pattern": f"^({'|'.join(WHICH)}|[1-9][0-9]*)$"}),
    ] = "auto"

    def unseen_rule(self, column: str) -> tuple[str, str]:
        """Return what is done with unseen levels of a column, and the key that says so."""
        if column in self.unseen_columns:
            return self.unseen_columns[column], f"package.unseen_columns.{column}"
        return self.unseen, "package.unseen"

    def ordered(self) -> dict[str, str]:
        """Leave out which registered version is selected, and rules by column where there are none."""
        return self.parts("version", *([] if self.unseen_columns else ["unseen_columns"]))
