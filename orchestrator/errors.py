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

``code`` names the kind of error for scripts, in ``result.json`` and in docs/reference/errors.md. A code never changes
its meaning. The text below "How to fix:" in a docstring is part of that page.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any


def one_line(error: object) -> str:
    """Return the text of an error, or of what it says, without line breaks; its type's name where it has no text."""
    return " ".join(str(error).split()) or type(error).__name__


UNEXPECTED = "unexpected"  # the code of an exception that is none of these: a library's, or a defect
INTERRUPTED = "interrupted"


def diagnosis_code(kind: str) -> str:
    """Return the stable code of a deployment's error with this diagnosis."""
    return f"deploy-{kind.replace('_', '-')}"


class OrchestratorError(Exception):
    """An error that a user can fix; its text says how."""

    code: str = "error"


def code_of(error: BaseException) -> str:
    """Return the stable code of an error."""
    if isinstance(error, OrchestratorError):
        return error.code
    return INTERRUPTED if isinstance(error, KeyboardInterrupt) else UNEXPECTED


@dataclass(frozen=True)
class Problem:
    """One mistake in the configuration: its path, what is wrong and what would be right."""

    at: str
    message: str

    def __str__(self) -> str:
        text = f"{self.at}: {self.message}" if self.at else self.message
        return "".join(letter if letter.isprintable() else " " for letter in text)  # one line, whatever is quoted in it


class SpecError(OrchestratorError):
    """The configuration is wrong; ``problems`` holds everything that was found.

    How to fix: correct the keys that the lines name. Each line says what would be right; `dry_run=true` checks a
    configuration without running it.
    """

    code = "configuration"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[SpecError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)  # parallel launchers send errors between processes


class PlanError(OrchestratorError):
    """The stages do not fit together: an input without a source, two sources, or a circle.

    How to fix: add the stage that gives what is missing, or set one of two sources to null, as the text says.
    """

    code = "plan"


class DataError(OrchestratorError):
    """The data does not hold what the configuration says.

    ``kind`` is the code of what was found in the table, and ``findings`` are these, where that ends the run.

    How to fix: correct the key under `data` that the text names, or the table; `-v` prints how each column was read.
    """

    code = "data"

    def __init__(self, text: str, kind: str = "", findings: Sequence[Any] = ()) -> None:
        super().__init__(text)
        self.kind, self.findings = kind, tuple(findings)
        self.code = kind or self.code


class TrainError(OrchestratorError):
    """The search or the estimator failed.

    How to fix: change the parameters that the text names; `search.on_error=skip` leaves out candidates that fail.
    """

    code = "train"


class PackageError(OrchestratorError):
    """The package cannot be built, or its verification in a clean process failed.

    ``refusals`` are those of the hold-out rows where they are the reason.

    How to fix: follow the text. Where rows of the table would be refused, correct them or the keys under `package`;
    where a version is gone, choose another by `package.version`.
    """

    code = "package"

    def __init__(self, text: str, refusals: Any = None) -> None:
        super().__init__(text)
        self.refusals = refusals


class TrackingError(OrchestratorError):
    """The tracking store or the model registry failed.

    How to fix: check the address and the credentials of the server; `tracking=none` runs without it. What was
    finished is in the cache, so that the same command continues.
    """

    code = "tracking"


class DeployError(OrchestratorError):
    """A target could not serve the package, or there is no service where one is needed.

    ``kind`` is the diagnosis where logs prove one; it ends the code, as in ``deploy-out-of-memory``.

    How to fix: follow the text, which names the key to change. The former service goes on serving, or was put back.
    """

    code = "deploy"

    def __init__(self, text: str, kind: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        if kind:
            self.code = diagnosis_code(kind)


class ProbeError(OrchestratorError):
    """The endpoint answers, but not what the package answers.

    How to fix: read the service's log (`stages=logs`): another version of a library there is the usual cause. The
    deployment was rolled back.
    """

    code = "probe"
