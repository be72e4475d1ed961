"""From a valid configuration to a run: bind the stages, the target and the tracker; plan; run.

The only module that knows all others::

    from orchestrator import compose, execute
    artifacts = execute(compose("model=logistic_regression", "deploy=none"))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator import privacy
from orchestrator.artifacts import Dataset, PackageProvenance, Report, Search, Split
from orchestrator.azure import auth
from orchestrator.azure.data import WorkspaceData
from orchestrator.bundled import INSTALLED, ROOT
from orchestrator.caching.cache import Cache, digest
from orchestrator.config.composed import Composed
from orchestrator.config.memory_note import memory_note, process_count
from orchestrator.config.validate import ValidConfig, validate
from orchestrator.deploy.image_builder import ImageCheck
from orchestrator.deploy.none import NoTarget
from orchestrator.deploy.rollout import Rollout
from orchestrator.deploy.target import SupportsPreflight, Target, valid_service_name
from orchestrator.emulation import emulated_azure, emulated_tables
from orchestrator.engine import planner, runner
from orchestrator.errors import DeployError, OrchestratorError
from orchestrator.events import (
    Event,
    HasOptionalDependencies,
    Observer,
    Progress,
    ReportsProgress,
    RunFinished,
    StepNote,
)
from orchestrator.locations.workspace_files import found_by
from orchestrator.reporting.plan_notes import SearchTimes, difference_note, fit_count
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.reporting.rebuild_command import rebuild_command
from orchestrator.spec.azure import AzureSpec
from orchestrator.spec.batch import BatchSpec
from orchestrator.spec.components import construct
from orchestrator.spec.data import DataSpec
from orchestrator.spec.evaluate import EvaluateSpec
from orchestrator.spec.field_types import CheckLevel, FitOn, Seed, Serves, StateDir
from orchestrator.spec.gate import GateSpec
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.named_code import NamedCode
from orchestrator.spec.package import PackageSpec
from orchestrator.spec.report import ReportSpec
from orchestrator.spec.run_spec import RunSpec
from orchestrator.spec.search import SearchSpec
from orchestrator.spec.section import Component
from orchestrator.stages.fitting import time_fit
from orchestrator.tracking.mlflow.limits import known_parameters
from orchestrator.tracking.tracker import SupportsStoreCheck, Tracker
from orchestrator.warning_filters import FILTERS


@dataclass(frozen=True)
class Run:
    """A run that is bound and planned and has not started."""

    config: ValidConfig
    steps: tuple[planner.Step, ...]
    given: Mapping[Any, Any]
    tracker: Tracker
    cache: Cache

    @property
    def spec(self) -> RunSpec:
        """What is run."""
        return self.config.spec

    def start(self, observers: Sequence[Observer] = ()) -> runner.Artifacts:
        """Run the stages. The tracker observes too, last: the console does not wait for it."""

        def send(event: Event) -> None:
            for observer in observers:  # not the tracker: it may be the sender
                observer(event)

        privacy.keep_caches(self.spec.state_dir / "cache")
        with ExitStack() as stack:
            try:
                for note in self._notes():
                    send(StepNote(note))
                self.check_requirements(Progress(send))
                stack.enter_context(emulated_azure(self._azure(), ends="remove" in self.spec.stages))
                stack.enter_context(found_by(WorkspaceData(self.spec.azure)))
                if self._records and isinstance(self.tracker, SupportsStoreCheck):
                    self.tracker.check_before_run(known_parameters(self.spec))
            except OrchestratorError as error:
                send(RunFinished(0.0, error))
                raise
            rollout = stack.enter_context(self.given[Rollout])
            times = SearchTimes(self.spec, self._search_notes, send)
            artifacts = runner.run(self.steps, self.given, [*observers, times, self.tracker], self.cache)
        if later := rollout.superseded():
            send(StepNote(later))
        return artifacts

    def preview(self) -> tuple[runner.StepDecision, ...]:
        """Return what would run and what is cached, changing nothing."""
        return runner.decide(self.steps, self.given, self.cache)

    def _notes(self) -> Iterator[str]:
        """Yield what is said before the first stage."""
        if self.config.task:
            yield f"task: {self.config.task}"
        if "train" in self.spec.stages and (memory := memory_note(self.spec)):
            yield f"memory: {memory}"
        yield from self.config.composed.notes if self.config.serves else ()

    def _search_notes(self) -> Iterator[str]:
        """Yield what is said before a search."""
        for label, text in self.search_notes().items():
            yield f"{label}: {text}"

    def search_notes(self, *, fits: bool = False) -> Mapping[str, str]:
        """Return what the hold-out rows can show, and how long the search will take, as far as these can be foreseen.

        ``fits``: that is measured by one fit where no earlier search shows it.
        """
        notes = {"shows": difference_note(self.spec, self.config.counts), "takes": SearchTimes(self.spec).note()}
        if fits and not notes["takes"]:
            notes["takes"] = self._time_fit()
        return {label: text for label, text in notes.items() if text}

    def _time_fit(self) -> str:
        """Return how long the search takes at most, from one fit; "" where none is made."""
        own = any(
            step.gives in (Search, Dataset, Split) and not step.stage.__module__.startswith("orchestrator.")
            for step in self.steps
        )

        def make(data: DataSpec) -> runner.Artifacts:
            return runner.Artifacts(self.steps, {**self.given, DataSpec: data}, (), None)

        timed = None if own else time_fit(self.spec, make)
        return timed.note(fit_count(self.spec), process_count(self.spec)) if timed else ""

    @property
    def _records(self) -> bool:
        """Whether this run records a training."""
        return any(step.gives is Report or {Report, Tracker} <= set(step.takes.values()) for step in self.steps)

    def check_requirements(self, progress: Progress) -> None:
        """Check before the first stage what the target and the tracker need, and connect their progress.

        Raises:
            OrchestratorError: something is not installed, not free, or not there.
        """
        for one in (self.given[Target], self.tracker):
            if isinstance(one, HasOptionalDependencies):
                one.check_installed()
            if isinstance(one, ReportsProgress):
                one.report_to(progress)
        if self.config.uses_azure:
            try:
                auth.check(self.spec.azure.auth)
            except auth.NoCredentialError as error:  # before the training, not after it
                raise DeployError(str(error)) from error
        target = self.given[Target]
        if isinstance(target, SupportsPreflight) and any(Rollout in step.takes.values() for step in self.steps):
            target.preflight()

    def _azure(self) -> AzureSpec:
        """Return the workspace, if this run uses one."""
        options = (*self.spec.tracking.options, *self.spec.deploy.options)
        return self.spec.azure if "connection" in options or self.spec.uses_workspace_files else AzureSpec()


def bind(config: ValidConfig) -> Run:
    """Make the target, the tracker and the stages of a valid configuration and plan the run.

    Raises:
        SpecError: the target or the tracker cannot be made.
        PlanError: the stages do not fit together.
    """
    spec, located = config.spec, config.located
    tracker: Any = construct(located["tracking"], spec.tracking.options, "tracking")
    given: dict[Any, Any] = {
        DataSpec: spec.data,
        CheckLevel: CheckLevel(spec.data.checks),
        PreprocessSpec: spec.preprocess,
        ModelSpec: spec.model,
        SearchSpec: spec.search,
        EvaluateSpec: spec.evaluate,
        PackageSpec: spec.package,
        ReportSpec: spec.report,
        GateSpec: spec.gate,
        Serves: Serves(config.serves),
        NamedCode: NamedCode(spec.package.code or ()),
        FitOn: FitOn(spec.search.fit_on),
        Seed: Seed(spec.seed),
        StateDir: StateDir(spec.state_dir),
        Target: NoTarget(),
        ImageCheck: ImageCheck(NoTarget()),
        Rollout: Rollout(NoTarget(), _rollout_file(spec)),
        Tracker: tracker,
        RunProvenance: _provenance(config),
    }
    if spec.batch is not None:
        given[BatchSpec] = spec.batch
    stages = {
        name: construct(located[f"stages.{name}"], stage.options, f"stages.{name}")
        if isinstance(stage, Component)
        else located[f"stages.{name}"]
        for name, stage in spec.stages.items()
        if stage is not None
    }
    steps = planner.plan(stages, given)
    if any(kind in (Target, Rollout, ImageCheck) for step in steps for kind in step.takes.values()):
        options = dict(spec.deploy.options)
        if not config.serves and "service_name" in options:  # only a run that serves refuses a wrong one
            options["service_name"] = valid_service_name(str(options["service_name"]))
        given[Target] = construct(located["deploy"], options, "deploy")
        given[ImageCheck] = ImageCheck(given[Target])
        given[Rollout] = Rollout(given[Target], _rollout_file(spec))
    return Run(config, steps, given, tracker, Cache(spec.state_dir / "cache", spec.name))


def _rollout_file(spec: RunSpec) -> Path:
    """Return one file for each service; for a target without a name, its options decide."""
    name = spec.deploy.options.get("service_name") or digest(
        {key: repr(value) for key, value in (("", spec.deploy.target), *spec.deploy.options.items())}
    )
    return spec.state_dir / "services" / f"{name}.rollout.json"


def _provenance(config: ValidConfig) -> RunProvenance:
    """Return what is known before anything runs; a configuration that was not composed has no command."""
    spec, composed = config.spec, config.composed
    rebuild = "" if composed.overrides is None else rebuild_command(composed.overrides)
    origin = PackageProvenance(data=spec.data.path.name, spec_hash=spec.digest, rebuild=rebuild)
    text = composed.text or yaml.safe_dump(dict(composed.values))
    return RunProvenance(_checkout(), text, origin, composed.sweep, spec.sweep.deploy_best)


def _checkout() -> Path:
    """Return the project where that lies in a git checkout, else the clone of this tool if there is one."""
    project = Path.cwd()
    versioned = any((folder / ".git").exists() for folder in (project, *project.parents))
    return project if versioned or INSTALLED else ROOT


def execute(config: Composed | Mapping[str, Any], observers: Sequence[Observer] = ()) -> runner.Artifacts:
    """Run a configuration and return what its stages made, by type: ``execute(...)[Trained].pipeline``.

    Raises:
        OrchestratorError: what is wrong and how to fix it.
    """
    privacy.disable_telemetry()  # first: validation may import a user's class, which may import anything
    composed = config if isinstance(config, Composed) else Composed(config)
    with FILTERS.restored():
        with emulated_tables(composed.values):
            valid = validate(composed)
        return bind(valid).start(observers)
