"""Credentials in a YAML file of one's own: the run is refused for them, and Hydra writes no copy of its configuration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from orchestrator.config import typed_secrets

_SECTIONS = ("data", "batch")  # in which there are places of tables


class LeaveNoCopy(Callback):
    """Lets Hydra write no ``.hydra`` folder, and no sections with credentials into a sweep's ``multirun.yaml``."""

    def on_run_start(self, config: DictConfig, **_: Any) -> None:
        """Look at the configuration of one run."""
        if holds_credentials(config):
            with read_write(config.hydra):
                config.hydra.output_subdir = None

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Look at the configuration of a sweep, of which each job is composed again."""
        if holds_credentials(config):
            with read_write(config), open_dict(config), read_write(config.hydra):
                config.hydra.overrides.hydra.append("hydra.output_subdir=null")
                for name in _SECTIONS:
                    config.pop(name, None)


def holds_credentials(config: DictConfig) -> bool:
    """Return whether a place of a table has credentials that are written out, and not read from the environment."""
    found = {name: OmegaConf.to_container(config[name], resolve=False) for name in _SECTIONS if config.get(name)}
    return any(True for _ in typed_secrets.problems(_leaves(found)))


def _leaves(values: Any, at: str = "") -> Iterator[str]:
    """Yield values as overrides are typed."""
    if isinstance(values, dict):
        for name, value in values.items():
            yield from _leaves(value, f"{at}.{name}" if at else str(name))
    else:
        yield f"{at}={values}"
