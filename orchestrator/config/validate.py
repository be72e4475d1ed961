"""Everything that can be checked before data is read: a stream of problems, the cheapest checks first.

:func:`problems` is a generator, so that a mistake that needs no estimator is told before the estimator is imported.
Checks of an estimator that passed are remembered under ``state_dir``: the next run need not import it to know.
"""

from __future__ import annotations

import contextlib
import copy
import inspect
import os
import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.azure.auth import half_principal
from orchestrator.caching.cache import Cache, CorruptEntryError, digest
from orchestrator.caching.fingerprints import source_digests, versions_of
from orchestrator.config import azure_checks, data_file_checks, estimator_checks
from orchestrator.deploy.rollout import serves
from orchestrator.deploy.target import Target
from orchestrator.errors import Problem, SpecError
from orchestrator.spec.components import component_problems, locate
from orchestrator.spec.messages import suggest
from orchestrator.spec.run_spec import BatchSpec, Component, RunSpec
from orchestrator.tracking.tracker import SupportsStoreCheck, Tracker


class Stage:
    """What a stage with options of its own must be: callable."""

    def __call__(self) -> None:
        """Run it; what it takes and gives are its annotations."""


@dataclass(frozen=True)
class PassedChecks:
    """What is remembered of an estimator, transformers and scorers that were found right."""

    key: str


@dataclass
class ReportedPaths:
    """The places that are known to be wrong. What only follows from them is not told again.

    ``sources`` says which keys the value at a place was made from: ``${seed}`` in one makes it follow from ``seed``.
    """

    sources: Mapping[str, Iterable[str]]
    places: set[str] = field(default_factory=set)

    def once(self, found: Iterable[Problem]) -> Iterator[Problem]:
        """The problems that do not follow from another: first those of a place itself, then of what it was made from."""
        new = list(found)
        self.places |= {problem.at.replace("/", ".") for problem in new}
        return (problem for problem in new if not any(map(self._wrong, self.sources.get(problem.at, ()))))

    def later(self, found: Iterable[Problem]) -> Iterator[Problem]:
        """The problems of a spec in which every wrong value has a stand-in, but for what is the stand-ins' doing."""
        return (problem for problem in found if not self._follows(problem.at))

    def _follows(self, at: str) -> bool:
        names = at.split(".")
        above = {".".join(names[:depth]) for depth in range(1, len(names) + 1)}
        if any(self._wrong(source) for place in above for source in self.sources.get(place, ())):
            return True
        decisive = {f"{place}.{key}" for place in above for key in ("_target_", "estimator")}
        return bool(self.places & (above | decisive))

    def _wrong(self, source: str) -> bool:
        """Whether a value, or something in a section that is interpolated as a whole, was told."""
        return any(place == source or place.startswith(f"{source}.") for place in self.places)

    def any_of(self, *places: str) -> bool:
        """Whether one of these was told."""
        return bool(self.places & set(places))


def problems(config: Mapping[str, Any], known: Iterable[Problem] = ()) -> Iterator[Problem]:
    """Every mistake in a composed configuration, those that need no estimator first; ``known`` ones were found before."""
    told = ReportedPaths(getattr(config, "sources", {}))
    spec, broken, found = _parsed(config)
    unresolved = {problem.at: problem for problem in getattr(config, "problems", ())}
    known = list(known)
    left_out = {*unresolved, *(problem.at for problem in known)}  # so these look as if they were missing
    wrong = (problem for problem in found if problem.at not in left_out)
    yield from told.once([*known, *unresolved.values(), *wrong])
    if spec is None:
        return
    yield from told.later(_bound(spec, getattr(config, "sources", {})))
    if spec.batch is not None and "batch" not in broken:
        yield from told.later(_batch(spec.batch, spec.stages))
    if "train" not in spec.stages:
        return
    if "data" not in broken and not told.any_of("data", "data.path", "data.format", "data.separator", "data.encoding"):
        yield from told.later(data_file_checks.problems(spec.data, spec.preprocess))
    if not broken & {"model", "preprocess", "search"}:
        remember = not spec.dry_run and not told.any_of("state_dir", "dry_run")
        yield from told.later(_estimator(spec, Cache(spec.state_dir / "cache"), remember=remember))


def check(config: Mapping[str, Any]) -> RunSpec:
    """The spec of a configuration in which there is no mistake.

    Raises:
        SpecError: everything :func:`problems` finds.
    """
    found = list(problems(config))
    if found:
        raise SpecError(found)
    return RunSpec.parse(config)


