"""The public ``execute``: in a notebook it prints the run below the cell, as the command prints it in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator import pipeline
from orchestrator.config.composed import Composed
from orchestrator.engine.runner import Artifacts
from orchestrator.events import Observer


def execute(config: Composed | Mapping[str, Any], observers: Sequence[Observer] | None = None) -> Artifacts:
    """Run a configuration and return what its stages made, by type: ``execute(...)[Trained].pipeline``.

    A notebook shows the steps and their progress, unless ``observers`` are given; an empty list shows nothing. The live
    bar needs ipywidgets.

    Raises:
        OrchestratorError: what is wrong and how to fix it.
    """
    return pipeline.execute(config, _notebook_console() if observers is None else observers)


def _notebook_console() -> list[Observer]:
    """Return the console of a notebook; nothing outside of one."""
    from rich.console import Console as Terminal

    terminal = Terminal(highlight=False, soft_wrap=True)
    if not terminal.is_jupyter:
        return []
    from orchestrator.cli.console import Console

    return [Console(terminal)]
