"""BatchSpec: the section ``batch``, a table to be scored."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    PrivateAttr,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from orchestrator.locations.urls import Url
from orchestrator.spec.field_types import Decimal, Separator, Thousands
from orchestrator.spec.messages import format_value
from orchestrator.spec.place import OutputPlace, Place, StorageOptions
from orchestrator.spec.section import Section
from orchestrator.spec.separators import is_tab_separated
from orchestrator.spec.workers import check_cluster, some_jobs
from score.contract.cells import MISSING, TableFormat, missing_words


class BatchSpec(Section):
    """A table to be scored, and the one that its rows go to with their predictions."""

    section = "batch"

    input: Place
    storage: StorageOptions = Field(default_factory=dict)  # of the input's file system
    version: Annotated[StrictInt, Field(ge=0)] | None = None  # of a Delta table; null: the newest
    output_format: Literal["csv", "parquet", "delta"] | None = None  # null: by the output's ending
    output: OutputPlace
    output_storage: StorageOptions = Field(default_factory=dict)
    chunk_rows: StrictInt = Field(default=10_000, ge=1)
    keep: tuple[StrictStr, ...] | None = None
    explain: StrictBool = False  # what each column adds to the prediction, in columns of its own
    backend: Literal["local", "loky", "dask", "ray"] = "local"  # this process, or workers of joblib's backends
    n_jobs: StrictInt | None = None
    scheduler: StrictStr | None = None  # the address of a running cluster
    separator: Separator | None = None  # null here and below: as training's table was written
    encoding: StrictStr | None = None
    decimal: Decimal | None = None
    thousands: Thousands | None = None
    missing_values: tuple[StrictStr, ...] | None = None
    keep_default_na: StrictBool | None = None

    _state: Path | None = PrivateAttr(default=None)

    def table_format(self, trained: TableFormat | None) -> TableFormat:
        """Return the format of the input, if it is a CSV file; ``trained`` is the format of training's table."""
        form = trained if trained is not None and trained.format == "csv" else TableFormat()
        more = tuple(set(form.missing) - MISSING) if self.missing_values is None else self.missing_values
        default = set(form.missing) >= MISSING if self.keep_default_na is None else self.keep_default_na
        decimal = self.decimal or form.decimal
        thousands = self.thousands or (form.thousands if form.thousands != decimal else None)
        return TableFormat(
            separator=self.separator or ("\t" if is_tab_separated(Path(self.input.name)) else form.separator),
            encoding=self.encoding or form.encoding,
            decimal=decimal,
            thousands=thousands,
            missing=missing_words(default, more),
            text_columns=(trained or form).text_columns,
            dates=(trained or form).dates,
        )

    @property
    def rejected(self) -> Path | Url:
        """The file for the reasons of rows that the package refuses, beside the output."""
        if isinstance(self.output, Path):
            return self.output.with_suffix(".rejected.csv")
        folder, slash, name = self.output.text.rstrip("/").rpartition("/")
        return Url(f"{folder}{slash}{name.rpartition('.')[0] or name}.rejected.csv")

    @property
    def writes(self) -> str:
        """The format of the output."""
        return self.output_format or self.output.name.lower().rpartition(".")[2]

    def ordered(self) -> dict[str, str]:
        """Leave out explanations where none are wanted."""
        return self.parts(*([] if self.explain else ["explain"]))

    def keep_state(self, folder: Path) -> None:
        """Keep copies of what lies behind a URL, and the finished parts of an output at one, in a folder."""
        self._state = folder

    @property
    def state(self) -> Path | None:
        """The folder for copies and parts; without one they go when the process ends."""
        return self._state

    @field_validator("output")
    @classmethod
    def _known_format(cls, output: Path | Url, info: ValidationInfo) -> Path | Url:
        if info.data.get("output_format") is None and not output.name.lower().endswith((".csv", ".parquet")):
            got = format_value(output.name)
            raise ValueError(f"should end in .csv or .parquet, or batch.output_format should say what it is, got {got}")
        return output

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        try:
            codecs.lookup(encoding or "utf-8")
        except LookupError:
            raise ValueError(f"there is no encoding {format_value(encoding)}; try utf-8 or latin-1") from None
        return encoding

    @field_validator("n_jobs")
    @classmethod
    def _some_jobs(cls, n_jobs: int | None) -> int | None:
        return some_jobs(n_jobs)

    @model_validator(mode="after")
    def _workers_have_a_backend(self) -> BatchSpec:
        check_cluster(self.section, self.backend, self.scheduler, self.n_jobs)
        if self.n_jobs is not None and self.backend == "local":
            raise ValueError("n_jobs: counts worker processes, and this process has none; write batch.backend=loky")
        return self
