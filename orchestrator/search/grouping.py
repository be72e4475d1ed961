"""Decide, before anything is fitted, which candidates of a search share work, and split that work into units."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
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
_PIPELINE_PARAMETERS = {"steps", "memory", "verbose", "transform_input"}  # a grid over one of these shares nothing


@dataclass(frozen=True)
class CandidateGroup:
    """Candidates that are evaluated together in each fold; ``shares`` says whether that saves any work."""

    preprocessing: tuple[Key, ...]  # the parameters of each preprocessing step: groups with equal prefixes share fits
    members: tuple[int, ...]
    rule: ReuseRule | None = None
    shares: bool = False


@dataclass(frozen=True)
class PipelineLayout:
    """The names of an estimator's preprocessing steps and of its final step; none if it is no pipeline."""

    preprocessing: tuple[str, ...]
    final: str

    @classmethod
    def from_estimator(cls, estimator: Any) -> PipelineLayout | None:
        """Return None for a subclass of Pipeline, or one that caches, prints or transforms other inputs."""
        if type(estimator) is not Pipeline:
            return None if isinstance(estimator, Pipeline) else cls((), "")
        if estimator.memory is not None or estimator.verbose or getattr(estimator, "transform_input", None) is not None:
            return None
        names = [name for name, _ in estimator.steps]
        own = estimator.get_params(deep=False)
        if len({*names, *own}) < len(names) + len(own) or any("__" in name for name in names):
            return None  # Pipeline.fit refuses these names
        return cls(tuple(names[:-1]), names[-1])

    def preprocessing_keys(self, parameters: Mapping[str, Any]) -> tuple[Key, ...]:
        """Return a key of the parameters of each preprocessing step."""
        return tuple(
            hashable_key({name: value for name, value in parameters.items() if name.partition("__")[0] == step})
            for step in self.preprocessing
        )

    def final_parameters(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Return the parameters of the final step without its prefix; ``""`` names the step itself."""
        if not self.final:
            return dict(parameters)
        parts = {name: name.partition("__") for name in parameters}
        return {rest: parameters[name] for name, (step, _, rest) in parts.items() if step == self.final}

    def build_final(self, estimator: Any, parameters: Mapping[str, Any]) -> Any:
        """Return the final step (or the estimator) with its parameters, as ``set_params`` of the whole leaves it."""
        own = clone(self.final_parameters(parameters), safe=False)
        if not self.final:
            return clone(estimator).set_params(**own)
        final = own.pop("") if "" in own else clone(estimator.steps[-1][1])
        return final.set_params(**own)


def hashable_key(value: Any) -> Key:
    """Return a key that is equal for values that no estimator can distinguish; other objects equal only themselves."""
    if isinstance(value, Mapping):
        return ("mapping", *((name, hashable_key(value[name])) for name in sorted(value)))
    if type(value) in (list, tuple):
        return (type(value), *map(hashable_key, value))
    if value is None or type(value) in (bool, int, float, str) or isinstance(value, np.generic):
        return type(value), repr(value)
    return type(value), id(value)


def group_candidates(tasks: sklearn_private.SearchTasks, rules: Sequence[ReuseRule]) -> list[CandidateGroup]:
    """Put every candidate into exactly one group."""
    layout = PipelineLayout.from_estimator(tasks.job.estimator) if tasks.sharable else None
    fit_params = tasks.job.options["fit_params"] or ()
    if layout is None or (
        layout.preprocessing and not all(name.startswith(f"{layout.final}__") for name in fit_params)
    ):
        return [CandidateGroup((), (member,)) for member in range(len(tasks.candidates))]
    nested = frozenset().union(*(rule.parameter_names for rule in rules))
    rows = min(len(fold.train) for fold in tasks.folds)
    groups: list[CandidateGroup] = []
    everyone = range(len(tasks.candidates))
    by_preprocessing = _group_by(everyone, lambda member: layout.preprocessing_keys(tasks.candidates[member]))
    for keys, members in by_preprocessing.items():
        changes_pipeline = layout.final and any(_PIPELINE_PARAMETERS & tasks.candidates[at].keys() for at in members)
        shares = bool(layout.preprocessing) and not changes_pipeline and _is_deterministic(tasks, members[0])
        if changes_pipeline or (layout.preprocessing and not shares):
            groups += [CandidateGroup((), (member,)) for member in members]
        else:
            groups += _group_by_rule(tasks, layout, members, nested, rules, rows, keys, shares=shares)
    return groups


def _group_by_rule(
    tasks: sklearn_private.SearchTasks,
    layout: PipelineLayout,
    members: Sequence[int],
    nested: frozenset[str],
    rules: Sequence[ReuseRule],
    rows: int,
    keys: tuple[Key, ...],
    *,
    shares: bool,
) -> Iterator[CandidateGroup]:
    own = {member: layout.final_parameters(tasks.candidates[member]) for member in members}
    for similar in _group_by(members, lambda member: _key_without(own[member], nested)).values():
        rule = _find_rule(tasks, layout, similar[0], rules, rows) if nested & own[similar[0]].keys() else None
        if rule is None:
            yield from (CandidateGroup(keys, (member,), None, shares) for member in similar)
            continue
        keys_without = {member: _key_without(own[member], rule.parameter_names) for member in similar}
        for same in _group_by(similar, keys_without.__getitem__).values():
            yield CandidateGroup(keys, tuple(same), rule, shares or len(same) > 1)


def _find_rule(
    tasks: sklearn_private.SearchTasks, layout: PipelineLayout, member: int, rules: Sequence[ReuseRule], rows: int
) -> ReuseRule | None:
    try:
        final = layout.build_final(tasks.job.estimator, tasks.candidates[member])
        with parallel_config(backend="loky", n_jobs=1):  # as in a worker; each unit asks again where it runs
            return next((rule for rule in rules if rule.applies(final, rows)), None)
    except Exception:  # noqa: BLE001 - parameters that scikit-learn will refuse with its own error
        return None


def _is_deterministic(tasks: sklearn_private.SearchTasks, member: int) -> bool:
    """Return whether the preprocessing is the same in every fit: each seed in it, however deep, is an integer."""
    try:
        pipeline = clone(tasks.job.estimator).set_params(**clone(tasks.candidates[member], safe=False))
        steps = [step for _, step in pipeline.steps[:-1]]
        seeds = [
            value
            for step in steps
            if hasattr(step, "get_params")
            for name, value in step.get_params(deep=True).items()
            if name.rpartition("__")[2] == "random_state" and value != "deprecated"  # a parameter without effect
        ]
        pairwise = any(map(sklearn_private.is_pairwise, steps))
    except Exception:  # noqa: BLE001 - as above
        return False
    return not pairwise and all(isinstance(seed, Integral) for seed in seeds)


def _key_without(parameters: Mapping[str, Any], names: frozenset[str]) -> Key:
    return hashable_key({name: value for name, value in parameters.items() if name not in names})


def _group_by(members: Sequence[int], key: Callable[[int], Key]) -> dict[Key, list[int]]:
    groups: dict[Key, list[int]] = {}
    for member in members:
        groups.setdefault(key(member), []).append(member)
    return groups


@dataclass(frozen=True)
class WorkUnit:
    """What one worker does at a time: some groups in one fold."""

    fold: int
    groups: tuple[CandidateGroup, ...]

    @property
    def fits(self) -> int:
        """How many fits it stands for."""
        return sum(len(group.members) for group in self.groups)


def split_into_units(groups: Sequence[CandidateGroup], folds: int, pieces: int) -> list[WorkUnit]:
    """Split all groups into at most ``pieces`` units a fold, the largest first; neighbours share preprocessing."""
    ordered = _order_by_preprocessing(groups)
    pieces = min(pieces, len(ordered))
    bounds = [round(piece * len(ordered) / pieces) for piece in range(pieces + 1)]
    parts = [tuple(ordered[start:stop]) for start, stop in itertools.pairwise(bounds)]
    units = [WorkUnit(fold, part) for part in parts for fold in range(folds)]
    return sorted(units, key=lambda unit: unit.fits, reverse=True)


def drop_finished(units: Iterable[WorkUnit], finished: Container[tuple[int, int]]) -> list[WorkUnit]:
    """Return the units without the fits (candidate, fold) that are finished."""
    remaining = []
    for unit in units:
        groups = [
            replace(group, members=tuple(member for member in group.members if (member, unit.fold) not in finished))
            for group in unit.groups
        ]
        if unfinished := tuple(group for group in groups if group.members):
            remaining.append(replace(unit, groups=unfinished))
    return remaining


def _order_by_preprocessing(groups: Sequence[CandidateGroup]) -> list[CandidateGroup]:
    """Put groups with equal prefixes of preprocessing side by side, in order of first appearance."""
    first_seen: dict[tuple[Key, ...], int] = {}
    for group in groups:
        for depth in range(len(group.preprocessing) + 1):
            first_seen.setdefault(group.preprocessing[:depth], len(first_seen))
    return sorted(
        groups,
        key=lambda group: [first_seen[group.preprocessing[:depth]] for depth in range(len(group.preprocessing) + 1)],
    )
