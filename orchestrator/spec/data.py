"""DataSpec: the section ``data``, the table that is learned from."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PrivateAttr,
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
from orchestrator.locations.copies import TableFiles, fetch, find_local
from orchestrator.locations.delta import fetch_delta
from orchestrator.locations.query import Query, fetch_rows
from orchestrator.locations.urls import Url
from orchestrator.spec.field_types import Decimal, Separator, Thousands
from orchestrator.spec.messages import format_value, suggest_or_list
from orchestrator.spec.place import Place, StorageOptions, place_of_rows
from orchestrator.spec.section import Section
from orchestrator.spec.separators import is_tab_separated
from orchestrator.spec.split import SplitSpec
from score.contract.cells import TableFormat, missing_words
from score.contract.dates import ISO, is_format

_PLACE = ("path", "storage", "query", "table", "connection_env", "version")  # keys that say where the rows lie


class DataSpec(Section):
    """Which table to learn from, what is to be predicted, and how many rows are held out."""

    section = "data"

    path: Place
    storage: StorageOptions = Field(default_factory=dict)
    format: Literal["csv", "parquet", "sql", "delta"]
    query: StrictStr | None = None
    table: StrictStr | None = None
    connection_env: StrictStr | None = None
    version: Annotated[StrictInt, Field(ge=0)] | None = None
    target: StrictStr
    task: Literal["auto", "binary", "multiclass", "regression"] = "auto"
    missing_target: Literal["drop", "refuse"] = "drop"
    rows: StrictInt | None = Field(default=None, ge=1)
    rows_seed: StrictInt = Field(default=0, ge=0)
    test_size: StrictFloat
    stratify: StrictBool = True
    split: SplitSpec = SplitSpec()
    weight: StrictStr | None = None
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

    _copies: Path | None = PrivateAttr(default=None)
    _found: dict[str, TableFiles] = PrivateAttr(default_factory=dict)

    def use_files_of(self, other: DataSpec) -> None:
        """Use the files that another description of the same table has found already."""
        self._found.update(other._found)

    def of_files(self, files: TableFiles, **changes: str) -> DataSpec:
        """Return the same description of other files, with some values changed."""
        other = self.model_copy(update=changes)
        other._found = {str(self.path): files}  # noqa: SLF001 - of the same class
        return other

    def keep_copies(self, folder: Path) -> None:
        """Keep copies of what lies behind a URL in a folder; without one they go when the process ends."""
        self._copies = folder

    def files(self) -> TableFiles:
        """Return the files of the table on this machine, in the order in which they are read; copied there from a URL.

        Raises:
            LocationError: there is none, or they cannot be copied.
        """
        found = self._found.get(str(self.path))
        if found is None:
            if self.format == "sql":
                found = fetch_rows(Query(str(self.connection_env), self.query, self.table), self._copies)
            elif self.format == "delta":
                found = fetch_delta(self.path, self.version, self.storage, self._copies)
            elif isinstance(self.path, Url):
                found = fetch(self.path, self.storage, self.format, self._copies)
            else:
                found = find_local(self.path, self.format)
            self._found[str(self.path)] = found
        return found

    def table_format(self) -> TableFormat:
        """Return the format of the table, for other tables of the same kind."""
        if self.format != "csv":
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
        """Leave out where the rows lie, the limit of columns, what is done about findings, and what is not used."""
        unused = [*(["weight"] if self.weight is None else []), *(["rows", "rows_seed"] if self.rows is None else [])]
        return {
            **self.parts(*_PLACE, "max_one_hot", "checks", "accept", "split", *unused),
            **self.split.without_place(),
        }

    def cache_parts(self) -> Mapping[str, str]:
        """Add the digests of the files' contents."""
        tables = {"data file": self} | ({"test file": self.of_held_out()} if self.split.file else {})
        return {**self.ordered(), **{name: _digest(table.files()) for name, table in tables.items()}}

    def of_held_out(self) -> DataSpec:
        """Return the description of the table of the hold-out rows, which is written like the other one."""
        return self.model_copy(update={"path": self.split.file, "version": None})  # a version of the other Delta table

    @model_validator(mode="before")
    @classmethod
    def _of_the_format(cls, values: Any) -> Any:
        return place_of_rows(values) if isinstance(values, Mapping) else values

    @field_validator("separator", mode="before")
    @classmethod
    def _by_the_name(cls, separator: Any, info: ValidationInfo) -> Any:
        if separator is not None:
            return separator
        path = info.data.get("path")
        return "\t" if isinstance(path, Path | Url) and is_tab_separated(Path(path.name)) else ","

    @model_validator(mode="after")
    def _one_table(self) -> DataSpec:
        if self.format == "sql" and self.split.file is not None:
            raise ValueError(
                "split: data.split=file takes a file as data.path is one; for data=sql write data.split=column"
            )
        return self

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


def _digest(table: TableFiles) -> str:
    """Return the digest of a file, or of the names and digests of several; folders such as year=2024 are a column."""
    if len(table.files) == 1 and "=" not in table.files[0].name:
        return _current_digest(table.files[0].path)
    listed = "\n".join(f"{_current_digest(each.path)}  {each.name}" for each in table.files)
    return hashlib.sha256(listed.encode()).hexdigest()


def _current_digest(path: Path) -> str:
    found = path.stat()
    return _file_digest(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=1024)
def _file_digest(path: Path, _size: int, _modified: int) -> str:
    return file_digest(path)
