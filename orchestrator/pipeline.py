"""From a configuration to a run: bind the spec, the stages, the target and the tracker; plan; run.

The only module that knows all others::

    from orchestrator.config.compose import compose
    from orchestrator.pipeline import execute
    products = execute(compose("model=logistic_regression", "deploy=none"))
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from orchestrator import privacy
from orchestrator.artifacts import PackageProvenance, Report
from orchestrator.azure import auth
from orchestrator.caching.cache import Cache, digest
from orchestrator.config import validate
from orchestrator.deploy.image_builder import ImageCheck
from orchestrator.deploy.none import NoTarget
from orchestrator.deploy.rollout import Rollout, serves
from orchestrator.deploy.target import SupportsPreflight, Target, valid_service_name
from orchestrator.emulation import emulated_azure
from orchestrator.engine import runner
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
from orchestrator.reporting.provenance import RunProvenance
from orchestrator.reporting.rebuild_command import rebuild_command
from orchestrator.spec.components import build, locate
from orchestrator.spec.run_spec import (
    ROOT,
    AzureSpec,
    BatchSpec,
    Component,
    DataSpec,
    ModelSpec,
    PackageSpec,
    PreprocessSpec,
    RunSpec,
    SearchSpec,
    Seed,
    StateDir,
)
from orchestrator.tracking.mlflow.limits import parameters
from orchestrator.tracking.tracker import SupportsStoreCheck, Tracker
from orchestrator.warning_filters import FILTERS


@dataclass(frozen=True)
class Run:
    """A run that is bound and planned and has not started."""

    spec: RunSpec
    steps: tuple[runner.Step, ...]
    given: Mapping[Any, Any]
    tracker: Tracker
    cache: Cache
    notes: Sequence[str] = ()

    def start(self, observers: Sequence[Observer] = ()) -> runner.Artifacts:
        """Run it. The tracker observes too, last: what people see does not wait for it."""

        def tell(event: Event) -> None:
            for observer in observers:  # not the tracker: it may be what tells
                observer(event)

        privacy.keep_caches(self.spec.state_dir / "cache")
        with ExitStack() as stack:
            try:
                for note in self.notes:
                    tell(StepNote(note))
                self._make_ready(Progress(tell))
                stack.enter_context(emulated_azure(_azure(self.spec), ends="remove" in self.spec.stages))
                if self._records and isinstance(self.tracker, SupportsStoreCheck):
                    self.tracker.check(parameters(self.spec))
            except OrchestratorError as error:
                tell(RunFinished(0.0, error))
                raise
            rollout = stack.enter_context(self.given[Rollout])
            artifacts = runner.run(self.steps, self.given, [*observers, self.tracker], self.cache)
        if later := rollout.superseded():
            tell(StepNote(later))
        return artifacts

    @property
    def _records(self) -> bool:
        """Whether this run writes a training down."""
        return any(step.gives is Report or {Report, Tracker} <= set(step.takes.values()) for step in self.steps)

    def _make_ready(self, progress: Progress) -> None:
        for one in (self.given[Target], self.tracker):
            if isinstance(one, HasOptionalDependencies):
                one.check_installed()
            if isinstance(one, ReportsProgress):
                one.report_to(progress)
        if validate.meets_azure(self.spec):
            try:
                auth.check(self.spec.azure.auth)
            except auth.NoWayInError as error:  # said now, and not after the training
                raise DeployError(str(error)) from error
        target = self.given[Target]
        if isinstance(target, SupportsPreflight) and any(Rollout in step.takes.values() for step in self.steps):
            target.preflight()

    def preview(self) -> tuple[runner.StepDecision, ...]:
        """What would run and what is cached, changing nothing."""
        return runner.prepare(self.steps, self.given, self.cache)


def bind(spec: RunSpec, config: Mapping[str, Any]) -> Run:
    """Make the target and the tracker of a checked spec and plan its stages; ``config`` is what it was parsed from.

    Raises:
        SpecError: the target or the tracker cannot be made.
        PlanError: the stages do not fit together.
    """
    privacy.disable_telemetry()  # before a stage, a target or a tracker imports a library that has some
    tracker: Any = build(spec.tracking.target, spec.tracking.options, "tracking", Tracker)
    given: dict[Any, Any] = {
        DataSpec: spec.data,
        PreprocessSpec: spec.preprocess,
        ModelSpec: spec.model,
        SearchSpec: spec.search,
        PackageSpec: spec.package,
        Seed: Seed(spec.seed),
        StateDir: StateDir(spec.state_dir),
        Target: NoTarget(),
        ImageCheck: ImageCheck(NoTarget()),
        Rollout: Rollout(NoTarget(), _rollout_file(spec)),
        Tracker: tracker,
        RunProvenance: _provenance(spec, config),
    }
    if spec.batch is not None:
        given[BatchSpec] = spec.batch
    stages = {name: _stage(name, stage) for name, stage in spec.stages.items() if stage is not None}
    steps = runner.plan(stages, given)
    served = any(serves(step.stage) for step in steps)
    if any(kind in (Target, Rollout, ImageCheck) for step in steps for kind in step.takes.values()):
        options = dict(spec.deploy.options)
        if not served and "service_name" in options:  # the checks refuse a wrong one only where something is served
            options["service_name"] = valid_service_name(str(options["service_name"]))
        given[Target] = build(spec.deploy.target, options, "deploy", Target)
        given[ImageCheck] = ImageCheck(given[Target])
        given[Rollout] = Rollout(given[Target], _rollout_file(spec))
    notes = getattr(config, "notes", ()) if served else ()
    return Run(spec, steps, given, tracker, Cache(spec.state_dir / "cache", spec.name), notes)


def _rollout_file(spec: RunSpec) -> Path:
    """One for each service; of a target that has no name, its options decide."""
    name = spec.deploy.options.get("service_name") or digest(
        {key: repr(value) for key, value in (("", spec.deploy.target), *spec.deploy.options.items())}
    )
    return spec.state_dir / "services" / f"{name}.rollout.json"


def _provenance(spec: RunSpec, config: Mapping[str, Any]) -> RunProvenance:
    """What is known before anything runs; a configuration that nobody composed has no command."""
    text, overrides = getattr(config, "text", ""), getattr(config, "overrides", None)
    rebuild = "" if overrides is None else rebuild_command(overrides)
    origin = PackageProvenance(data=spec.data.path.name, spec_hash=spec.digest, rebuild=rebuild)
    return RunProvenance(ROOT, text or yaml.safe_dump(dict(config)), origin, getattr(config, "sweep", ""))


def _azure(spec: RunSpec) -> AzureSpec:
    """The workspace, if this run meets one."""
    options = (*spec.tracking.options, *spec.deploy.options)
    return spec.azure if "connection" in options else AzureSpec()


def _stage(name: str, stage: str | Component) -> Callable[..., Any]:
    if isinstance(stage, str):
        found: Callable[..., Any] = locate(stage, f"stages.{name}")
        return found
    built: Callable[..., Any] = build(stage.target, stage.options, f"stages.{name}", validate.Stage)
    return built


def execute(config: Mapping[str, Any], observers: Sequence[Observer] = ()) -> runner.Artifacts:
    """Run a configuration and give what its stages made, by type: ``execute(...)[Trained].pipeline``.

    Raises:
        OrchestratorError: telling what is wrong and how to mend it.
    """
    with FILTERS.kept():
        return bind(validate.check(config), config).start(observers)
