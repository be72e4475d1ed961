"""search=optuna: give Hydra's sweeper the choices of the grid, and print the best trial at the end."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, flag_override

from orchestrator.cli.main import command, validate_or_report
from orchestrator.config.compose import to_composed
from orchestrator.spec.field_types import one_is_a_list

GRID = "model.param_grid"
RESULTS = "optimization_results.yaml"  # the sweeper's own file
NOTHING = (
    "search=optuna: there is nothing to choose; add values to model.param_grid, or a range such as "
    "'model.param_grid.max_depth=range(2,20)'"
)
ONE_MODEL = "search=optuna: chooses parameters of one model; sweep models in commands of their own"


class OptunaCallback(Callback):
    """Gives the sweeper its choices, and prints after the sweep how to deploy the best trial."""

    def __init__(self) -> None:
        self._refit = ""

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Let the sweeper choose among the values of the grid; typed overrides take precedence.

        Raises:
            SystemExit: nothing can come of the sweep. Hydra lets no other exception of a callback through.
        """
        composed = to_composed(OmegaConf.masked_copy(config, [str(name) for name in config if name != "hydra"]))
        search = composed.values.get("search", {})
        if search.get("on_error") == "stop":  # one impossible trial does not end the sweep
            composed = replace(composed, values={**composed.values, "search": {**search, "on_error": "skip"}})
        valid = validate_or_report(composed)  # once, and not in every job
        if valid is None:
            raise SystemExit(1)
        self._refit = valid.spec.search.refit
        typed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        swept = [override.key_or_group for override in typed if override.is_sweep_override()]
        others = [override.input_line for override in typed if not (_sets_the_grid(override) or _removes_it(override))]
        if "model" in swept:
            raise SystemExit(ONE_MODEL)
        params = {**choices_of(valid.spec.model.param_grid), **(config.hydra.sweeper.params or {})}
        if not params and not swept:
            raise SystemExit(NOTHING)
        if any(map(_removes_it, typed)):  # a choice, since only choices stand before what is chosen
            params = {f"~{GRID}": 'choice("null")', **params}
        with flag_override(config, ["readonly", "struct"], [False, False]):
            config.hydra.sweeper.params = params
            config.hydra.overrides.task = others  # else each job would get the whole grid beside its choice
            if config.dry_run:
                config.hydra.sweeper.n_trials = 1  # all trials have the same plan
        _quieten()

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Print the best trial and the command that continues with it: its training is in the cache."""
        results = Path(config.hydra.sweep.dir, RESULTS)
        if config.dry_run or not results.exists():
            return
        found = yaml.safe_load(results.read_text())
        best = [f"{_bare(name)}={value}" for name, value in found["best_params"].items()]
        chosen = {name.partition("=")[0] for name in best} | {"search", "stages"}
        others = [_bare(override) for override in config.hydra.overrides.task if override != "deploy=none"]
        others = [override for override in others if override.partition("=")[0] not in chosen]
        where = [override for override in config.hydra.overrides.hydra if override.startswith("hydra.searchpath=")]
        sys.stdout.write(
            f"\nbest {self._refit} {found['best_value']:.4f} of {config.hydra.sweeper.n_trials} trials\n"
            f"deploy the best trial: {command(*where, *others, *best)}\n"
        )


def _sets_the_grid(override: Override) -> bool:
    """Return whether an override only sets values for Optuna to choose from, which are in the composed grid."""
    values = not override.is_sweep_override() and not override.is_delete()
    return values and f"{override.key_or_group}.".startswith(f"{GRID}.")


def _removes_it(override: Override) -> bool:
    """Return whether an override removes the model's own grid as a whole."""
    return override.is_delete() and override.key_or_group == GRID


def choices_of(grid: Mapping[str, Any]) -> dict[str, str]:
    """Return a grid as the sweeper's ``params``: for each parameter a choice among grids of one value.

    Optuna knows neither null nor lists, and writes what it chose as Python prints it: it is given text to choose from.
    """
    return {
        f"++model.param_grid.{name}": f"choice({','.join(json.dumps(_format_override_value([value])) for value in one_is_a_list(values))})"
        for name, values in grid.items()
    }


def _format_override_value(value: Any) -> str:
    """Format a value as an override."""
    if isinstance(value, list):
        return f"[{','.join(map(_format_override_value, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}:{_format_override_value(below)}' for name, below in value.items())}}}"
    return json.dumps(value, ensure_ascii=False)


def _bare(override: str) -> str:
    return override.removeprefix("++")


def _quieten() -> None:
    """Keep the sweeper's own log lines, which name each job, and silence those of the libraries below it."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from optuna.logging import set_verbosity

    set_verbosity(logging.WARNING)
