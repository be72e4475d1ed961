"""Validate a composed configuration before data is read: report every mistake, the cheapest checks first.

Problems are yielded as they are found, so that one that needs no estimator is shown before the estimator is imported.
Checks of an estimator that passed are remembered under ``state_dir``: the next run need not import it to know.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.azure.auth import half_principal
from orchestrator.azure.data import WorkspaceData
from orchestrator.caching.cache import Cache
from orchestrator.config import (
    azure_checks,
    batch_checks,
    data_file_checks,
    estimator_checks,
    gate_checks,
    own_code_checks,
    state_folder_checks,
    training_checks,
)
from orchestrator.config.composed import Composed
from orchestrator.config.placeholders import ReportedPaths, parse_with_placeholders
from orchestrator.config.task_choice import choose_task
from orchestrator.deploy.rollout import serves
from orchestrator.deploy.target import Target
from orchestrator.errors import Problem, SpecError
from orchestrator.locations.workspace_files import found_by
from orchestrator.packaging.project_path import make_project_importable
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.by_task import is_by_task, resolve
from orchestrator.spec.components import component_problems, locate
from orchestrator.spec.run_spec import RunSpec
from orchestrator.spec.section import Component
from orchestrator.tracking.tracker import SupportsStoreCheck, Tracker


class Stage:
    """What a stage with options of its own must be: callable."""

    def __call__(self) -> None:
        """Run it; its annotations declare what it takes and gives."""


@dataclass(frozen=True)
class ValidConfig:
    """A spec without mistakes, and the ``located`` classes and functions it names, by place (``stages.load``).

    ``task`` is what a training predicts, and why, in one line; ``counts`` are the rows of each class, or of the table, if
    the target was read.
    """

    spec: RunSpec
    located: Mapping[str, Any]
    composed: Composed
    task: str = ""
    counts: tuple[int, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether a stage of this run deals with a service."""
        return any(serves(located) for place, located in self.located.items() if place.startswith("stages."))

    @property
    def uses_azure(self) -> bool:
        """Whether this run asks Azure itself for something; the emulator has credentials of its own."""
        return _uses_azure(self.spec, serves=self.serves)


def validate(composed: Composed, report: Callable[[Problem], object] = lambda _: None) -> ValidConfig:
    """Return the spec of a configuration in which there is no mistake; ``report`` gets each one as soon as it is found.

    Raises:
        SpecError: every mistake.
    """
    make_project_importable()
    checks = Validation(composed)
    problems = []
    for problem in checks.problems():
        problems.append(problem)
        report(problem)
    if problems or checks.spec is None:
        raise SpecError(problems)
    return ValidConfig(checks.spec, checks.located, composed, checks.task, checks.counts)


