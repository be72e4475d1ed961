"""The exception tree.

    OrchestratorError
    ├── SpecError        the configuration is wrong; holds every problem found, before data is read
    ├── PlanError        the stages do not fit together
    ├── DataError        the data does not hold what the configuration says
    ├── TrainError       the search or the estimator failed
    ├── PackageError     the package cannot be built, or its verification failed
    ├── TrackingError    the tracking store or the model registry failed
    ├── DeployError      a target could not serve the package
    └── ProbeError       the endpoint answers, but not what the package answers

The text of an error is one line: where, what is wrong and what would be right. Nothing below ``cli/command.py`` exits: an
exception leaves the other jobs of a sweep alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


def one_line(error: object) -> str:
    """Return the text of an error, or of what it says, without line breaks; its type's name where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


class OrchestratorError(Exception):
    """An error that a user can fix; its text says how."""


@dataclass(frozen=True)
class Problem:
    """One mistake in the configuration: its path, what is wrong and what would be right."""

    at: str
    message: str

    def __str__(self) -> str:
        text = f"{self.at}: {self.message}" if self.at else self.message
        return "".join(letter if letter.isprintable() else " " for letter in text)  # one line, whatever is quoted in it


class SpecError(OrchestratorError):
    """The configuration is wrong; ``problems`` holds everything that was found."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)  # parallel launchers send errors between processes


class PlanError(OrchestratorError):
    """The stages do not fit together: an input without a source, two sources, or a circle."""


class DataError(OrchestratorError):
    """The data does not hold what the configuration says."""


class TrainError(OrchestratorError):
    """The search or the estimator failed."""


class PackageError(OrchestratorError):
    """The package cannot be built, or its verification in a clean process failed.

    ``refusals`` are those of the hold-out rows where they are the reason.
    """

    def __init__(self, text: str, refusals: Any = None) -> None:
        super().__init__(text)
        self.refusals = refusals


class TrackingError(OrchestratorError):
    """The tracking store or the model registry failed."""


class DeployError(OrchestratorError):
    """A target could not serve the package, or there is no service where one is needed."""


class ProbeError(OrchestratorError):
    """The endpoint answers, but not what the package answers."""
