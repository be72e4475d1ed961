"""What Optuna chooses from, and what Hydra makes of its choice."""

from __future__ import annotations

from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from orchestrator.cli.optuna_callback import choices_of
from orchestrator.config.compose import compose


@pytest.fixture(scope="module")
def sweeper() -> Any:
    return pytest.importorskip("hydra_plugins.hydra_optuna_sweeper._impl")


@pytest.mark.parametrize(
    "value",
    [
        10,
        0.5,
        1e-5,
        True,
        None,
        "gini",
        "two words",
        'it\'s "quoted" [so]',
        "null",
        "10",
        [10, 20],
        [],
        {0: 1.0, 1: 2.0},
    ],
    ids=repr,
)
def test_a_value_of_the_grid_arrives_as_it_was(sweeper: Any, value: Any) -> None:
    ((name, choice),) = choices_of({"some": [value, 3]}).items()
    space, fixed = sweeper.create_params_from_overrides([f"{name}={choice}"])
    assert not fixed
    chosen = space[name].choices[0]  # as the sweeper writes what Optuna chose:
    override = OverridesParser.create().parse_override(f"{name}={chosen}")
    assert override.value() == [value]
    assert override.key_or_group == "model.param_grid.some"


def test_what_is_typed_goes_before_the_grid(sweeper: Any) -> None:
    params = [f"{name}={choice}" for name, choice in choices_of({"a": [1, 2], "b": [3]}).items()]
    space, _ = sweeper.create_params_from_overrides([*params, "++model.param_grid.a=range(5,9)"])
    assert space["++model.param_grid.a"].high == 9
    assert len(space) == 2


def test_a_job_is_a_training_with_the_folds_and_metrics_of_a_grid_search() -> None:
    optuna, grid = compose("search=optuna", "model.param_grid.max_depth=7"), compose("model.param_grid.max_depth=[7]")
    assert optuna.values["search"] == grid.values["search"]
    assert optuna.values["stages"] == compose("stages=train").values["stages"]
