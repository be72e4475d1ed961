"""Objects in parameters: ``_target_`` at any depth names a class, and the other keys are its options.

This is about values as YAML holds them: :mod:`orchestrator.config.object_checks` checks them, and
:mod:`orchestrator.modeling.objects` makes the objects.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.caching.fingerprints import is_installed, module_location
from orchestrator.spec.components import is_dotted

TARGET = "_target_"
# scikit-learn's lists of (name, estimator): each may be written as a mapping, whose items can be overridden one by one
PAIRS = ("estimators", "steps", "transformers", "transformer_list")


def is_object(value: Any) -> bool:
    """Return whether a value describes an object."""
    return isinstance(value, Mapping) and TARGET in value


def options_of(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the object is made with."""
    return {name: value for name, value in described.items() if name != TARGET}


def objects_in(value: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every described object with its path, outer ones first."""
    if is_object(value):
        yield at, value
    for path, below in values_in(value, at):
        yield from objects_in(below, path)


def outermost(value: Any, at: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the described objects that lie in no other one."""
    if is_object(value):
        yield at, value
    else:
        for path, below in values_in(value, at):
            yield from outermost(below, path)


def values_in(value: Any, at: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of a mapping or a list, each with its path."""
    if isinstance(value, Mapping):
        yield from ((f"{at}.{name}", below) for name, below in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{at}[{place}]", below) for place, below in enumerate(value))


def named_code(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    """Yield the path and the dotted path of every class and function that values name, without importing them.

    A text counts as a dotted path if its module has a file: ``data.csv`` is none.
    """
    for path, described in objects_in(value, at):
        if isinstance(described[TARGET], str) and is_dotted(described[TARGET]):
            yield f"{path}.{TARGET}", described[TARGET]
    for path, text in _texts(value, at):
        if is_dotted(text):
            top, owner = text.partition(".")[0], text.rpartition(".")[0]
            file, _ = module_location(top)
            if file is not None and (is_installed(top) or any(module_location(owner))):
                yield path, text


def _texts(value: Any, at: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield at, value
    for path, below in values_in(value, at):
        if not path.endswith(f".{TARGET}"):
            yield from _texts(below, path)


def code_of(*values: Any) -> tuple[str, ...]:
    """Return the dotted paths of every class and function that values name."""
    return tuple(dict.fromkeys(text for value in values for _, text in named_code(value)))


def orders(path: str, value: Any) -> dict[str, str]:
    """Return the order of each list of estimators that is written as a mapping: it decides the order of columns."""
    found: dict[str, str] = {}
    for name, (at, below) in zip(value if isinstance(value, Mapping) else (), values_in(value, path), strict=False):
        if name in PAIRS and isinstance(below, Mapping) and len(below) > 1:
            found[f"{at} order"] = " ".join(map(str, below))
        found |= orders(at, below)
    if isinstance(value, list | tuple):
        for at, below in values_in(value, path):
            found |= orders(at, below)
    return found
