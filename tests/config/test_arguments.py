"""Hydra's flags are separated from overrides, wherever they stand."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from orchestrator.config.arguments import COMPLETION, CONFIG_DIR, SWEEP, split


@pytest.mark.parametrize(
    ("typed", "flags"),
    [
        (["model=x", "--config-dir", "a=b", "seed=1"], ["--config-dir", "a=b"]),
        (["--config-dir=mine", "seed=1"], ["--config-dir=mine"]),
        (["--info", "searchpath", "seed=1"], ["--info", "searchpath"]),
        (["--info", "seed=1"], ["--info"]),
        (["-c", "job", "-p", "model", "--resolve"], ["-c", "job", "-p", "model", "--resolve"]),
        (["-m", "seed=1,2", "-cn", "other"], ["-m", "-cn", "other"]),
        (["--experimental-rerun", "config.pickle"], ["--experimental-rerun", "config.pickle"]),
        (["-m", "typo"], ["-m"]),
    ],
)
def test_flags_and_their_values_are_found(typed: Sequence[str], flags: Sequence[str]) -> None:
    found = split(typed)
    assert found.flags == flags
    assert found.overrides == [word for word in typed if word not in flags]


@pytest.mark.parametrize("typed", [["-cd", "mine"], ["seed=1", "--config-dir", "mine"], ["--config-dir=mine"]])
def test_the_value_of_a_flag_is_found_behind_each_of_its_names(typed: Sequence[str]) -> None:
    found = split(typed)
    assert found.value(CONFIG_DIR) == "mine"
    assert found.has(CONFIG_DIR)
    assert not found.has(SWEEP)
    assert not found.has(COMPLETION)


def test_a_flag_without_its_value_has_none() -> None:
    assert split(["--config-dir"]).value(CONFIG_DIR) is None
