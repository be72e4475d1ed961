"""``sweep.deploy_best=true``: the jobs of a sweep only train, and the run of the best one goes on to its end.

Its training comes from the cache, so the same command after a kill trains what is missing and deploys once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig

from orchestrator.bundled import CONF
from orchestrator.cli.sweep_choice import choose, within_one_error
from orchestrator.cli.sweep_jobs import SweepJob
from orchestrator.config.arguments import DEFAULT_NAME
from orchestrator.config.composed import Composed
from orchestrator.errors import OrchestratorError, SpecError
from orchestrator.events import Progress

NOWHERE = "deploy=none"
FOLDER = "best"  # in the sweep's folder, beside those of the jobs
# Keys that decide which rows are held out or which folds a score is of: jobs that differ in them cannot be compared. Of jobs
# that differ in `evaluate` the cross-validated scores are the same.
ROWS = ("seed", "data", "search.cv", "search.refit", "search.scoring", "evaluate")


@dataclass(frozen=True)
class Sweep:
    """What the jobs of a sweep share.

    Attributes:
        searched: Overrides of Hydra's: where configurations are searched.
        config_name: The primary config.
        rule: How the best job is chosen, ``one_standard_error`` or ``best``; "" if none is deployed.
    """

    searched: Sequence[str] = ()
    config_name: str = DEFAULT_NAME
    rule: str = ""

    def compose(self, overrides: Sequence[str]) -> Composed:
        """Compose the configuration of a job once more."""
        from orchestrator.config.compose import compose

        return compose(*self.searched, *overrides, config_name=self.config_name)


current: list[Sweep] = []  # the sweep of this process
undeployed: list[bool] = []  # whether the command added deploy=none


def prepare(config: DictConfig) -> Sweep:
    """Return what the jobs of a sweep share; if the best one is to be deployed, check that it can be, before any job runs.

    Raises:
        SystemExit: what is wrong was written to standard error, or is the exit's text.
    """
    dirs = [source.path for source in config.hydra.runtime.config_sources if source.provider == "command-line"]
    searched = [each for each in config.hydra.overrides.hydra if each.startswith("hydra.searchpath=")]
    sweep = Sweep(searched or [f"hydra.searchpath=[file://{path}]" for path in dirs], str(config.hydra.job.config_name))
    if not is_wanted(config):
        if any(undeployed):
            sys.stdout.write("A sweep deploys nothing unless you say so (deploy=local, or sweep.deploy_best=true).\n")
        return sweep
    typed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
    swept = [override.key_or_group for override in typed if override.is_sweep_override()]
    if wrong := sorted(key for key in swept if key in ROWS or key.startswith(tuple(f"{name}." for name in ROWS))):
        raise SystemExit(
            f"sweep.deploy_best: the jobs differ in {', '.join(wrong)}, so their scores are of other rows, folds or metrics, or "
            "do not show the difference, and cannot be compared; sweep the model, the preprocessing or their parameters"
        )
    if NOWHERE in config.hydra.overrides.task and not any(undeployed):
        raise SystemExit("sweep.deploy_best: deploy=none deploys nothing; name a target, such as deploy=local")
    _check(sweep, to_deploy([str(override.input_line) for override in typed if not override.is_sweep_override()]))
    return replace(sweep, rule=str(config.sweep.get("choose")))


def _check(sweep: Sweep, overrides: Sequence[str]) -> None:
    """Validate the run that deploys, as far as it does not depend on the jobs: not after all of them have trained."""
    from orchestrator.cli.main import report, validate_or_report
    from orchestrator.pipeline import bind

    try:
        valid = validate_or_report(sweep.compose(overrides))
    except SpecError as error:
        report(error.problems)
        valid = None
    if valid is None:
        raise SystemExit(1)
    if not valid.serves:
        raise SystemExit("sweep.deploy_best: no stage of this run deploys; leave out the override of stages")
    if not valid.spec.dry_run:
        try:
            bind(valid).check_requirements(Progress())
        except OrchestratorError as error:  # such as a port that is taken
            raise SystemExit(f"sweep.deploy_best: {error}") from error


def to_deploy(overrides: Sequence[str]) -> list[str]:
    """Return the overrides of the run that deploys a job, from the job's."""
    return [each for each in overrides if each not in {NOWHERE, "search=optuna"}]


def is_wanted(values: Mapping[str, Any]) -> bool:
    """Return whether the best job of a sweep of this configuration is to be deployed."""
    return (values.get("sweep") or {}).get("deploy_best") is True


def only_training(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the configuration of a job: with the stages of stages=train, replaced where they were replaced.

    Without ``sweep.deploy_best`` it is returned as it is.
    """
    if not is_wanted(values):
        return values
    known, typed = yaml.safe_load((CONF / "stages" / "train.yaml").read_text()), values.get("stages") or {}
    return {**values, "stages": {name: typed.get(name, stage) for name, stage in known.items()}}


def choose_job(jobs: Sequence[SweepJob], rule: str) -> SweepJob:
    """Return the job that is deployed.

    Raises:
        OrchestratorError: no job has a score, or their scores cannot be compared.
    """
    if len({(job.metric, job.folds, job.rows) for job in jobs if job.scored}) > 1:
        raise OrchestratorError(
            "sweep.deploy_best: the jobs were scored on other rows, folds or metrics, so none is the best; nothing is deployed"
        )
    chosen = choose(jobs, rule)
    if chosen is None:
        raise OrchestratorError("sweep.deploy_best: no job has a score, so nothing is deployed")
    return chosen


def verdicts(jobs: Sequence[SweepJob], chosen: SweepJob | None) -> Iterator[str]:
    """Yield what became of each job, in one line."""
    highest = max((job for job in jobs if job.scored), key=lambda job: job.mean, default=None)
    near = [] if highest is None or chosen is None else within_one_error(jobs, highest)
    for job in jobs:
        if job.error:
            yield f"failed: {job.error}"
        elif job is chosen:
            yield (
                "the best"
                if job is highest
                else f"the simplest within one standard error of job {highest and highest.number}"
            )
        elif job in near:
            yield "within one standard error"
        else:
            yield ""


def deploy(job: SweepJob, sweep: Sweep, folder: Path, sweep_id: str) -> int:
    """Run a job again to its end, with its training from the cache; return the exit code."""
    from orchestrator.cli.main import KEPT_BACK, main

    outcome = main(replace(sweep.compose(to_deploy(job.overrides)), sweep=sweep_id), folder / FOLDER)
    return 1 if outcome.score is None else KEPT_BACK if outcome.kept_back else 0