# What stands in for a wrong value, or for a section that stays wrong, so that the checks of all others can go on.
# Never used for a run: one problem is enough to end it.
_STAND_INS: Mapping[str, Any] = {
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
    "batch": {"input": "x.csv", "output": "y.csv"},
    "azure": {},
    "tracking": {"_target_": "orchestrator.tracking.none.NoTracking"},
    "deploy": {"_target_": "orchestrator.deploy.none.NoTarget"},
    "stages": {},
}


def _parsed(config: Mapping[str, Any]) -> tuple[RunSpec | None, set[str], list[Problem]]:
    """The spec with stand-ins where it is wrong, the sections that are nothing but a stand-in, and what is wrong."""
    try:
        return RunSpec.parse(config), set(), []
    except SpecError as error:
        found = list(error.problems)
    mended = copy.deepcopy(dict(config))
    for problem in found:
        _mend(mended, re.sub(r"\[\d+\]", "", problem.at).split("."))
    try:
        return RunSpec.parse(mended), set(), found
    except SpecError as error:
        broken = {problem.at.partition(".")[0] for problem in error.problems}
    mended |= {name: _STAND_INS[name] for name in broken if name in _STAND_INS}
    try:
        return RunSpec.parse(mended), broken, found
    except SpecError:
        return None, broken, found


def _mend(config: dict[str, Any], path: Sequence[str]) -> None:
    """Put a stand-in for the value at a path, or nothing where it may be left out."""
    section: Any = config
    stand_ins: Any = _STAND_INS
    for name in path[:-1]:
        section, stand_ins = section.get(name), stand_ins.get(name, {})
        if not isinstance(section, dict):
            return
    section.pop(path[-1], None)
    if path[-1] in stand_ins:
        section[path[-1]] = stand_ins[path[-1]]
    if path[0] == "search" and "scoring" in section:
        scoring = section["scoring"]
        section["refit"] = scoring if isinstance(scoring, str) else scoring[0]


def _bound(spec: RunSpec, sources: Mapping[str, Any]) -> Iterator[Problem]:
    """Where the run is written down and served: the folder, the classes and their options, and the stages' paths."""
    yield from _folder(spec.state_dir)
    yield from _component(spec.tracking, "tracking", Tracker)
    yield from _unwritable(spec)
    served = _served(spec)
    yield from (problem for problem in _target(spec) if served or problem.at != "deploy.service_name")
    if meets_azure(spec):
        if spec.azure.auth in {"auto", "service_principal"}:
            yield from (Problem("azure.auth", half) for half in [half_principal(os.environ)] if half)
        yield from azure_checks.problems(spec.azure, sources)
    for name, stage in spec.stages.items():
        if isinstance(stage, Component):
            yield from _component(stage, f"stages.{name}", Stage)
        elif stage is not None:
            yield from _function(stage, f"stages.{name}")
    if spec.package.version != "auto" and "train" in spec.stages:
        yield Problem("package.version", "this run trains a version of its own; write stages=deploy or stages=batch")


def _served(spec: RunSpec) -> bool:
    """Whether this run has to do with a service."""
    return any(map(_serves, spec.stages.values()))


def _serves(stage: str | Component | None) -> bool:
    """Whether a stage has to do with a service; one that cannot be imported may have."""
    try:
        return stage is not None and serves(locate(stage if isinstance(stage, str) else stage.target, "stages"))
    except SpecError:
        return True


# What a state folder holds, as patterns
_FOLDERS = ("cache", "logs", "packages", "registered", "services", "services/*", "services/*/logs", "tracking")
_FILES = (
    "*.lock",
    "mlflow.db",
    "registered/*.json",
    "services/*.rollout.*",
    *(f"services/*/{name}" for name in ("record.json", "keys.json", "lock")),
)


def _target(spec: RunSpec) -> Iterator[Problem]:
    """The target's options one by one, then those that contradict each other or that a stage needs."""
    found = list(_component(spec.deploy, "deploy", Target))
    yield from found
    wrong = {problem.at for problem in found}
    if "deploy._target_" in wrong:
        return
    rules = getattr(locate(spec.deploy.target, "deploy._target_"), "option_problems", None)
    if rules is not None:
        stages = [name for name, stage in spec.stages.items() if stage is not None]
        problems = (Problem(f"deploy.{key}", text) for key, text in rules(spec.deploy.options, stages))
        yield from (problem for problem in problems if problem.at not in wrong)


