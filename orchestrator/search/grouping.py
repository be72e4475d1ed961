"""Which candidates of a search share something, decided before anything is fitted."""

from __future__ import annotations

import itertools
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import numpy as np
from joblib import parallel_config
from sklearn.base import clone
from sklearn.pipeline import Pipeline

from orchestrator.search import sklearn_private
from orchestrator.search.reuse.base import ReuseRule

Key = tuple[Any, ...]
_OF_THE_PIPELINE = {"steps", "memory", "verbose", "transform_input"}  # a grid over one of these is left alone


@dataclass(frozen=True)
class Group:
    """Candidates that are evaluated together in each fold; ``shares`` says whether anything comes of it."""

    path: tuple[Key, ...]  # what the grid says of each preprocessing step: groups with like beginnings go together
    members: tuple[int, ...]
    rule: ReuseRule | None = None
    shares: bool = False


@dataclass(frozen=True)
class Layout:
    """An estimator as steps before a last one; of an estimator that is no pipeline there are none before."""

    before: tuple[str, ...]
    last: str

    @classmethod
    def of(cls, estimator: Any) -> Layout | None:
        """None for a pipeline of an unknown kind, or that keeps or tells what it does."""
        if type(estimator) is not Pipeline:
            return None if isinstance(estimator, Pipeline) else cls((), "")
        if estimator.memory is not None or estimator.verbose or getattr(estimator, "transform_input", None) is not None:
            return None
        names = [name for name, _ in estimator.steps]
        own = estimator.get_params(deep=False)
        if len({*names, *own}) < len(names) + len(own) or any("__" in name for name in names):
            return None  # names that no pipeline is fitted with
        return cls(tuple(names[:-1]), names[-1])

    def path(self, parameters: Mapping[str, Any]) -> tuple[Key, ...]:
        """What the parameters say of each step before the last."""
        return tuple(
            key({name: value for name, value in parameters.items() if name.partition("__")[0] == step})
            for step in self.before
        )

    def of_last(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """What they say of the last step, in its own names; ``""`` is the step itself."""
        if not self.last:
            return dict(parameters)
        parts = {name: name.partition("__") for name in parameters}
        return {rest: parameters[name] for name, (step, _, rest) in parts.items() if step == self.last}

    def last_of(self, estimator: Any, parameters: Mapping[str, Any]) -> Any:
        """The last step (or the estimator) with its parameters, as ``set_params`` of the whole would leave it."""
        own = clone(self.of_last(parameters), safe=False)
        if not self.last:
            return clone(estimator).set_params(**own)
        last = own.pop("") if "" in own else clone(estimator.steps[-1][1])
        return last.set_params(**own)


def key(value: Any) -> Key:
    """Equal for values that no estimator can tell apart. Of two objects only the same one is equal to itself."""
    if isinstance(value, Mapping):
        return ("mapping", *((name, key(value[name])) for name in sorted(value)))
    if type(value) in (list, tuple):
        return (type(value), *map(key, value))
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, np.generic):
        return type(value), repr(value)
    return type(value), id(value)


def groups(tasks: sklearn_private.Tasks, rules: Sequence[ReuseRule]) -> list[Group]:
    """Every candidate in exactly one group."""
    layout = Layout.of(tasks.job.estimator) if tasks.sharable else None
    if layout is None or (layout.before and not _only_for_the_last(tasks.job.options["fit_params"], layout)):
        return [Group((), (member,)) for member in range(len(tasks.candidates))]
    nested = frozenset().union(*(rule.names for rule in rules))
    rows = min(len(fold.train) for fold in tasks.folds)
    found: list[Group] = []
    for path, members in _by(range(len(tasks.candidates)), lambda at: layout.path(tasks.candidates[at])).items():
        if any(_OF_THE_PIPELINE & tasks.candidates[at].keys() for at in members if layout.last):
            found += [Group((), (member,)) for member in members]
            continue
        shares = bool(layout.before) and _is_deterministic(tasks, members[0])
        if layout.before and not shares:
            found += [Group((), (member,)) for member in members]
            continue
        found += _by_rule(tasks, layout, members, nested, rules, rows, path, shares=shares)
    return found


