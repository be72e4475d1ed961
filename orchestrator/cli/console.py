"""Console observer: print the plan, progress, what each step took or why it was skipped, and where the results are.

On a terminal a long step shows a live bar; piped, there is one plain line a step and no control code.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib.util import find_spec

from rich.console import Console as Terminal
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
)
from rich.text import Text

from orchestrator.artifacts import Dataset, Split
from orchestrator.cli.descriptions import describe
from orchestrator.events import (
    Event,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepNote,
    StepPlan,
    StepProgress,
    StepSkipped,
    StepStarted,
)
from orchestrator.findings import CheckedTable
from orchestrator.gate.verdict import Verdict
from orchestrator.reading.description import TableReading
from orchestrator.report.inspection import ReportPage

NAME = 12  # columns for a step's name
REASONS = ("changed", "damaged", "not kept")  # why a step ran; of other reasons nothing is printed


class Console:
    """Prints a run as it happens: on a terminal with a live line, else one plain line a step."""

    def __init__(self, terminal: Terminal | None = None, *, verbose: bool = False) -> None:
        self._terminal = terminal or _standard_output()
        self._verbose = verbose
        self._live: Progress | None = None
        self._step = ""  # the running one
        self._checked = False  # whether a step reports the findings about the table

    def __call__(self, event: Event) -> None:
        """Print one event."""
        if isinstance(event, RunStarted):
            self._say("plan: " + " → ".join(step.name for step in event.steps))
            self._checked = CheckedTable.__name__ in {step.gives for step in event.steps}
        elif isinstance(event, StepStarted):
            self._step = f"{event.step.name:<{NAME}}"
            self._show(f"{self._step} {_reason(event.step)}".rstrip())
        elif isinstance(event, StepProgress):
            self._progress(event)
        elif isinstance(event, StepNote):
            self._say(f"  {event.text}", "dim")
        elif isinstance(event, StepFinished):
            self._finished(event)
        elif isinstance(event, StepSkipped):
            self._line("·", event.step.name, None, f"skipped: {event.why}", "dim")
        elif isinstance(event, StepFailed):
            self._hide()
            self._line("✗", event.step.name, event.seconds, "failed", "red")
        elif isinstance(event, RunFinished):
            self._hide()

    def plan(self, steps: Sequence[StepPlan], notes: Mapping[str, str]) -> None:
        """Print a plan that will not be run: every step with what it takes and gives, then the notes."""
        for step in steps:
            takes = ", ".join(step.takes) or "nothing"
            self._say(f"{step.name:<{NAME}} {takes} → {step.gives}  [{_state(step)}]")
        for label, text in notes.items():
            self._say(f"{label:<{NAME}} {text}")
        self._say("Nothing was run or changed (dry_run=true).")

    def where(self, notes: Mapping[str, str]) -> None:
        """Print where to look next, as (label, text), below a blank line."""
        if notes:
            self._say("")
        width = max(map(len, notes), default=0)
        for label, text in notes.items():
            self._say(f"{label:<{width}}  {text}")

    def table(self, lines: Sequence[str]) -> None:
        """Print lines that stand together, below a blank line."""
        if lines:
            self._say("\n".join(["", *lines]))

    def _show(self, text: str, *columns: ProgressColumn, total: int | None = None) -> None:
        """Replace the live line by another with a spinner: on a terminal, or with a total in a notebook with ipywidgets.

        A notebook keeps something of each line, so steps without progress get none there.
        """
        self._hide()
        in_notebook = self._terminal.is_jupyter and total is not None and find_spec("ipywidgets") is not None
        if self._terminal.is_terminal or in_notebook:
            spinner, words = SpinnerColumn(), TextColumn("{task.description}", markup=False)
            self._live = Progress(spinner, words, *columns, console=self._terminal, transient=True)
            self._live.add_task(text, total=total, note="", then=0.0)
            self._live.start()

    def _progress(self, event: StepProgress) -> None:
        if self._live is None or self._live.tasks[0].total is None:  # the first event with a total
            note = TextColumn("{task.fields[note]}", markup=False)
            self._show(self._step, BarColumn(), MofNCompleteColumn(), TimeLeft(), note, total=event.total)
        if self._live is None:  # piped
            return
        task = self._live.tasks[0]
        self._live.update(task.id, completed=event.done, note=event.note, then=task.elapsed)

    def _hide(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _finished(self, event: StepFinished) -> None:
        self._hide()
        step = event.step
        if step.cached:
            self._line("·", step.name, None, _state(step), "dim")
            return
        text = " — ".join(filter(None, (describe(event.artifact), _reason(step))))
        artifact = event.artifact
        alarming = bool(isinstance(artifact, CheckedTable | ReportPage) and artifact.findings)
        alarming |= isinstance(artifact, Verdict) and artifact.alarming
        style = "yellow" if alarming or "damaged" in step.why or "not kept" in step.why else ""
        self._line("✓", step.name, event.seconds, text, style)
        if isinstance(event.artifact, Dataset) and event.artifact.reading is not None:
            self._table_notes(event.artifact.reading)
        if isinstance(event.artifact, Split) and event.artifact.summary is not None:
            for note in event.artifact.summary.notes:
                self._say(f"  {note}", "yellow")

    def _table_notes(self, reading: TableReading) -> None:
        """Print notes about a table, and with ``verbose`` how each column was read."""
        for line in reading.table.splitlines() if self._verbose else ():
            self._say(f"  {line}", "dim")
        later = {finding.text for finding in reading.findings if self._checked}
        for note in reading.notes:
            if note not in later:
                self._say(f"  {note}", "yellow")

    def _line(self, mark: str, name: str, seconds: float | None, text: str, style: str) -> None:
        took = "" if seconds is None else f"{seconds:.2f} s"
        line = f"{mark} {name:<{NAME}} {took:>8}  {text}"
        self._say("\n".join(part.rstrip() for part in line.splitlines()), style)

    def _say(self, text: str, style: str = "") -> None:
        self._terminal.print(text, markup=False, style=style or None)


class _Terminal(Terminal):
    def on_broken_pipe(self) -> None:
        """Stop printing when the reader has closed the pipe (``| head``), and let the run go on to its end."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _standard_output() -> Terminal:
    """Return standard output: in a pipe without wrapping; letters that its encoding lacks become a "?"."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return _Terminal(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 10_000)


class TimeLeft(ProgressColumn):
    """The time left, from the first update on; rich's own column needs two."""

    def render(self, task: Task) -> Text:
        """Return ``0:00:12 left``; dashes while nothing is done."""
        if not task.completed or task.total is None or task.elapsed is None:
            return Text("-:--:-- left")
        then = task.fields["then"]  # when that much was done
        left = then / task.completed * (task.total - task.completed) - (task.elapsed - then)
        return Text(f"{timedelta(seconds=max(0, round(left)))} left")


def _state(step: StepPlan) -> str:
    if step.cached:
        return f"not needed: {step.why}" if step.why else "cached"
    return f"runs: {step.why}" if step.why else "runs"


def _reason(step: StepPlan) -> str:
    return step.why if any(word in step.why for word in REASONS) else ""
