"""The command: Hydra composes the configuration, the orchestrator runs it. ``python run.py --help`` says more."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import uuid4

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from orchestrator import cli, privacy
from orchestrator.config.compose import UNCOMPOSED, plain, uncomposed
from orchestrator.config.overrides import HYDRA, SWEEP, lenient, prepared
from orchestrator.errors import OrchestratorError, Problem

SWEEP_ID = "ORCHESTRATOR_SWEEP_ID"
mistakes: list[Problem] = []  # found before Hydra composes, told with the others


@hydra.main(version_base=HYDRA, config_path="conf", config_name="config")
def job(config: DictConfig) -> float:
    """One run; in a sweep, one of its jobs. Sweepers that choose go by what it gives."""
    context = HydraConfig.get()
    if context.mode == RunMode.RUN and context.runtime.choices["hydra/sweeper"] != "basic":
        mistakes.append(Problem("search", "Optuna leads a sweep of jobs: write python run.py -m"))
    sweep = os.environ.get(SWEEP_ID) if context.mode == RunMode.MULTIRUN else None
    overrides: Any = OmegaConf.to_container(context.overrides)  # as they were typed, interpolations and all
    typed = [override.removeprefix("++") for override in overrides["task"]]
    values = plain(config, tracking__sweep_id=sweep)
    values.overrides = [*overrides["hydra"], *typed]
    score = cli.main(values, mistakes, Path(context.runtime.output_dir))
    if score is not None:
        return score
    if sweep:  # an exception and no exit: the other jobs go on
        raise OrchestratorError(f"job {context.job.num} failed: {' '.join(typed)}")
    sys.exit(1)


def main() -> int:
    """Prepare the arguments, let Hydra take over, and tell what it could not compose."""
    privacy.disable_telemetry()  # first: a check may import a user's class, and that anything
    arguments, found = lenient(sys.argv[1:])
    mistakes.extend(found)
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ[SWEEP_ID] = uuid4().hex  # in the environment, so that parallel launchers hand it to their processes
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra raises its errors then, instead of telling them in many lines
    with tempfile.TemporaryDirectory() as scratch:
        sys.argv[1:], undeployed = prepared(arguments, scratch)
        if found and {*SWEEP} & {*arguments}:
            return cli.tell(found)
        if undeployed:
            print("A sweep deploys nothing unless you say so (deploy=local).")
        try:
            job()
        except UNCOMPOSED as error:
            if wants_traceback:
                raise
            return cli.tell(uncomposed(error, [a for a in sys.argv[1:] if not a.startswith("-")], mistakes))
        except OrchestratorError as error:
            sys.stderr.write(f"{error}\n")
            return 1
        except KeyboardInterrupt:
            sys.stderr.write("interrupted; what was finished is kept, the same command goes on from there\n")
            return 130  # as a shell tells it
    return 0


if __name__ == "__main__":
    sys.exit(main())
