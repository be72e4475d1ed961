"""The tables: DataSpec is learned from, BatchSpec is scored."""

from __future__ import annotations

import codecs
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from orchestrator.caching.fingerprints import file_digest
from orchestrator.findings import KINDS
from orchestrator.spec.field_types import Decimal, Separator, Thousands, resolve_input
from orchestrator.spec.messages import format_value, suggest_or_list
from orchestrator.spec.section import Section
from orchestrator.spec.separators import is_tab_separated
from orchestrator.spec.split import SplitSpec
from score.contract.cells import MISSING, TableFormat, missing_words
from score.contract.dates import ISO, is_format


class DataSpec(Section):
    """Which table to learn from, what is to be predicted, and how many rows are held out."""

    section = "data"

    path: Path
    format: Literal["csv", "parquet"]
    target: StrictStr
    task: Literal["auto", "binary", "multiclass", "regression"] = "auto"
    missing_target: Literal["drop", "refuse"] = "drop"
    test_size: StrictFloat
    stratify: StrictBool = True
    split: SplitSpec = SplitSpec()
    drop: tuple[StrictStr, ...] = ()
    positive: Annotated[Any, WithJsonSchema({"type": ["string", "number", "boolean", "null"]})] = None
    separator: Annotated[Separator, WithJsonSchema({"type": ["string", "null"]})] = Field(
        default=None,
        validate_default=True,  # null: by the file's name
    )
    encoding: StrictStr = "utf-8"
    decimal: Decimal = "."
    thousands: Thousands | None = None
    missing_values: tuple[StrictStr, ...] = ()
    keep_default_na: StrictBool = True
    text_columns: tuple[StrictStr, ...] = ()
    dates: Annotated[
        Literal["auto", "off"] | Mapping[StrictStr, StrictStr],
        WithJsonSchema(
            {"anyOf": [{"enum": ["auto", "off"]}, {"type": "object", "additionalProperties": {"type": "string"}}]}
        ),
    ] = "auto"
    index: Literal["auto", "keep", "drop"] = "auto"
    max_one_hot: StrictInt = Field(default=2000, ge=1)
    duplicates: Literal["keep", "drop"] = "keep"
    checks: Literal["warn", "strict", "off"] = "warn"
    accept: tuple[StrictStr, ...] = ()

    def table_format(self) -> TableFormat:
        """Return the format of the table, for other tables of the same kind."""
        if self.format == "parquet":
            return TableFormat(format="parquet", missing=(), text_columns=self.text_columns)
        return TableFormat(
            separator=self.separator,
            encoding=self.encoding,
            decimal=self.decimal,
            thousands=self.thousands,
            missing=missing_words(self.keep_default_na, self.missing_values),
            text_columns=self.text_columns,
        )

    def ordered(self) -> dict[str, str]:
        """Leave out where the files lie, the limit of columns, and what is done about findings."""
        return {**self.parts("path", "max_one_hot", "checks", "accept", "split"), **self.split.without_place()}

    def cache_parts(self) -> Mapping[str, str]:
        """Add the digests of the files' contents."""
        files = {"data file": self.path} | ({"test file": self.split.file} if self.split.file else {})
        return {**self.ordered(), **{name: _current_digest(path) for name, path in files.items()}}

    @field_validator("separator", mode="before")
    @classmethod
    def _by_the_name(cls, separator: Any, info: ValidationInfo) -> Any:
        if separator is not None:
            return separator
        path = info.data.get("path")
        return "\t" if isinstance(path, Path) and is_tab_separated(path) else ","

    @model_validator(mode="after")
    def _two_signs(self) -> DataSpec:
        if self.decimal == self.thousands:
            raise ValueError(f"thousands: {self.thousands!r} is data.decimal already; one sign cannot be both")
        return self

    @field_validator("test_size", mode="before")
    @classmethod
    def _share(cls, share: Any) -> Any:
        if isinstance(share, int | float) and not 0 < share < 1:
            raise ValueError(f"should be a share between 0 and 1, such as 0.2, got {format_value(share)}")
        return share

    @field_validator("positive")
    @classmethod
    def _label(cls, label: Any) -> Any:
        if not isinstance(label, str | int | float | None):
            raise ValueError(f"should be one label of the target, got {format_value(label)}")  # noqa: TRY004 - pydantic's way
        return label

    @property
    def date_formats(self) -> Mapping[str, str]:
        """The formats of the columns of dates that the configuration names."""
        return self.dates if isinstance(self.dates, Mapping) else {}

    @field_validator("dates", mode="before")
    @classmethod
    def _dates(cls, dates: Any) -> Any:
        if dates is False:  # as YAML reads off without quotes
            return "off"
        if not isinstance(dates, Mapping) and dates not in ("auto", "off"):
            raise ValueError(
                f"should be auto, off, or formats by column such as {{born: '%d/%m/%Y'}}, got {format_value(dates)}"
            )
        for name, form in dates.items() if isinstance(dates, Mapping) else ():
            if form != ISO and not (isinstance(form, str) and is_format(form)):
                raise ValueError(f"{name}: should be {ISO} or a format such as %d/%m/%Y, got {format_value(form)}")
        return dates

    @field_validator("checks", mode="before")
    @classmethod
    def _level(cls, level: Any) -> Any:
        return "off" if level is False else level  # as YAML reads it without quotes

    @field_validator("accept")
    @classmethod
    def _codes(cls, accept: tuple[str, ...]) -> tuple[str, ...]:
        for each in accept:
            if (code := each.partition(":")[0]) not in KINDS:
                raise ValueError(f"{format_value(code)} is no code of a finding{suggest_or_list(code, KINDS)}")
        return accept

    @field_validator("path")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return resolve_input(path)


