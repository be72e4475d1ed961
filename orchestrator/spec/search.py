"""SearchSpec: how candidates are compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    StrictInt,
    StrictStr,
    Tag,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from orchestrator.spec.components import is_dotted
from orchestrator.spec.field_types import DottedPath, Name
from orchestrator.spec.messages import suggest_or_list
from orchestrator.spec.objects import code_of
from orchestrator.spec.section import Component, Section, code_fingerprints
from orchestrator.spec.workers import check_cluster, some_jobs

_PLACE = ("n_jobs", "backend", "scheduler", "pre_dispatch", "verbose")  # where, in how many processes and how verbosely
Folds = Annotated[
    Annotated[StrictInt, Field(ge=2), Tag("[number]")] | Annotated[Component, Tag("[class]")],
    Discriminator(lambda value: "[class]" if isinstance(value, Mapping | Component) else "[number]"),
]


class SearchSpec(Section):
    """How candidates are compared; ``target`` is a search estimator such as scikit-learn's GridSearchCV.

    Every other key is an option of that class.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True)

    section = "search"

    target: DottedPath = Field(alias="_target_")
    cv: Folds  # how many, made by the rule of data.split; or a splitter such as scikit-learn's RepeatedStratifiedKFold
    scoring: Annotated[
        tuple[StrictStr, ...],
        WithJsonSchema({"type": ["array", "string"], "items": {"type": "string"}, "minItems": 1}),
    ] = Field(min_length=1)
    refit: StrictStr
    n_jobs: StrictInt | None = None
    backend: Literal["loky", "threading", "dask", "ray"] | None = None  # joblib's
    scheduler: StrictStr | None = None  # the address of a running cluster
    scorers: Mapping[Name, Component] = {}  # calls of sklearn.metrics.make_scorer, by the names that `scoring` takes
    on_error: Literal["stop", "skip"] = "stop"  # what a failed candidate does to the search
    fit_on: Literal["training", "all"] = "training"  # the rows that the shipped pipeline is fitted on

    @property
    def options(self) -> Mapping[str, Any]:
        """The options of this search estimator, such as how many candidates are sampled."""
        return self.model_extra or {}

    def candidates(self, grid: int) -> int:
        """Return how many of a grid's candidates are evaluated."""
        drawn = self.options.get("n_iter")
        return min(grid, drawn) if isinstance(drawn, int) else grid

    def ordered(self) -> dict[str, str]:
        """Leave out where, in how many processes and how verbosely it runs, and the default of ``fit_on``."""
        return self.parts(*_PLACE, *(["fit_on"] if self.fit_on == "training" else []))

    def cache_parts(self) -> Mapping[str, str]:
        """Add the code of the search, of its splitter, of the project's own scorers, and of the metrics of ``scorers``.

        ``fit_on`` is left out: it decides nothing of the search. The stages that it decides take it as :class:`FitOn`.
        """
        metrics = code_of(*(scorer.options for scorer in self.scorers.values()))
        splitter = [self.cv.target] if isinstance(self.cv, Component) else []
        named = (self.target, *splitter, *filter(is_dotted, self.scoring), *metrics)
        return {**self.parts(*_PLACE, "fit_on"), **code_fingerprints(*named)}

    @field_validator("scoring", mode="before")
    @classmethod
    def _one_is_a_list(cls, scoring: Any) -> Any:
        return (scoring,) if isinstance(scoring, str) else scoring

    @field_validator("n_jobs")
    @classmethod
    def _some_jobs(cls, n_jobs: int | None) -> int | None:
        return some_jobs(n_jobs)

    @model_validator(mode="after")
    def _a_cluster_has_a_backend(self) -> SearchSpec:
        check_cluster(self.section, self.backend, self.scheduler, self.n_jobs)
        return self

    @model_validator(mode="after")
    def _refit_is_scored(self) -> SearchSpec:
        if self.refit not in self.scoring:
            raise ValueError(
                f"refit: {self.refit!r} is not one of search.scoring{suggest_or_list(self.refit, self.scoring)}"
            )
        return self