class Validation:
    """One validation: the spec, parsed once, and the classes and functions it names, located once."""

    def __init__(self, composed: Composed) -> None:
        self.spec: RunSpec | None = None
        self.task = ""
        self.counts: tuple[int, ...] = ()
        self.located: dict[str, Any] = {}
        self._composed = composed
        self._not_located: dict[str, Sequence[Problem]] = {}

    def problems(self) -> Iterator[Problem]:
        """Yield every mistake, those that need no estimator first."""
        sources, composing = self._composed.sources, self._composed.problems
        spec, replaced, parsing = parse_with_placeholders(self._composed.values)
        reported = ReportedPaths(sources)
        left_out = {problem.at for problem in composing}  # so these look as if they were missing
        yield from reported.add([*composing, *(problem for problem in parsing if problem.at not in left_out)])
        self.spec = spec
        if spec is None:
            return
        with found_by(WorkspaceData(spec.azure)):
            yield from self._of_spec(spec, replaced, reported)

    def _of_spec(self, spec: RunSpec, replaced: frozenset[str], reported: ReportedPaths) -> Iterator[Problem]:
        """Yield what is wrong with values that are of the right form."""
        yield from reported.filter(self._environment(spec))
        if spec.batch is not None and "batch" not in replaced:
            yield from reported.filter(_batch(spec.batch, spec.stages))
        if "train" not in spec.stages:
            return
        of_the_file = ("data", "data.path", "data.format", "data.separator", "data.encoding")
        if "search" not in replaced and spec.search.backend:
            yield from reported.filter(_backend("search.backend", spec.search.backend))
        remember = not spec.dry_run and not reported.any_of("state_dir", "dry_run")
        cache = Cache(spec.state_dir / "cache")
        if "data" not in replaced and not reported.any_of(*of_the_file):
            named = (spec.package.unseen_columns, () if "report" in replaced else spec.report.slices)
            in_file = data_file_checks.problems(spec.data, spec.preprocess, *named)
            yield from (wrong_data := list(reported.filter(in_file)))
            if not (wrong_data or reported.any_of("data.target", "data.task")):
                spec, replaced, wrong_data = self._with_task(spec, replaced, cache, remember=remember)
                yield from reported.filter(wrong_data)
        if not replaced & {"model", "preprocess", "search"}:
            wrong = set()
            known = self.task or not is_by_task(dict(self._composed.values.get("model", {})).get("estimator"))
            found = training_checks.problems(spec, cache, remember=remember) if known else self._of_any_task(spec)
            for problem in reported.filter(found):
                wrong.add(problem.at)
                yield problem
            skipped = {*replaced, *([] if known else ["gate"])}
            yield from reported.filter(_after_training(spec, wrong, skipped))

    def _of_any_task(self, spec: RunSpec) -> Iterator[Problem]:
        """Yield the problems that an estimator has for classes and for a number: the table does not show the task."""
        other = parse_with_placeholders(resolve(self._composed.values, "regression").values).spec or spec
        places = {each.at for each in estimator_checks.problems(other.model, other.preprocess, other.search)}
        for problem in estimator_checks.problems(spec.model, spec.preprocess, spec.search):
            if problem.at in places:
                yield problem

    def _with_task(
        self, spec: RunSpec, replaced: frozenset[str], cache: Cache, *, remember: bool
    ) -> tuple[RunSpec, frozenset[str], list[Problem]]:
        """Return the spec with the task that the table shows, and the values of that task."""
        values = self._composed.values
        try:
            choice = choose_task(spec.data, values, cache, remember=remember)
        except SpecError as error:
            return spec, replaced, list(error.problems)
        self.task, self.counts = choice.line, choice.counts
        if spec.data.task == choice.task:
            return spec, replaced, []
        data = {**values["data"], "task": choice.task}
        parsed = parse_with_placeholders(resolve({**values, "data": data}).values)
        self.spec = parsed.spec or spec
        self.spec.data.use_files_of(spec.data)
        return self.spec, parsed.replaced, []

    def _environment(self, spec: RunSpec) -> Iterator[Problem]:
        """Yield problems of the state folder, of the tracker, the target and their options, and of the stages."""
        yield from state_folder_checks.problems(spec.state_dir)
        stages = {f"stages.{name}": stage for name, stage in spec.stages.items() if stage is not None}
        self._locate({"tracking": spec.tracking, "deploy": spec.deploy, **stages})
        served = any(place in self._not_located or serves(self.located[place]) for place in stages)
        yield from self._component("tracking", spec.tracking, Tracker)
        yield from self._store(spec)
        yield from (problem for problem in self._target(spec) if served or problem.at != "deploy.service_name")
        if _uses_azure(spec, serves=served):
            if spec.azure.auth in {"auto", "service_principal"}:
                yield from (Problem("azure.auth", half) for half in [half_principal(os.environ)] if half)
            yield from azure_checks.problems(spec.azure, self._composed.sources)
        for place, stage in stages.items():
            if isinstance(stage, Component):
                yield from self._component(place, stage, Stage)
            elif place in self._not_located:
                yield from self._not_located[place]
            elif not inspect.isfunction(self.located[place]):
                yield Problem(place, f"should name a function, got '{stage}'")
        if spec.package.version != "auto" and "train" in spec.stages:
            yield Problem(
                "package.version", "this run trains a version of its own; write stages=deploy or stages=batch"
            )

    def _locate(self, named: Mapping[str, str | Component]) -> None:
        for place, value in named.items():
            path, at = (value.target, f"{place}._target_") if isinstance(value, Component) else (value, place)
            try:
                self.located[place] = locate(path, at)
            except SpecError as error:
                self._not_located[place] = error.problems

    def _component(self, place: str, component: Component, kind: type) -> Iterable[Problem]:
        if place in self._not_located:
            return self._not_located[place]
        return component_problems(self.located[place], component.options, place, kind)

    def _store(self, spec: RunSpec) -> Iterable[Problem]:
        """Return what the tracker cannot write of a training, such as names that its store refuses."""
        tracker = self.located.get("tracking")
        writes = "train" in spec.stages and isinstance(tracker, type) and issubclass(tracker, SupportsStoreCheck)
        return tracker.problems(spec) if writes and tracker is not None else ()

    def _target(self, spec: RunSpec) -> Iterator[Problem]:
        """Yield problems of the target's options one by one, then of those that contradict each other or a stage."""
        found = list(self._component("deploy", spec.deploy, Target))
        yield from found
        wrong = {problem.at for problem in found}
        rules = getattr(self.located.get("deploy"), "option_problems", None)
        if rules is not None and "deploy._target_" not in wrong:
            stages = [name for name, stage in spec.stages.items() if stage is not None]
            problems = (Problem(f"deploy.{key}", text) for key, text in rules(spec.deploy.options, stages))
            yield from (problem for problem in problems if problem.at not in wrong)


def _after_training(spec: RunSpec, wrong: Container[str], skipped: Container[str]) -> Iterator[Problem]:
    """Yield what is wrong with the gate's limits, and code that cannot ship; ``wrong`` places are reported already."""
    if "gate" not in skipped:
        yield from gate_checks.problems(spec.gate, spec.search)
    if "package" not in skipped:
        yield from own_code_checks.problems(spec, wrong)


def _uses_azure(spec: RunSpec, *, serves: bool) -> bool:
    used = [spec.tracking, *([spec.deploy] if serves else [])]
    connects = any("connection" in component.options for component in used) or spec.uses_workspace_files
    return spec.azure.emulator is None and connects


def _batch(batch: BatchSpec, stages: Iterable[str]) -> Iterator[Problem]:
    """Yield what is wrong with the input and the output, and what is not installed."""
    if "batch" not in stages:
        yield Problem("batch", "none of the stages scores a table; write stages=batch")
    yield from batch_checks.problems(batch)
    if batch.backend != "local":
        yield from _backend("batch.backend", batch.backend)


def _backend(at: str, backend: str) -> Iterator[Problem]:
    """Yield what is not installed, which is looked at each time: checks that passed do not remember it."""
    from orchestrator.search.backend import needs  # imports joblib

    if needed := needs(backend):
        yield Problem(at, needed)
