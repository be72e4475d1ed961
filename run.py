"""The command: Hydra composes the configuration, the orchestrator runs it. ``python run.py --help`` says more."""

from __future__ import annotations

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

from orchestrator import privacy
from orchestrator.cli import main as cli
from orchestrator.cli import sweep_table
from orchestrator.cli.streams import keep_running_without_output
from orchestrator.config.compose import COMPOSITION_ERRORS, compose_without, isolated_hydra, to_composed
from orchestrator.config.overrides import CONF, HYDRA, SWEEP, build_argv, parse_leniently
from orchestrator.errors import OrchestratorError, Problem, SpecError

SWEEP_ID = "ORCHESTRATOR_SWEEP_ID"
mistakes: list[Problem] = []  # found before Hydra composes, reported with the others


@hydra.main(version_base=HYDRA, config_path=str(CONF), config_name="config")
def job(config: DictConfig) -> float:
    """Execute one run, or one job of a sweep; return the score that a sweeper optimises."""
    context = HydraConfig.get()
    if context.mode == RunMode.RUN and context.runtime.choices["hydra/sweeper"] != "basic":
        mistakes.append(Problem("search", "Optuna runs a sweep of jobs: write python run.py -m"))
    sweep = os.environ.get(SWEEP_ID) if context.mode == RunMode.MULTIRUN else None
    overrides: Any = OmegaConf.to_container(context.overrides)  # as they were typed, interpolations and all
    typed = [override.removeprefix("++") for override in overrides["task"]]
    composed = to_composed(config, mistakes, {"tracking.sweep_id": sweep})
    composed = replace(composed, overrides=[*overrides["hydra"], *typed], sweep=sweep or "")
    score = cli.main(composed, Path(context.runtime.output_dir), compared=sweep is not None)
    if score is not None:
        return score
    if sweep:  # an exception and no exit: the other jobs go on
        raise OrchestratorError(f"job {context.job.num} failed: {' '.join(typed)}")
    sys.exit(1)


def main() -> int:
    """Run the command; report an error in one line, unless HYDRA_FULL_ERROR=1 asks for the traceback."""
    keep_running_without_output()
    privacy.disable_telemetry()  # first: a check may import a user's class, which may import anything
    os.environ.setdefault(cli.TRACEBACK, os.environ.get("HYDRA_FULL_ERROR", ""))  # jobs in other processes see it, too
    os.environ[SWEEP_ID] = uuid4().hex  # in the environment, so that parallel launchers hand it to their processes
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors then, instead of printing many lines
    try:
        os.getcwd()  # noqa: PTH109 - whether there is one
    except FileNotFoundError:
        sys.stderr.write("the working directory was deleted; change to one that exists\n")
        return 1
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return run(sys.argv[1:], scratch)
    except OrchestratorError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; the same command resumes from what was finished\n")
        return 130  # a shell's code for SIGINT
    except Exception as error:
        if cli.wants_traceback():
            raise
        sys.stderr.write(f"{describe(error)}\n")
        return 1


def run(arguments: Sequence[str], scratch: str) -> int:
    """Prepare the arguments, let Hydra run the job, and report what it could not compose."""
    readable, found = parse_leniently(arguments)
    mistakes.extend(found)
    sys.argv[1:], undeployed = build_argv(readable, scratch)
    if found and {*SWEEP} & {*readable}:
        cli.report(found)
        return 1
    if undeployed:
        print("A sweep deploys nothing unless you say so (deploy=local).")
    try:
        try:
            job()
        finally:
            if compared := sweep_table.table():
                print(f"\n{compared}", flush=True)
    except COMPOSITION_ERRORS as error:
        if cli.wants_traceback():
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
    overrides = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    try:
        with isolated_hydra():
            composed = compose_without(error, overrides, mistakes)
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
    return f"{cli.one_line_of(error)} (HYDRA_FULL_ERROR=1 shows where)"


if __name__ == "__main__":
    sys.exit(main())
