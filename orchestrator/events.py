"""Events: plain values about a run and its steps, and the Observer that receives them.

An observer is any callable of one event. The console, the tracker and the tests' recorder are observers;
none of them can change what the engine does, but an observer that raises fails the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, runtime_checkable


@dataclass(frozen=True)
class StepPlan:
    """One step as planned: what it takes and gives, and whether the cache holds its artifact.

    ``why`` is the reason: what changed since the last time for a step that must run, empty otherwise.
    """

    name: str
    takes: tuple[str, ...]
    gives: str
    cached: bool = False
    why: str = ""


@dataclass(frozen=True)
class RunStarted:
    """The plan is made and its first step is about to run."""

    steps: tuple[StepPlan, ...]


@dataclass(frozen=True)
class StepStarted:
    """A step that is not cached is about to run."""

    step: StepPlan


@dataclass(frozen=True)
class StepProgress:
    """``done`` of ``total`` units of the running step are finished; ``note`` is printed beside."""

    done: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class StepNote:
    """A line to print while a step waits for an outside system, such as a build in the cloud."""

    text: str


@dataclass(frozen=True)
class StepFinished:
    """A step ran (``artifact`` is what it gave) or was taken from the cache (``artifact`` is None)."""

    step: StepPlan
    seconds: float
    artifact: Any = None


@dataclass(frozen=True)
class StepSkipped:
    """A step was not run, as the run had ended well before it; ``why`` says what ended it."""

    step: StepPlan
    why: str


@dataclass(frozen=True)
class StepFailed:
    """A step raised; the run ends."""

    step: StepPlan
    seconds: float
    error: BaseException


@dataclass(frozen=True)
class RunFinished:
    """The run ended, well (``error`` is None) or not. Always sent, also on Ctrl-C."""

    seconds: float
    error: BaseException | None = None


Event: TypeAlias = (
    RunStarted | StepStarted | StepProgress | StepNote | StepFinished | StepSkipped | StepFailed | RunFinished
)
Observer: TypeAlias = Callable[[Event], None]


@dataclass(frozen=True)
class Progress:
    """Reports the progress of a stage that takes long; stages declare it as a parameter."""

    send: Observer = field(default=lambda _: None, repr=False)

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report that ``done`` of ``total`` units are finished."""
        self.send(StepProgress(done, total, note))

    def note(self, text: str) -> None:
        """Report a line."""
        self.send(StepNote(text))


@runtime_checkable
class ReportsProgress(Protocol):
    """A target or a tracker that may take minutes and reports what it waits for."""

    def report_to(self, progress: Progress) -> None:
        """Send notes to ``progress`` from now on."""
        ...


@runtime_checkable
class HasOptionalDependencies(Protocol):
    """A target or a tracker that needs an optional library."""

    def check_installed(self) -> None:
        """Raise an error that says what to install, before anything runs."""
        ...


class ProgressMixin:
    """Makes a target or a tracker :class:`ReportsProgress`; ``_note`` is silent until ``report_to`` is called."""

    _progress = Progress()

    def report_to(self, progress: Progress) -> None:
        """Send notes to ``progress`` from now on."""
        object.__setattr__(self, "_progress", progress)  # a target is frozen, and this is no field of it

    def _note(self, text: str) -> None:
        self._progress.note(text)
