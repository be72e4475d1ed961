"""The command: Hydra composes the configuration, the orchestrator runs it. ``orchestrate --help`` says more.

The working directory is the project: its ``conf/`` is searched first, and its modules can be imported. What a run needs
is imported when there is one: ``--help`` and a shell's completion answer without it.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from orchestrator import invocation, privacy
from orchestrator.bundled import CONF
from orchestrator.cli import best_job, sweep_end, sweep_table
from orchestrator.cli.streams import keep_running_without_output
from orchestrator.cli.sweep_end import SWEEP_ID
from orchestrator.cli.sweep_jobs import read_jobs
from orchestrator.config import typed_secrets
from orchestrator.config.arguments import COMPLETION, CONFIG_DIR, CONFIG_NAME, DEFAULT_NAME, RERUN, SWEEP, split
from orchestrator.config.flags import without_unknown_flags
from orchestrator.config.overrides import COMPOSITION_ERRORS, HYDRA, build_argv, parse_leniently
from orchestrator.config.search_path import register_project
from orchestrator.errors import OrchestratorError, Problem, SpecError, one_line
from orchestrator.packaging.project_path import make_project_importable

DISTRIBUTION = "sklearn-orchestrator"
SUBCOMMANDS = {"init": "orchestrator.cli.init"}  # the first word, and the module whose ``main`` gets the others
mistakes: list[Problem] = []  # found before Hydra composes, reported with the others


class JobError(OrchestratorError):
    """A job of a sweep failed, and said why."""


@hydra.main(version_base=HYDRA, config_path=str(CONF), config_name=DEFAULT_NAME)
def job(config: DictConfig) -> float | str:
    """Execute one run, or one job of a sweep; return the score that a sweeper optimises.

    Of a failed job, where the best one is to be deployed, return what is wrong: an exception would end a sweep of several
    batches, of which a later one may have the best job. Optuna takes what is no number for a failed trial.
    """
    from orchestrator.cli import main as cli
    from orchestrator.config.compose import to_composed

    context = HydraConfig.get()
    if context.mode == RunMode.RUN and context.runtime.choices["hydra/sweeper"] != "basic":
        mistakes.append(Problem("search", f"Optuna runs a sweep of jobs: write {invocation.called_as()} -m"))
    if context.mode == RunMode.RUN and any("sweep.deploy_best=true" in each.lower() for each in context.overrides.task):
        mistakes.append(Problem("sweep.deploy_best", f"one run has no best job: write {invocation.called_as()} -m"))
    sweep = os.environ.get(SWEEP_ID) if context.mode == RunMode.MULTIRUN else None
    overrides: Any = OmegaConf.to_container(context.overrides)  # as they were typed, interpolations and all
    typed = [override.removeprefix("++") for override in overrides["task"]]
    composed = to_composed(config, mistakes, {"tracking.sweep_id": sweep})
    composed = replace(composed, overrides=[*overrides["hydra"], *typed], sweep=sweep or "")
    if sweep:
        composed = replace(composed, values=best_job.only_training(composed.values))
    outcome = cli.main(composed, Path(context.runtime.output_dir), compared=sweep is not None)
    if outcome.kept_back and not sweep:
        sys.exit(cli.KEPT_BACK)
    if outcome.score is not None:
        return outcome.score
    if sweep:
        failure = f"job {context.job.num} failed: {' '.join(typed)}"
        if best_job.is_wanted(composed.values):
            return failure
        raise JobError(failure)  # an exception and no exit: the other jobs of its batch go on
    sys.exit(1)


def main() -> int:
    """Run the command; report an error in one line, unless HYDRA_FULL_ERROR=1 asks for the traceback."""
    keep_running_without_output()
    privacy.disable_telemetry()  # first: a check may import a user's class, which may import anything
    invocation.remember()
    os.environ[SWEEP_ID] = uuid4().hex
    try:
        os.getcwd()  # noqa: PTH109 - whether there is one
    except FileNotFoundError:
        sys.stderr.write("the working directory was deleted; change to one that exists\n")
        return 1
    try:
        return dispatch(sys.argv[1:])
    except OrchestratorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command resumes from what was finished\n")
        return 130  # a shell's code for SIGINT
    except Exception as error:
        if invocation.wants_traceback():
            raise
        sys.stderr.write(f"{describe(error)}\n")
        return 1


def dispatch(typed: Sequence[str]) -> int:
    """Do what the arguments ask for: a sub-command, the version, a shell's completion, or what Hydra does."""
    make_project_importable()
    if typed and typed[0] in SUBCOMMANDS:
        return int(importlib.import_module(SUBCOMMANDS[typed[0]]).main(typed[1:]))
    if [*typed] == ["--version"]:
        sys.stdout.write(f"{DISTRIBUTION} {importlib.metadata.version(DISTRIBUTION)}\n")
        return 0
    if split(typed).has(COMPLETION):
        return complete()
    with tempfile.TemporaryDirectory() as scratch:
        return run(typed, scratch)


