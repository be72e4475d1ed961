"""Choose the task before anything runs: as typed, as a typed estimator implies, or as the target's values say.

What was seen in the target is remembered under ``state_dir`` with what decides it: the next run reads no table for it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.caching.cache import Cache, CorruptEntryError, digest
from orchestrator.caching.fingerprints import source_digests, versions_of
from orchestrator.errors import Problem, SpecError
from orchestrator.modeling import task as task_module
from orchestrator.modeling.scorers import Kind, metric_kinds
from orchestrator.modeling.task import SeenTask, see_task
from orchestrator.reading import frame as frame_module
from orchestrator.reading.files import UnreadableTableError
from orchestrator.reading.frame import read_table
from orchestrator.spec.by_task import Task, is_by_task
from orchestrator.spec.components import is_dotted, locate
from orchestrator.spec.data import DataSpec
from orchestrator.spec.messages import one_line
from orchestrator.spec.section import code_fingerprints

if TYPE_CHECKING:
    import pandas as pd

_READING = (  # keys that decide how the target is read
    *("format", "target", "separator", "encoding", "decimal", "thousands", "missing_values", "keep_default_na"),
    *("text_columns", "index"),
)


@dataclass(frozen=True)
class TaskChoice:
    """A task, and one line that says why; ``counts`` are those of a SeenTask, if its task is this one."""

    task: Task
    line: str
    counts: tuple[int, ...] = ()


def choose_task(data: DataSpec, config: Mapping[str, Any], cache: Cache, *, remember: bool) -> TaskChoice:
    """Return the task of a configuration with ``data.task: auto``, or the typed one.

    Raises:
        SpecError: the table cannot be read.
    """
    if data.task != "auto":
        return TaskChoice(data.task, f"{data.task} (data.task)")
    typed = _Typed.of(config)
    parts = _parts(data, typed)
    key = digest(parts)
    with contextlib.suppress(CorruptEntryError):  # a damaged entry is a miss
        if parts and (entry := cache.find("task", key)):
            found = cache.load(entry)
            if isinstance(found, TaskChoice):
                return found
    chosen = _decide(data.target, _see(data), typed)
    if parts and remember:
        with contextlib.suppress(OSError):
            cache.save("task", key, parts, chosen)
    return chosen


@dataclass(frozen=True)
class _Typed:
    """What is not given by task: an estimator (empty if it is by task) and metrics."""

    estimator: str
    metrics: Sequence[str]

    @classmethod
    def of(cls, config: Mapping[str, Any]) -> _Typed:
        """Return what a composed configuration says."""
        estimator = _section(config, "model").get("estimator")
        search = _section(config, "search")
        typed = [search[key] for key in ("refit", "scoring") if key in search and not is_by_task(search[key])]
        names = [name for value in typed for name in (value if isinstance(value, list | tuple) else [value])]
        return cls(
            estimator if isinstance(estimator, str) and is_dotted(estimator) else "",
            tuple(name for name in names if isinstance(name, str)),
        )


def _section(config: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = config.get(name)
    return section if isinstance(section, Mapping) else {}


def _parts(data: DataSpec, typed: _Typed) -> Mapping[str, str]:
    """Return what decides the choice; nothing if that is not known."""
    reading = {*(f"data.{key}" for key in _READING), "data file", "test file"}
    try:
        parts = {name: value for name, value in data.cache_parts().items() if name in reading}
        parts |= {"model.estimator": typed.estimator, "search": " ".join(typed.metrics)}
        parts |= code_fingerprints(*([typed.estimator] if typed.estimator else []))
    except Exception:  # noqa: BLE001 - a file that cannot be read, a module that does not parse: reported where it is used
        return {}
    for module in (__name__, task_module.__name__, frame_module.__name__):
        parts |= source_digests(module)
    return {**parts, **versions_of(["pandas", "pyarrow", "scikit-learn"])}


def _see(data: DataSpec) -> SeenTask:
    try:
        table = read_table(data, [data.target])
    except UnreadableTableError as error:
        raise SpecError([Problem(f"data.{error.key}", str(error))]) from error
    except OSError as error:
        text = f"{data.path} cannot be read as {data.format}: {one_line(error)}"
        raise SpecError([Problem("data.path", text)]) from error
    if data.target not in table.frame.columns:
        text = (
            f"'{data.target}' is left out of the table ({table.left_out.get(data.target, '')}); write data.index=keep"
        )
        raise SpecError([Problem("data.target", text)])
    target = table.frame[data.target]
    if data.split.file is not None:
        target = _with_held_out(target, data)
    present = target.dropna()
    if present.empty:
        rows = len(table.frame)
        text = (
            f"'{data.target}' has no value in {rows:,} rows"
            if rows
            else f"{data.path.name} has no rows besides its header"
        )
        raise SpecError([Problem("data.target" if rows else "data.path", text)])
    return see_task(present)


def _with_held_out(target: pd.Series, data: DataSpec) -> pd.Series:
    """Return the target of both tables; the first one's where the second cannot be read, which is reported later."""
    import pandas as pd

    with contextlib.suppress(UnreadableTableError, OSError):
        second = read_table(data.of_held_out(), [data.target]).frame
        if data.target in second:
            return pd.concat([target, second[data.target]], ignore_index=True)
    return target


def _decide(target: str, seen: SeenTask, typed: _Typed) -> TaskChoice:
    """Return the task that was seen, or the one that a typed estimator or, for whole numbers, a typed metric implies."""
    values = f"'{target}' has {seen.said}"
    kind = _kind_of_estimator(typed.estimator) if typed.estimator else None
    name = typed.estimator.rpartition(".")[2]
    if kind == "regression" and seen.task != "regression":
        return TaskChoice("regression", f"regression: {name} predicts numbers (model.estimator); {values}")
    if kind == "classification" and seen.task == "regression":
        return TaskChoice("multiclass", f"multiclass: {name} predicts classes (model.estimator); {values}")
    if kind is None and seen.other is not None and _kind_of_metrics(typed.metrics) == _kind(seen.other):
        return TaskChoice(seen.other, f"{seen.other}: {typed.metrics[0]} is its metric (search); {values}")
    hint = f"; data.task={seen.other} if not" if seen.other is not None and kind is None else ""
    return TaskChoice(seen.task, f"{seen.task}: {values}{hint}", seen.counts)


def _kind(task: Task) -> Kind:
    return "regression" if task == "regression" else "classification"


def _kind_of_estimator(path: str) -> Kind | None:
    """Return what an estimator predicts; None if that cannot be known, for a reason that is reported elsewhere."""
    from sklearn.base import ClassifierMixin, RegressorMixin, is_classifier, is_regressor

    with contextlib.suppress(Exception):  # a foreign module or constructor may raise anything
        estimator = locate(path, "model.estimator")
        for mixin, kind in ((ClassifierMixin, "classification"), (RegressorMixin, "regression")):
            if isinstance(estimator, type) and issubclass(estimator, mixin):
                return kind  # type: ignore[return-value]
        made = estimator()
        return "classification" if is_classifier(made) else "regression" if is_regressor(made) else None
    return None


def _kind_of_metrics(names: Sequence[str]) -> Kind | None:
    kinds = {kind for kind, _ in metric_kinds(names)}
    return kinds.pop() if len(kinds) == 1 else None