def _by_rule(
    tasks: sklearn_private.Tasks,
    layout: Layout,
    members: Sequence[int],
    nested: frozenset[str],
    rules: Sequence[ReuseRule],
    rows: int,
    path: tuple[Key, ...],
    *,
    shares: bool,
) -> Iterator[Group]:
    own = {member: layout.of_last(tasks.candidates[member]) for member in members}
    for alike in _by(members, lambda at: _without(own[at], nested)).values():
        rule = _rule_for(tasks, layout, alike[0], rules, rows) if nested & own[alike[0]].keys() else None
        if rule is None:
            yield from (Group(path, (member,), None, shares) for member in alike)
            continue
        names = rule.names
        for same in _by(alike, lambda at, names=names: _without(own[at], names)).values():
            yield Group(path, tuple(same), rule, shares or len(same) > 1)


def _rule_for(
    tasks: sklearn_private.Tasks, layout: Layout, member: int, rules: Sequence[ReuseRule], rows: int
) -> ReuseRule | None:
    try:
        last = layout.last_of(tasks.job.estimator, tasks.candidates[member])
        with parallel_config(backend="loky", n_jobs=1):  # as in a worker; each unit asks again where it runs
            return next((rule for rule in rules if rule.applies(last, rows)), None)
    except Exception:  # noqa: BLE001 - parameters that scikit-learn will refuse in its own words
        return None


def _is_deterministic(tasks: sklearn_private.Tasks, member: int) -> bool:
    """Whether the steps before the last give the same in every fit: each seed in them, however deep, is an integer."""
    try:
        pipeline = clone(tasks.job.estimator).set_params(**clone(tasks.candidates[member], safe=False))
        steps = [step for _, step in pipeline.steps[:-1]]
        seeds = [
            value
            for step in steps
            if hasattr(step, "get_params")
            for name, value in step.get_params(deep=True).items()
            if name.rpartition("__")[2] == "random_state"
        ]
        regular = not any(map(sklearn_private.is_pairwise, steps))
    except Exception:  # noqa: BLE001 - as above
        return False
    return regular and all(isinstance(seed, Integral) for seed in seeds)


def _only_for_the_last(fit_params: Mapping[str, Any] | None, layout: Layout) -> bool:
    return all(name.startswith(f"{layout.last}__") for name in fit_params or ())


def _without(parameters: Mapping[str, Any], names: frozenset[str]) -> Key:
    return key({name: value for name, value in parameters.items() if name not in names})


def _by(members: Sequence[int], name: Any) -> dict[Any, list[int]]:
    found: dict[Any, list[int]] = {}
    for member in members:
        found.setdefault(name(member), []).append(member)
    return found


@dataclass(frozen=True)
class Unit:
    """A part of the work that is done in one go: some groups in one fold."""

    fold: int
    groups: tuple[Group, ...]

    @property
    def fits(self) -> int:
        """How many fits it stands for."""
        return sum(len(group.members) for group in self.groups)


def units(found: Sequence[Group], folds: int, pieces: int) -> list[Unit]:
    """All groups in all folds, cut into so many pieces a fold, the largest first; neighbours share preprocessing."""
    ordered = sorted(found, key=_place(found))
    pieces = min(pieces, len(ordered))
    bounds = [round(at * len(ordered) / pieces) for at in range(pieces + 1)]
    cut = [tuple(ordered[start:stop]) for start, stop in itertools.pairwise(bounds)]
    made = [Unit(fold, part) for part in cut for fold in range(folds)]
    return sorted(made, key=lambda unit: unit.fits, reverse=True)


def without(found: Iterable[Unit], kept: Container[tuple[int, int]]) -> list[Unit]:
    """What is left to do where the results of these candidates and folds are there."""
    left = []
    for unit in found:
        groups = [
            replace(group, members=tuple(at for at in group.members if (at, unit.fold) not in kept))
            for group in unit.groups
        ]
        if some := tuple(group for group in groups if group.members):
            left.append(replace(unit, groups=some))
    return left


def _place(found: Sequence[Group]) -> Any:
    """Where a group goes: beside those that begin alike, in order of first appearance."""
    seen: dict[tuple[Key, ...], int] = {}
    for group in found:
        for depth in range(len(group.path) + 1):
            seen.setdefault(group.path[:depth], len(seen))
    return lambda group: [seen[group.path[:depth]] for depth in range(len(group.path) + 1)]
