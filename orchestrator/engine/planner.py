"""Plan stages from their annotations alone: their order, and the cache keys of their artifacts."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.caching.cache import CheckpointDir, Parts, cache_policy, digest, has_parts, parts_of
from orchestrator.caching.fingerprints import code_fingerprint, package_digests, versions_of
from orchestrator.errors import PlanError
from orchestrator.events import Progress
from orchestrator.flow import LAZY, PASSED

Stages = Mapping[str, Callable[..., Any]]
Given = Mapping[Any, Any]
OF_THE_RUN = (Progress, CheckpointDir)  # the engine itself supplies these to any stage; no input, and in no key


@dataclass(frozen=True)
class Step:
    """A stage as planned: its parameters and their types, and the type it returns (None: it has only effects).

    ``optional`` are parameters such as ``verdict: Verdict | None = None``, which are among those that it ``takes`` where
    something gives them. ``lazy`` and ``passed`` are the parameters so annotated (see :mod:`orchestrator.flow`), ``absent`` those that are passed
    and that no stage gives.
    """

    name: str
    stage: Callable[..., Any]
    takes: Mapping[str, Any]
    gives: Any
    optional: Mapping[str, Any] = field(default_factory=dict)
    lazy: frozenset[str] = frozenset()
    passed: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()

    @property
    def needs(self) -> tuple[Any, ...]:
        """The types that must be made before it runs."""
        return tuple(kind for name, kind in self.takes.items() if name not in self.lazy)

    def among(self, known: set[Any]) -> Step:
        """Return the step with the optional inputs, and without the passed ones, that are among the known types or not."""
        absent = {name for name in self.passed if self.takes[name] not in known}
        takes = {name: kind for name, kind in self.takes.items() if name not in absent}
        takes |= {name: kind for name, kind in self.optional.items() if kind in known}
        return replace(self, takes=takes, passed=self.passed - absent, absent=frozenset(absent))


def label(kind: Any) -> str:
    """Return the name of an artifact's type."""
    return "nothing" if kind is None else str(getattr(kind, "__name__", kind))


def plan(stages: Stages, given: Given) -> tuple[Step, ...]:
    """Order stages so that each comes after those it takes from; otherwise in the order they are listed.

    Raises:
        PlanError: every stage that does not say what it takes, every input without a source, every artifact with two,
            every pure stage whose inputs are not, every circle; one line each.
    """
    steps, problems = [], []
    for name, stage in stages.items():
        try:
            steps.append(_step(name, stage))
        except PlanError as error:
            problems.append(str(error))
    known = {*given, *OF_THE_RUN, *(step.gives for step in steps)}
    steps = [step.among(known) for step in steps]
    if not problems:
        problems = [*_sources(steps, given), *_impure(steps, given)]
    if problems:
        raise PlanError("\n".join(problems))
    ordered: list[Step] = []
    done = {*given, *OF_THE_RUN}
    waiting = steps
    while waiting:
        ready = next((step for step in waiting if done.issuperset(step.takes.values())), None)
        if ready is None:
            raise PlanError(f"stages: {_circle(waiting)}: each takes what the next one gives, so none can be first")
        ordered.append(ready)
        done.add(ready.gives)
        waiting = [step for step in waiting if step is not ready]
    return tuple(ordered)


def _step(name: str, stage: Callable[..., Any]) -> Step:
    call = stage if inspect.isroutine(stage) else type(stage).__call__
    try:
        hints = typing.get_type_hints(call, include_extras=True)
    except NameError as error:  # imported for type checkers only
        raise PlanError(
            f"stages.{name}: its annotations name '{error.name}', which its module does not import"
        ) from None
    marked = {name for name, hint in hints.items() if _declared(hint)[1] == PASSED}
    parameters = [p for p in inspect.signature(stage).parameters.values() if p.default is p.empty or p.name in marked]
    for parameter in parameters:
        if parameter.name not in hints or parameter.kind is not parameter.POSITIONAL_OR_KEYWORD:
            raise PlanError(f"stages.{name}: should take '{parameter}' by name, with the type of an artifact")
    if "return" not in hints:
        raise PlanError(f"stages.{name}: its return type is not annotated; say what it gives, or None")
    gives = hints["return"]
    declared = {parameter.name: _declared(hints[parameter.name]) for parameter in parameters}
    lazy, passed = (frozenset(at for at, (_, mark) in declared.items() if mark == each) for each in (LAZY, PASSED))
    takes = {at: kind for at, (kind, _) in declared.items()}
    return Step(name, stage, takes, None if gives is type(None) else gives, _optional(stage, hints), lazy, passed)


