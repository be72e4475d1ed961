"""What is wrong with a command, found in this process."""

from __future__ import annotations

from orchestrator.config import compose, validate
from orchestrator.errors import Problem, SpecError


def found(*overrides: str) -> list[Problem]:
    """Every problem of what is typed behind ``python run.py``."""
    try:
        return list(validate.problems(compose.compose(*overrides)))
    except SpecError as error:
        return list(error.problems)
