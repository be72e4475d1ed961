"""The problems of a command, found in this process."""

from __future__ import annotations

from orchestrator import compose
from orchestrator.config.validate import validate
from orchestrator.errors import Problem, SpecError


def found(*overrides: str) -> list[Problem]:
    """Return every problem of what is typed behind ``python run.py``."""
    try:
        validate(compose(*overrides))
    except SpecError as error:
        return list(error.problems)
    return []
