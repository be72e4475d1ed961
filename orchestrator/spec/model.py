"""The pipeline: PreprocessSpec lists transformers, ModelSpec names the estimator and its parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    StrictFloat,
    StrictInt,
    StrictStr,
    Tag,
    WithJsonSchema,
    field_validator,
)

from orchestrator.spec.field_types import DottedPath, Name, StepName, Values, one_is_a_list
from orchestrator.spec.objects import code_of, orders
from orchestrator.spec.section import Component, Section, code_fingerprints

Columns = Annotated[
    Annotated[Literal["numeric", "categorical", "datetime", "high_cardinality", "ordered", "text"], Tag("[kind]")]
    | Annotated[tuple[StrictStr, ...], Tag("[names]")],
    Discriminator(lambda value: "[kind]" if isinstance(value, str) else "[names]"),
]

UNCALIBRATED: Final = "none"
METHODS = (UNCALIBRATED, "sigmoid", "isotonic", "temperature")
Methods = Annotated[
    tuple[Literal["none", "sigmoid", "isotonic", "temperature"], ...],
    BeforeValidator(one_is_a_list),
    WithJsonSchema(
        {"anyOf": [{"enum": list(METHODS)}, {"type": "array", "items": {"enum": list(METHODS)}, "minItems": 1}]}
    ),
]


class Branch(Section):
    """Some columns and the transformers they go through, one after another."""

    columns: Columns
    steps: Mapping[Name, Component] = Field(min_length=1)


class PreprocessSpec(Section):
    """Transformers of the whole table in order (``steps``), then of groups of columns side by side (``branches``).

    ``output`` is what the branches give: arrays, or a DataFrame of pandas.
    """

    section = "preprocess"

    steps: Mapping[StepName, Component] = {}
    branches: Mapping[Name, Branch] = {}
    remainder: Literal["drop", "passthrough"] = "drop"
    max_levels: StrictInt = Field(default=40, ge=2)
    output: Literal["default", "pandas"] = "default"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of columns that have a branch."""
        return tuple(branch.columns for branch in self.branches.values() if isinstance(branch.columns, str))

    @property
    def takes_text(self) -> bool:
        """Whether free text is encoded by its words, or by parts of them."""
        return "text" in self.kinds or any(found.target == "skrub.TableVectorizer" for _, found in self.components())

    def ordered(self) -> dict[str, str]:
        """Add the order of the transformers; leave out a number of levels that no branch asks for, and the usual output."""
        order = {"preprocess order": " ".join([*self.steps, *self.branches])}
        several = {name: branch.steps for name, branch in self.branches.items() if len(branch.steps) > 1}
        order |= {f"preprocess.branches.{name} order": " ".join(steps) for name, steps in several.items()}
        unused = [] if {"high_cardinality", "text"} & {*self.kinds} else ["max_levels"]
        unused += ["output"] if self.output == "default" else []
        return {**self.parts(*unused), **order, **_merged(orders(at, found.options) for at, found in self.components())}

    def cache_parts(self) -> Mapping[str, str]:
        """Add the code of the transformers, and of what their options name."""
        named = [name for _, found in self.components() for name in (found.target, *code_of(found.options))]
        return {**self.ordered(), **code_fingerprints(*named)}

    def components(self) -> Iterator[tuple[str, Component]]:
        """Yield every transformer with its path in the configuration."""
        for name, step in self.steps.items():
            yield f"preprocess.steps.{name}", step
        for branch_name, branch in self.branches.items():
            for name, step in branch.steps.items():
                yield f"preprocess.branches.{branch_name}.steps.{name}", step


class EarlyStoppingSpec(Section):
    """When boosting stops: after ``rounds`` trees without a better score on a ``share`` of each fit's rows; None: never."""

    rounds: StrictInt | None = Field(default=None, ge=1)
    share: StrictFloat = Field(default=0.1, gt=0, lt=1)


class ModelSpec(Section):
    """An estimator's dotted path, its parameters, and the grid of parameters to search; all names are bare.

    ``calibrate`` is how its probabilities are calibrated; several methods are searched.
    """

    section = "model"

    estimator: DottedPath
    params: Mapping[StrictStr, Any] = {}
    param_grid: Mapping[StrictStr, Values] = {}
    early_stopping: EarlyStoppingSpec = EarlyStoppingSpec()
    calibrate: Methods = (UNCALIBRATED,)

    @field_validator("calibrate")
    @classmethod
    def _different(cls, methods: tuple[str, ...]) -> tuple[str, ...]:
        if twice := [method for method in methods if methods.count(method) > 1]:
            raise ValueError(f"'{twice[0]}' stands twice")
        if not methods:
            raise ValueError("should name a method, or none")
        return methods

    @property
    def calibrates(self) -> bool:
        """Whether a candidate's probabilities are calibrated."""
        return self.calibrate != (UNCALIBRATED,)

    def ordered(self) -> dict[str, str]:
        """Add the order of estimators inside of the estimator; leave out how it would stop early, and calibration, without them."""
        unused = [] if self.early_stopping.rounds else ["early_stopping"]
        unused += [] if self.calibrates else ["calibrate"]
        return {
            **self.parts(*unused),
            **orders("model.params", self.params),
            **orders("model.param_grid", self.param_grid),
        }

    def cache_parts(self) -> Mapping[str, str]:
        """Add the code of the estimator, and of what its parameters name."""
        return {
            **self.ordered(),
            **code_fingerprints(self.estimator, *code_of(self.params, self.param_grid)),
        }


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {name: text for each in parts for name, text in each.items()}