def _optional(stage: Callable[..., Any], hints: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that are None by default, with the one type that they may have otherwise."""
    optional = [name for name, parameter in inspect.signature(stage).parameters.items() if parameter.default is None]
    kinds = {name: [kind for kind in typing.get_args(hints.get(name)) if kind is not type(None)] for name in optional}
    return {name: kind[0] for name, kind in kinds.items() if len(kind) == 1}


def _declared(hint: Any) -> tuple[Any, str]:
    """Return the type of an input, and how it is marked."""
    marks = {*getattr(hint, "__metadata__", ())} & {LAZY, PASSED}
    if not marks:
        return getattr(hint, "__origin__", hint) if hasattr(hint, "__metadata__") else hint, ""
    inner = typing.get_args(hint.__origin__)
    return (inner[-1], LAZY) if LAZY in marks else (inner[0], PASSED)


def _sources(steps: Sequence[Step], given: Given) -> list[str]:
    """Return every artifact with two sources, and every input without one."""
    problems = []
    sources = dict.fromkeys([*given, *OF_THE_RUN], "the run itself")
    for step in steps:
        if step.gives in sources:
            problems.append(f"stages.{step.name}: gives {label(step.gives)}, which {sources[step.gives]} gives already")
        elif step.gives is not None:
            sources[step.gives] = f"stages.{step.name}"
    there = ", ".join(sorted(label(kind) for kind in sources if kind not in OF_THE_RUN))
    return problems + [
        f"stages.{step.name}: takes {label(kind)}, which nothing gives; add the stage that gives it (there are: {there})"
        for step in steps
        for kind in step.takes.values()
        if kind not in sources
    ]


def _impure(steps: Sequence[Step], given: Given) -> list[str]:
    """Return every input of a pure stage that may change from one run to the next unnoticed."""
    effects = {step.gives: step.name for step in steps if cache_policy(step.stage) is None}
    values = {kind for kind, value in given.items() if not has_parts(value)}
    return [
        f"stages.{step.name}: is marked as pure and takes {label(kind)}, which "
        + (
            f"stages.{effects[kind]} gives and that is not; mark both or none"
            if kind in effects
            else "is no plain value"
        )
        for step in steps
        if cache_policy(step.stage) is not None
        for kind in step.takes.values()
        if kind in effects or kind in values
    ]


def _circle(waiting: Sequence[Step]) -> str:
    """Return the steps of one circle: follow each step to one that gives what it waits for, until a step repeats."""
    sources = {step.gives: step for step in waiting}
    path = [waiting[0]]
    while path[-1] not in path[:-1]:
        path.append(next(sources[kind] for kind in path[-1].takes.values() if kind in sources))
    return " → ".join(step.name for step in path[path.index(path[-1]) :])


@dataclass(frozen=True)
class Key:
    """The cache key of a pure step: the digest, and all parts that decide the artifact, upstream too."""

    digest: str
    parts: Parts
    keep: bool


def cache_keys(steps: Sequence[Step], given: Given) -> Mapping[str, Key]:
    """Return the key of every pure step, by its name; all are known before anything runs.

    A key is made of the stage, its code, the versions it names, the seeds it takes and the keys of what it takes.
    """
    keys: dict[str, Key] = {}
    sources = {step.gives: step.name for step in steps}
    for step in steps:
        policy = cache_policy(step.stage)
        if policy is None:
            continue
        parts = {**_identity(step), **versions_of(policy.versions)}
        for package in policy.packages:
            parts |= package_digests(package)
        before = {}
        for name, kind in step.takes.items():
            if kind in given:
                parts |= parts_of(name, given[kind])
            elif kind not in OF_THE_RUN:
                before[f"takes {name}"] = keys[sources[kind]]
        key = digest({**parts, **{name: above.digest for name, above in before.items()}})
        for above in before.values():
            parts = {**above.parts, **parts}
        keys[step.name] = Key(key, parts, policy.keep)
    return keys


def _identity(step: Step) -> Parts:
    """Return the parts for a stage itself: its path, its options and its code."""
    kind: Any = step.stage if inspect.isroutine(step.stage) else type(step.stage)
    options = {} if kind is step.stage else {name: getattr(step.stage, name) for name in _fields(step.stage)}
    return {
        f"stages.{step.name}": f"{kind.__module__}.{kind.__qualname__}",
        **{f"stages.{step.name}.{name}": repr(value) for name, value in options.items()},
        **code_fingerprint(kind.__module__),
    }


def _fields(stage: Any) -> Sequence[str]:
    return [*getattr(stage, "__dataclass_fields__", getattr(stage, "__dict__", ()))]