def _folder(state_dir: Path) -> Iterator[Problem]:
    if os.pathsep in str(state_dir):
        yield Problem(
            "state_dir", f"{state_dir} holds '{os.pathsep}', at which PYTHONPATH is split; name another folder"
        )
        return
    if not str(state_dir).isprintable():
        yield Problem("state_dir", f"{str(state_dir)!r} holds letters that cannot be printed; name another folder")
        return
    there = next(path for path in (state_dir, *state_dir.parents) if path.exists())
    if not there.is_dir():
        yield Problem("state_dir", f"{there} is a file; name a folder")
        return
    try:
        tempfile.TemporaryFile(dir=there).close()  # permissions alone do not tell: root may not write everywhere
    except OSError:
        yield Problem("state_dir", f"nothing can be written in {there}; name another folder")
    files = {found for pattern in _FILES for found in state_dir.glob(pattern)}
    folders = {found for pattern in _FOLDERS for found in state_dir.glob(pattern)} - files
    for paths, right, what in ((folders, Path.is_dir, "folder"), (files, Path.is_file, "file")):
        for path in sorted(paths):
            if not right(path) and not path.name.startswith("."):
                yield Problem("state_dir", f"{path} should be a {what} and is none; move it away")


def _batch(batch: BatchSpec, stages: Iterable[str]) -> Iterator[Problem]:
    """Files that are not there and should be, or the other way round."""
    if "batch" not in stages:
        yield Problem("batch", "none of the stages scores a table; write stages=batch")
    if not batch.input.is_file():
        beside = (each.name for each in batch.input.parent.iterdir()) if batch.input.parent.is_dir() else ()
        yield Problem("batch.input", f"there is no file {batch.input}{suggest(batch.input.name, beside)}")
    elif batch.keep is not None:
        yield from data_file_checks.kept(batch)
    if batch.output.exists():
        yield Problem("batch.output", f"{batch.output} is there already; remove it, or name another")


def _component(component: Component, at: str, kind: type) -> Iterable[Problem]:
    try:
        found = locate(component.target, f"{at}._target_")
    except SpecError as error:
        return error.problems
    return component_problems(found, component.options, at, kind)


def meets_azure(spec: RunSpec) -> bool:
    """Whether this run asks Azure itself for something; a stand-in has credentials of its own."""
    used = [spec.tracking, *([spec.deploy] if _served(spec) else [])]
    return spec.azure.emulator is None and any("connection" in component.options for component in used)


def _unwritable(spec: RunSpec) -> Iterable[Problem]:
    """What the tracker cannot write of a training, such as names that its store refuses."""
    try:
        found = locate(spec.tracking.target, "tracking._target_")
    except SpecError:  # it is known already
        return []
    writes = "train" in spec.stages and isinstance(found, type) and issubclass(found, SupportsStoreCheck)
    return found.problems(spec) if writes else []


def _function(path: str, at: str) -> Iterable[Problem]:
    try:
        found = locate(path, at)
    except SpecError as error:
        return error.problems
    return [] if inspect.isfunction(found) else [Problem(at, f"should name a function, got '{path}'")]


def _estimator(spec: RunSpec, cache: Cache, *, remember: bool) -> Iterator[Problem]:
    """What needs the estimator's import, unless the very same was found right before."""
    parts = _parts(spec)
    key = digest(parts)
    with contextlib.suppress(CorruptEntryError):  # a damaged memory is no memory
        if parts and cache.find("checks", key):
            return
    found = False
    for problem in estimator_checks.problems(spec.model, spec.preprocess, spec.search):
        found = True
        yield problem
    if parts and remember and not found:
        with contextlib.suppress(OSError):
            cache.save("checks", key, parts, PassedChecks(key))


def _parts(spec: RunSpec) -> Mapping[str, str]:
    """What the outcome of the estimator's checks depends on; nothing if that cannot be told."""
    rules = source_digests(estimator_checks.__name__)
    sections = (spec.model, spec.preprocess, spec.search)
    try:
        taken = [section.cache_parts() for section in sections]
    except Exception:  # noqa: BLE001 - a module of the user's may not even parse; importing it will tell
        return {}
    return {**rules, **versions_of(["scikit-learn"]), **{k: v for parts in taken for k, v in parts.items()}}
