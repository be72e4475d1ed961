"""Values by task: in ``model`` and ``search`` a list such as ``[{classification: a}, {regression: b}]`` stands for one value.

The first entry that fits ``data.task`` is the value; where none fits, the key is left out. It is a list of mappings and
not one mapping because a value that is typed replaces a list as a whole, and would be merged into a mapping.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from orchestrator.errors import Problem
from orchestrator.spec.messages import suggest_or_list

Task = Literal["binary", "multiclass", "regression"]
FITS: Mapping[str, tuple[str, ...]] = {  # the tasks that an entry is for
    "binary": ("binary",),
    "multiclass": ("multiclass",),
    "classification": ("binary", "multiclass"),
    "regression": ("regression",),
}
SECTIONS = ("model", "search")
_LEFT_OUT = object()


class Resolved(NamedTuple):
    """A configuration without values by task; a value that names an unknown task is left out and is a problem."""

    values: dict[str, Any]
    problems: list[Problem]


def is_by_task(value: Any) -> bool:
    """Return whether a value is given by task."""
    return _is_pairs(value) and any(name in FITS for name, _ in _pairs(value))


def resolve(config: Mapping[str, Any], task: str | None = None) -> Resolved:
    """Replace values by task with those of ``task``, by default ``data.task``; of two classes where that is not known.

    A metric that is typed counts: a typed ``refit`` joins the task's ``scoring``, and of a typed ``scoring`` the first
    metric chooses where the task's ``refit`` is none of them.
    """
    data = config.get("data")
    wanted = task or (data.get("task") if isinstance(data, Mapping) else None)
    chosen = wanted if wanted in {"binary", "multiclass", "regression"} else "binary"
    problems: list[Problem] = []
    values = dict(config)
    for section in SECTIONS:
        if section in config:
            values[section] = _value(config[section], chosen, section, problems)
    if isinstance(values.get("search"), dict):
        _match_metrics(config["search"], values["search"])
    return Resolved(values, problems)


def _value(value: Any, task: str, at: str, problems: list[Problem]) -> Any:
    if is_by_task(value):
        unknown = [name for name, _ in _pairs(value) if name not in FITS]
        problems += [Problem(at, f"there is no task '{name}'{suggest_or_list(name, FITS)}") for name in unknown]
        fits = (each for name, each in _pairs(value) if task in FITS.get(name, ()))
        return _LEFT_OUT if unknown else _value(next(fits, _LEFT_OUT), task, at, problems)
    if isinstance(value, Mapping):
        found = {name: _value(below, task, f"{at}.{name}", problems) for name, below in value.items()}
        return {name: below for name, below in found.items() if below is not _LEFT_OUT}
    if isinstance(value, list):
        items = [_value(below, task, f"{at}[{place}]", problems) for place, below in enumerate(value)]
        return [item for item in items if item is not _LEFT_OUT]
    return value


def _is_pairs(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, Mapping) and len(item) == 1 and isinstance(next(iter(item)), str) for item in value)
    )


def _pairs(value: Any) -> Iterator[tuple[str, Any]]:
    return (pair for item in value for pair in item.items())


def _match_metrics(typed: Mapping[str, Any], search: dict[str, Any]) -> None:
    """Let a typed metric win over those of the task."""
    scoring, refit = search.get("scoring"), search.get("refit")
    names = [scoring] if isinstance(scoring, str) else scoring
    if not isinstance(names, list) or not isinstance(refit, str) or not names or refit in names:
        return
    by_task = {key for key in ("scoring", "refit") if is_by_task(typed.get(key))}
    if by_task == {"scoring"}:
        search["scoring"] = [refit, *names]
    elif by_task == {"refit"}:
        search["refit"] = names[0]
