"""Check on past a mistake: placeholders for wrong values, and which later problems only follow from them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from orchestrator.errors import Problem, SpecError
from orchestrator.spec import by_task
from orchestrator.spec.run_spec import RunSpec

# Replaces a wrong value, or a section that stays wrong, so that the checks of all others can go on.
# Never used for a run: one problem is enough to end it.
_PLACEHOLDERS: Mapping[str, Any] = {
    "name": "x",
    "seed": 0,
    "state_dir": "state",
    "dry_run": True,
    "data": {"path": "x", "format": "csv", "target": "x", "test_size": 0.5},
    "preprocess": {},
    "model": {"estimator": "sklearn.dummy.DummyClassifier"},
    "search": {
        "_target_": "orchestrator.search.SharedGridSearchCV",
        "cv": 2,
        "scoring": ["accuracy"],
        "refit": "accuracy",
    },
    "package": {"model_name": "x"},
    "report": {},
    "gate": {},
    "batch": {"input": "x.csv", "output": "y.csv"},
    "azure": {},
    "tracking": {"_target_": "orchestrator.tracking.none.NoTracking"},
    "deploy": {"_target_": "orchestrator.deploy.none.NoTarget"},
    "stages": {},
}


class ParsedConfig(NamedTuple):
    """A spec with placeholders where the configuration is wrong; None if even those do not help."""

    spec: RunSpec | None
    replaced: frozenset[str]  # the sections that are nothing but a placeholder
    problems: Sequence[Problem]


def parse_with_placeholders(values: Mapping[str, Any]) -> ParsedConfig:
    """Parse a configuration; on mistakes, replace each wrong value, then each section that is still wrong."""
    try:
        return ParsedConfig(RunSpec.parse(values), frozenset(), ())
    except SpecError as error:
        problems = error.problems
    repaired = copy.deepcopy(by_task.resolve(values).values)
    for problem in problems:
        _replace(repaired, re.sub(r"\[\d+\]", "", problem.at).split("."))
    try:
        return ParsedConfig(RunSpec.parse(repaired), frozenset(), problems)
    except SpecError as error:
        broken = frozenset(problem.at.partition(".")[0] for problem in error.problems)
    repaired |= {name: _PLACEHOLDERS[name] for name in broken if name in _PLACEHOLDERS}
    try:
        return ParsedConfig(RunSpec.parse(repaired), broken, problems)
    except SpecError:
        return ParsedConfig(None, broken, problems)


def _replace(values: dict[str, Any], path: Sequence[str]) -> None:
    """Put the placeholder at a path, or nothing where the key is optional."""
    section: Any = values
    placeholders: Any = _PLACEHOLDERS
    for name in path[:-1]:
        section, placeholders = section.get(name), placeholders.get(name, {})
        if not isinstance(section, dict):
            return
    section.pop(path[-1], None)
    if path[-1] in placeholders:
        section[path[-1]] = placeholders[path[-1]]
    if path[0] == "search" and "scoring" in section:
        scoring = section["scoring"]
        section["refit"] = scoring if isinstance(scoring, str) else scoring[0]


@dataclass
class ReportedPaths:
    """Paths of the configuration already reported; problems that only follow from them are suppressed.

    ``sources`` are the keys that the value at a path was made from: ``${seed}`` makes it follow from ``seed``.
    """

    sources: Mapping[str, Iterable[str]]
    paths: set[str] = field(default_factory=set)

    def add(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Record problems of the configuration itself; return those whose value was not made from a reported one."""
        new = list(problems)
        self.paths |= {problem.at.replace("/", ".") for problem in new}
        return (problem for problem in new if not any(map(self._is_reported, self.sources.get(problem.at, ()))))

    def filter(self, problems: Iterable[Problem]) -> Iterator[Problem]:
        """Return the problems of a spec with placeholders that are not caused by a placeholder."""
        return (problem for problem in problems if not self._follows(problem.at))

    def any_of(self, *paths: str) -> bool:
        """Return whether one of these was reported."""
        return bool(self.paths & set(paths))

    def _follows(self, at: str) -> bool:
        names = at.split(".")
        above = {".".join(names[:depth]) for depth in range(1, len(names) + 1)}
        if any(self._is_reported(source) for path in above for source in self.sources.get(path, ())):
            return True
        decisive = {f"{path}.{key}" for path in above for key in ("_target_", "estimator")}
        return bool(self.paths & (above | decisive))

    def _is_reported(self, source: str) -> bool:
        """Return whether a value was reported, or something in a section that is interpolated as a whole."""
        return any(path == source or path.startswith(f"{source}.") for path in self.paths)