def _current_digest(path: Path) -> str:
    found = path.stat()
    return _file_digest(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _file_digest(path: Path, _size: int, _modified: int) -> str:
    return file_digest(path)


class BatchSpec(Section):
    """A table to be scored, and the one that its rows go to with their predictions."""

    section = "batch"

    input: Path
    output: Path
    chunk_rows: StrictInt = Field(default=10_000, ge=1)
    keep: tuple[StrictStr, ...] | None = None
    separator: Separator | None = None  # null here and below: as training's table was written
    encoding: StrictStr | None = None
    decimal: Decimal | None = None
    thousands: Thousands | None = None
    missing_values: tuple[StrictStr, ...] | None = None
    keep_default_na: StrictBool | None = None

    def table_format(self, trained: TableFormat | None) -> TableFormat:
        """Return the format of the input, if it is a CSV file; ``trained`` is the format of training's table."""
        form = trained if trained is not None and trained.format == "csv" else TableFormat()
        more = tuple(set(form.missing) - MISSING) if self.missing_values is None else self.missing_values
        default = set(form.missing) >= MISSING if self.keep_default_na is None else self.keep_default_na
        decimal = self.decimal or form.decimal
        thousands = self.thousands or (form.thousands if form.thousands != decimal else None)
        return TableFormat(
            separator=self.separator or ("\t" if is_tab_separated(self.input) else form.separator),
            encoding=self.encoding or form.encoding,
            decimal=decimal,
            thousands=thousands,
            missing=missing_words(default, more),
            text_columns=(trained or form).text_columns,
            dates=(trained or form).dates,
        )

    @property
    def rejected(self) -> Path:
        """The file for the reasons of rows that the package refuses."""
        return self.output.with_suffix(".rejected.csv")

    @field_validator("input")
    @classmethod
    def _readable(cls, path: Path) -> Path:
        return resolve_input(path)

    @field_validator("output")
    @classmethod
    def _writable(cls, path: Path) -> Path:
        return _table(path, ".csv", ".parquet").expanduser().resolve()

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError:
            raise ValueError(f"there is no encoding {format_value(encoding)}; try utf-8 or latin-1") from None
        return encoding


def _table(path: Path, *endings: str) -> Path:
    if not path.name.lower().endswith(endings):
        raise ValueError(f"should end in {' or '.join(endings)}, got {format_value(path.name)}")
    return path
