"""RunSpec: the whole configuration as one frozen, validated value.

Data only. Objects are made from it in :mod:`orchestrator.pipeline`; the rules that need the data file or the
estimator are in :mod:`orchestrator.config.validate`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    BaseModel,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestrator.errors import Problem, SpecError
from orchestrator.locations.workspace_files import is_in_workspace
from orchestrator.spec import by_task
from orchestrator.spec.azure import AzureSpec
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.data import DataSpec
from orchestrator.spec.evaluate import EvaluateSpec
from orchestrator.spec.field_types import DottedPath, Matches, Name
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.messages import describe_error, format_path, suggest_or_list
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.package import PackageSpec
from orchestrator.spec.report import ReportSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.spec.section import Component, Section
from orchestrator.spec.sweep import SweepSpec

Stage = Annotated[
    Annotated[DottedPath, Tag("[path]")] | Annotated[Component, Tag("[class]")],
    Discriminator(lambda value: "[class]" if isinstance(value, Mapping | Component) else "[path]"),
]


class RunSpec(Section):
    """Everything that configures a run."""

    name: Annotated[
        StrictStr,
        Matches(r"[a-z][a-z0-9_-]*", "lower case letters, digits, - and _, beginning with a letter"),
    ]
    seed: StrictInt = Field(ge=0, lt=2**32)
    state_dir: Path
    dry_run: StrictBool = False
    verbose: StrictBool = False
    data: DataSpec
    preprocess: PreprocessSpec
    model: ModelSpec
    search: SearchSpec
    evaluate: EvaluateSpec = EvaluateSpec()
    package: PackageSpec
    report: ReportSpec = ReportSpec()
    gate: GateSpec = GateSpec()
    batch: BatchSpec | None = None
    azure: AzureSpec = AzureSpec()
    tracking: Component
    deploy: Component
    stages: Mapping[Name, Stage | None]
    sweep: SweepSpec = SweepSpec()

    @property
    def digest(self) -> str:
        """The digest of what is made: the same on any machine, wherever it is tracked and served."""
        sections = (self.data, self.preprocess, self.model, self.search, self.evaluate, self.package)
        parts = {"seed": str(self.seed)}
        for section in sections:
            parts |= section.ordered()
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def uses_workspace_files(self) -> bool:
        """Whether the stages read or write files of an Azure ML workspace."""
        places: list[object] = [self.data.path, self.data.split.file] if {"load", "train"} & self.stages.keys() else []
        if self.batch is not None and "batch" in self.stages:
            places += [self.batch.input, self.batch.output]
        return any(map(is_in_workspace, places))

    @field_validator("state_dir", mode="before")
    @classmethod
    def _named(cls, path: Any) -> Any:
        if isinstance(path, str) and not path.strip():  # as a path it would be the working directory
            raise ValueError("should name a folder, such as state")
        return path

    @field_validator("state_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return path.expanduser().resolve()

    @model_validator(mode="after")
    def _copies(self) -> RunSpec:
        if not self.dry_run:
            self.data.keep_copies(self.state_dir / "copies")
            if self.batch is not None:
                self.batch.keep_state(self.state_dir)
        return self

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> RunSpec:
        """Validate a composed configuration; values by task are those of ``data.task``, of two classes if that is auto.

        Raises:
            SpecError: every mistake that can be found without looking at files or importing an estimator.
        """
        values, found = by_task.resolve(config)
        try:
            spec = cls.model_validate(values)
        except ValidationError as error:
            left_out = {problem.at for problem in found}  # so these look as if they were missing
            wrong = (_problem(dict(each)) for each in error.errors(include_url=False))
            found += [problem for problem in wrong if problem.at not in left_out]
            raise SpecError(found) from None
        if found:
            raise SpecError(found)
        return spec


def _sections(annotation: Any) -> Iterator[type[BaseModel]]:
    """Yield the sections that a field holds: itself, or as the values of a mapping."""
    for kind in (annotation, *get_args(annotation)):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield kind


SECTIONS: Mapping[str, type[BaseModel]] = {
    name: kind for name, field in RunSpec.model_fields.items() for kind in _sections(field.annotation)
}


def _problem(found: Mapping[str, Any]) -> Problem:
    path = found["loc"]
    if found["type"] == "extra_forbidden":
        known = [field.alias or name for name, field in _owner(path).model_fields.items()]
        known += ["experiment"] if len(path) == 1 else []  # a group without a key of its own
        return Problem(format_path(*path), f"there is no such key{suggest_or_list(str(path[-1]), known)}")
    text = describe_error(found)
    key, colon, rest = text.partition(": ")
    if found["type"] == "value_error" and colon and re.fullmatch(r"[\w-]+", key):
        return Problem(format_path(*path, key), rest)  # a rule about several keys says itself which of them is wrong
    return Problem(format_path(*path), text)


def _owner(path: tuple[str | int, ...]) -> type[BaseModel]:
    """Return the section that forbids an unknown key."""
    owner: type[BaseModel] = RunSpec
    for part in path[:-1]:
        fields = {field.alias or name: field for name, field in owner.model_fields.items()}
        if (found := fields.get(str(part))) is not None:  # else a name in a mapping of sections
            owner = next(_sections(found.annotation), owner)
    return owner
