"""Make the objects that parameters describe: locate the class, check its kind, call it.

A parameter of scikit-learn's that takes a function takes its dotted path.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.errors import Problem, SpecError
from orchestrator.spec.components import is_dotted, locate, parameters_of
from orchestrator.spec.messages import format_value
from orchestrator.spec.objects import PAIRS, TARGET, is_object, objects_in, options_of, values_in

# what an object inside of a parameter may be, by the methods of its class
KINDS = (("fit", "get_params"), ("split", "get_n_splits"), ("get_params", "set_params", "__call__"))
MAY_BE_MADE = (
    "should name a class of an estimator, a transformer, a splitter or a kernel, or sklearn.metrics.make_scorer"
)


def make_estimator(path: str, params: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> Any:
    """Make the estimator at a dotted path; a parameter that it must have may be in the grid alone.

    Raises:
        SpecError: there is no such class.
        Exception: whatever a constructor raises.
    """
    kind = locate(path, "model.estimator")
    known = parameters_of(kind)
    needed = {
        name: values[0] for name, values in grid.items() if name in known and known[name].default is known[name].empty
    }
    return kind(**make_options(kind, {**needed, **params}, "model.params"))


def make(described: Mapping[str, Any], at: str) -> Any:
    """Make a described object and those inside of it.

    Raises:
        SpecError: there is no such class, or it is of another kind; then it is not called.
        Exception: whatever the constructor raises.
    """
    kind = locate(described[TARGET], f"{at}.{TARGET}")
    if not may_be_made(kind):
        raise SpecError([Problem(f"{at}.{TARGET}", f"{MAY_BE_MADE}, got {format_value(described[TARGET])}")])
    return kind(**make_options(kind, options_of(described), at))


def may_be_made(kind: Any) -> bool:
    """Return whether this is of a kind that is made: asked of the class, before anything is called."""
    from sklearn.compose import make_column_selector
    from sklearn.metrics import make_scorer

    if kind is make_scorer or kind is make_column_selector:
        return True
    return isinstance(kind, type) and any(
        all(callable(getattr(kind, name, None)) for name in methods) for methods in KINDS
    )


def make_options(kind: Any, options: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Return the options of a class or function with objects and functions in the place of their descriptions."""
    return {name: make_value(kind, name, value, f"{at}.{name}") for name, value in options.items()}


def make_value(kind: Any, name: str, value: Any, at: str) -> Any:
    """Return an option's value: objects are made, dotted paths of functions located; lists and mappings are copies."""
    if isinstance(value, str):
        return locate(value, at) if takes_function(kind, name, value) else value
    if name in PAIRS and isinstance(value, Mapping) and not is_object(value) and any(objects_in(value, at)):
        return [_pair(key, _made(below, f"{at}.{key}")) for key, below in value.items()]
    if name in PAIRS and isinstance(value, list | tuple):
        made = [_made(below, path) for path, below in values_in(value, at)]
        return [tuple(each) if isinstance(each, list) else each for each in made]
    return _made(value, at)


def _pair(name: str, made: Any) -> tuple[Any, ...]:
    """Return a step with its name; a column transformer's are written ``name: [transformer, columns]``."""
    return (name, *made) if isinstance(made, list) else (name, made)


def _made(value: Any, at: str) -> Any:
    if is_object(value):
        return make(value, at)
    if isinstance(value, Mapping):
        return {name: _made(below, f"{at}.{name}") for name, below in value.items()}
    if isinstance(value, list | tuple):
        return [_made(below, path) for path, below in values_in(value, at)]
    return value


def takes_function(kind: Any, name: str, text: str) -> bool:
    """Return whether a text is the dotted path of a function: the parameter takes one, and not this text itself."""
    if not is_dotted(text):
        return False
    allowed = constraints_of(kind, name)
    return bool(allowed) and takes_callables(kind, name) and not any(each.is_satisfied_by(text) for each in allowed)


def takes_callables(kind: Any, name: str) -> bool:
    """Return whether a parameter of scikit-learn's takes functions."""
    declared = _declared(kind).get(name)
    return isinstance(declared, list) and any(each is callable for each in declared)


def constraints_of(kind: Any, name: str) -> Sequence[Any]:
    """Return scikit-learn's constraints of a parameter; none where the class or function declares none."""
    declared = _declared(kind).get(name)
    return _constraints(kind, name) if isinstance(declared, list) else ()


def _declared(kind: Any) -> Mapping[str, Any]:
    for name in ("_parameter_constraints", "_skl_parameter_constraints"):  # of a class, of a function
        declared = getattr(kind, name, None)
        if isinstance(declared, Mapping):
            return declared
    return {}


@functools.lru_cache(maxsize=512)
def _constraints(kind: Any, name: str) -> Sequence[Any]:
    from sklearn.utils._param_validation import make_constraint

    return tuple(make_constraint(constraint) for constraint in _declared(kind)[name])


def owner_of(made: Any, name: str) -> Any:
    """Return the object inside of an estimator that a searched name such as ``estimator__max_depth`` sets a value of.

    None if there is none, or the estimator describes none.
    """
    path, _, _ = name.rpartition("__")
    if not path:
        return made
    return made.get_params(deep=True).get(path) if hasattr(made, "get_params") else None


def make_grid(made: Any, grid: Mapping[str, Sequence[Any]], at: str) -> dict[str, list[Any]]:
    """Return a grid with objects and functions in the place of their descriptions; ``made`` is the estimator."""
    found = {}
    for name, values in grid.items():
        kind, last = type(owner_of(made, name)), name.rpartition("__")[2]
        found[name] = [make_value(kind, last, value, f"{at}.{name}") for value in values]
    return found


def as_text(value: Any) -> Any:
    """Return plain data as it is, and an object, a function or what holds one as text of one line."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, Mapping):
        return {name: as_text(below) for name, below in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(as_text, value))
    if callable(value) and hasattr(value, "__name__"):
        return ".".join(filter(None, (getattr(value, "__module__", None), value.__name__)))
    return value if type(value).__module__ == "numpy" else " ".join(repr(value).split())