def complete() -> int:
    """Let Hydra install a shell's completion or answer it; what cannot be composed has none."""
    register_project()
    folder = split(os.environ.get("COMP_LINE", "").split()).value(CONFIG_DIR)
    if folder and Path(folder).is_dir():  # Hydra itself reads flags of its own call alone
        sys.argv += ["--config-dir", folder]
    try:
        job()
    except COMPOSITION_ERRORS:
        return 1
    return 0


def run(typed: Sequence[str], scratch: str) -> int:
    """Prepare the arguments, let Hydra run the job, and report what it could not compose."""
    typed, wrong = without_unknown_flags(typed)
    readable, found = parse_leniently(typed)
    found = [*wrong, *found]
    if secret := [*typed_secrets.problems(readable)]:
        from orchestrator.cli import main as cli

        cli.report(secret)
        return 1
    flags = split(readable)
    rerun = flags.value(RERUN)
    if rerun and not Path(rerun).is_file():
        found.append(Problem(RERUN[0], f"there is no file {rerun}; Hydra's PickleJobInfoCallback writes one"))
    mistakes.extend(found)
    sys.argv[1:], undeployed = build_argv(readable, scratch)
    best_job.undeployed[:] = [undeployed]
    if found and (flags.has(SWEEP) or any(problem.at.startswith("-") for problem in found)):
        from orchestrator.cli import main as cli

        cli.report(found)
        return 1
    try:
        try:
            job()
        except BaseException:
            sweep_end.show(read_jobs())
            raise
        return sweep_end.conclude()
    except COMPOSITION_ERRORS as error:
        if invocation.wants_traceback():
            raise
        report_composition_error(error)
        return 1
    except ValueError as error:
        if str(error) != sweep_table.NO_TRIAL:
            raise
        sys.stderr.write("search=optuna: every trial failed, as written above\n")
        return 1
    return 0


def report_composition_error(error: Exception) -> None:
    """Report the override that Hydra stopped at, with every mistake in the configuration without it."""
    from orchestrator.cli import main as cli
    from orchestrator.config.compose import compose_without, isolated_hydra

    typed = split(sys.argv[1:])
    overrides = list(typed.overrides)
    if folder := typed.value(CONFIG_DIR):
        overrides.append(f"hydra.searchpath=[file://{Path(folder).absolute()}]")
    try:
        with isolated_hydra():
            composed = compose_without(error, overrides, mistakes, typed.value(CONFIG_NAME) or DEFAULT_NAME)
    except SpecError as incomplete:
        cli.report(incomplete.problems)
    else:
        cli.validate_or_report(composed)


def describe(error: Exception) -> str:
    """Describe an error from outside of a run in one line; most are folders that cannot be written."""
    if isinstance(error, FileNotFoundError) and "temporary directory" in str(error):
        return (
            "no temporary folder can be written; free one of these, or name another in TMPDIR: "
            + str(error).partition(" in ")[2]
        )
    if isinstance(error, OSError) and error.filename:
        why = f"{error.filename}: {error.strerror}"
        return f"hydra.run.dir: {why}; run where the folder can be written, or name another: hydra.run.dir=/tmp/runs"
    text = (
        error.strerror
        if isinstance(error, OSError) and error.strerror
        else f"{type(error).__name__}: {one_line(error)}"
    )
    return f"{text} (HYDRA_FULL_ERROR=1 shows where)"
