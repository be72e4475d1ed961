"""Run planned stages in order, skip those whose artifact is cached, and send an event for each.

A stage is a callable whose annotations are its declaration: every parameter's type names an artifact (or a seed that
is ``given``), the return type names the artifact it gives; ``None`` for a stage that is run for its effect alone.
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from orchestrator.caching.cache import Cache, CheckpointDir, CorruptEntryError, Entry
from orchestrator.engine.planner import OF_THE_RUN, Given, Key, Step, cache_keys, label
from orchestrator.events import (
    Event,
    Observer,
    Progress,
    RunFinished,
    RunStarted,
    StepFailed,
    StepFinished,
    StepPlan,
    StepSkipped,
    StepStarted,
)
from orchestrator.flow import EndsRun

EVERY_TIME = "every time"
FIRST_TIME = "not in the cache yet"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepDecision:
    """Whether and why a step runs: its plan, its key if it is pure, its cache entry if there is one.

    ``needed``: a step that runs takes its artifact.
    """

    step: Step
    plan: StepPlan
    key: Key | None
    entry: Entry | None
    needed: bool


def decide(steps: Sequence[Step], given: Given, cache: Cache | None) -> tuple[StepDecision, ...]:
    """Decide which steps are cached and why the others are not, without running or changing anything.

    A pure step that is not kept runs only if a step that runs takes its artifact.
    """
    keys = cache_keys(steps, given)
    taken = {kind for step in steps for kind in step.takes.values()}
    takers: dict[Any, str] = {}  # the first step that runs and takes an artifact
    decisions = []
    for step in reversed(steps):
        key, taker = keys.get(step.name), takers.get(step.gives)
        entry, why = _look_up(step, key, cache)
        idle = key is not None and step.gives in taken and taker is None
        if entry is None and idle:
            why = "; ".join(filter(None, (why if "damaged" in why else "", "nothing that runs takes it")))
        elif entry is None:
            why = why or (f"{taker} takes it" if taker else EVERY_TIME)
            takers |= dict.fromkeys(step.needs, step.name)
        takes = tuple(label(kind) for kind in step.takes.values() if kind not in OF_THE_RUN)
        planned = StepPlan(step.name, takes, label(step.gives), cached=entry is not None or idle, why=why)
        decisions.append(StepDecision(step, planned, key, entry, taker is not None))
    return tuple(reversed(decisions))


def _look_up(step: Step, key: Key | None, cache: Cache | None) -> tuple[Entry | None, str]:
    """Return the entry of a step, or why there is none; no reason for a step that is never kept."""
    if key is None or not key.keep or cache is None:
        return None, ""
    try:
        entry = cache.find(step.name, key.digest)
    except CorruptEntryError as damage:
        return None, f"its cache entry is damaged: {damage}"
    if entry is not None:
        return entry, ""
    changes = cache.changes(step.name, key.parts)
    return None, f"changed: {changes}" if changes else FIRST_TIME


class Artifacts:
    """The artifacts of a run, by type. A cached artifact that no step takes is loaded when it is first requested."""

    def __init__(self, steps: Sequence[Step], given: Given, observers: Sequence[Observer], cache: Cache | None) -> None:
        self.decisions = decide(steps, given, cache)
        self._steps, self._given, self._observers, self._cache = steps, given, observers, cache
        self._values: dict[Any, Any] = dict(given)
        self._sources = {item.step.gives: item for item in self.decisions if item.step.gives is not None}
        self._skipped: dict[Any, str] = {}  # what a skipped step would have given, and why it was skipped

    def __contains__(self, kind: object) -> bool:
        return kind in self._values or kind in self._sources

    def __getitem__(self, kind: Any) -> Any:
        if kind not in self._values:
            item = self._sources[kind]
            damage = self._load(item)
            if damage:
                logger.warning("%s: %s", item.step.name, damage)
            if damage or item.entry is None:
                self._execute(item, damage or "asked for after all")
        return self._values[kind]

    def make(self, item: StepDecision) -> None:
        """Run a step, or load its cached artifact if a step that runs takes it; skip it if the run has ended before it."""
        started = time.perf_counter()
        if why := self._end_before(item.step):
            self._sources.pop(item.step.gives, None)
            if item.step.gives is not None:
                self._skipped[item.step.gives] = why
            self.notify(StepSkipped(item.plan, why))
            return
        if item.step.gives in self._values:  # another step needed it
            return
        damage = self._load(item) if item.needed else ""
        if damage or not item.plan.cached:
            self._execute(item, damage or item.plan.why)
        else:
            self._record_use(item)
            self.notify(StepFinished(item.plan, time.perf_counter() - started))

    def _end_before(self, step: Step) -> str:
        """Return why a step is skipped: an artifact that it takes as passed ends the run, or a step was that it takes from."""
        if skipped := [self._skipped[kind] for kind in step.takes.values() if kind in self._skipped]:
            return skipped[0]
        passed = (self[step.takes[name]] for name in sorted(step.passed))
        return next(filter(None, (one.ends for one in passed if isinstance(one, EndsRun))), "")

    def _load(self, item: StepDecision) -> str:
        """Load the cached artifact of a step, if there is one; return the reason if it does not load."""
        if item.entry is None or self._cache is None:
            return ""
        try:
            self._values[item.step.gives] = self._cache.load(item.entry)
        except CorruptEntryError as damage:
            return f"its cache entry is damaged: {damage}"
        return ""

    def _execute(self, item: StepDecision, why: str) -> None:
        takes = item.step.takes
        own = {Progress: Progress(self.notify), CheckpointDir: CheckpointDir(self._checkpoint_dir(item))}
        arguments = dict.fromkeys(item.step.absent) | {
            name: partial(self.__getitem__, kind)
            if name in item.step.lazy
            else own[kind]
            if kind in own
            else self[kind]
            for name, kind in takes.items()
        }
        planned = replace(item.plan, cached=False, why=why)
        self.notify(StepStarted(planned))
        started = time.perf_counter()
        try:
            artifact = item.step.stage(**arguments)
            seconds = time.perf_counter() - started
            planned = replace(planned, why="; ".join(filter(None, (why, self._keep(item, artifact)))))
        except BaseException as error:
            self.notify(StepFailed(planned, time.perf_counter() - started, error))
            raise
        if item.step.gives is not None:
            self._values[item.step.gives] = artifact
        self.notify(StepFinished(planned, seconds, artifact))

    def _checkpoint_dir(self, item: StepDecision) -> Path | None:
        if item.key is None or not item.key.keep or self._cache is None:
            return None
        return self._cache.checkpoint_dir(item.step.name, item.key.digest)

    def _keep(self, item: StepDecision, artifact: Any) -> str:
        """Cache the artifact of a step, if it is marked so; return the reason if that fails, which fails no run."""
        if item.key is None or not item.key.keep or self._cache is None:
            return ""
        try:
            same = cache_keys(self._steps, self._given)[item.step.name].digest == item.key.digest
            if same:
                self._cache.save(item.step.name, item.key.digest, item.key.parts, artifact)
                self._cache.record_use(item.step.name, item.key.parts)
            shutil.rmtree(self._cache.checkpoint_dir(item.step.name, item.key.digest), ignore_errors=True)
            if not same:
                return "not kept: its inputs or its code changed meanwhile"
        except Exception as error:  # noqa: BLE001 - a full disk, or an artifact of foreign code that does not pickle
            return f"not kept: {type(error).__name__}: {' '.join(str(error).split())}"
        return ""

    def _record_use(self, item: StepDecision) -> None:
        """Record that a cached artifact was used, so that the next run of this name is compared with this one."""
        if self._cache is not None and item.entry is not None and item.key is not None:
            self._cache.record_use(item.step.name, item.key.parts)

    def notify(self, event: Event) -> None:
        """Send an event to every observer, also after one that raised: that error ends the run, if no other does."""
        failure: BaseException | None = None
        for observer in self._observers:
            try:
                observer(event)
            except BaseException as error:  # noqa: BLE001 - on Ctrl-C, too, the others must receive the end
                failure = failure or error
        if failure is not None and getattr(event, "error", None) is None:
            raise failure
        if failure is not None:
            logger.warning("%s: %s", type(failure).__name__, failure)

    def end(self, event: RunFinished) -> None:
        """Send the end; artifacts that are requested later send no events."""
        self.notify(event)
        self._observers = ()


def run(
    steps: Sequence[Step], given: Given, observers: Sequence[Observer] = (), cache: Cache | None = None
) -> Artifacts:
    """Run the steps in order and return what they made; cached steps are skipped.

    ``RunFinished`` is sent however the run ends, to every observer, even where one of them raises.
    """
    started = time.perf_counter()
    artifacts = Artifacts(steps, given, observers, cache)
    try:
        artifacts.notify(RunStarted(tuple(item.plan for item in artifacts.decisions)))
        for item in artifacts.decisions:
            artifacts.make(item)
    except BaseException as error:
        artifacts.end(RunFinished(time.perf_counter() - started, error))
        raise
    artifacts.end(RunFinished(time.perf_counter() - started))
    return artifacts
