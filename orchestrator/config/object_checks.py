"""Find what is wrong with parameters: unknown names, values that scikit-learn refuses, objects inside of them.

An object is located and its kind is checked; only then, with no mistake in it or below, it is made.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.errors import Problem, SpecError
from orchestrator.modeling.objects import (
    MAY_BE_MADE,
    constraints_of,
    make,
    make_value,
    may_be_made,
    owner_of,
    takes_function,
)
from orchestrator.spec.components import locate, missing_problems, parameters_of
from orchestrator.spec.messages import format_input, one_line, suggest, suggest_or_list
from orchestrator.spec.objects import TARGET, is_object, objects_in, options_of, outermost
from orchestrator.spec.section import Component

HYDRAS = ("_args_", "_partial_", "_recursive_", "_convert_")  # keys of hydra.utils.instantiate, which is not used
LABELS = ("pos_label", "labels")  # of a metric


def parameter_problems(kind: Any, params: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """Yield unknown names and wrong values of the parameters of a class or function, those of objects included."""
    for name, value in params.items():
        yield from unknown_problems(kind, name, at)
        yield from value_problems(kind, name, value, f"{at}.{name}")


def unknown_problems(kind: Any, name: str, at: str) -> Iterator[Problem]:
    """Yield a parameter that the class does not have."""
    parameters = parameters_of(kind)
    known = {each for each, parameter in parameters.items() if parameter.kind is not parameter.VAR_KEYWORD}
    if len(known) == len(parameters):
        if name not in known:
            yield Problem(f"{at}.{name}", f"{kind.__name__} has no such parameter{suggest_or_list(name, known)}")
        return
    with contextlib.suppress(Exception):  # a foreign constructor may raise anything
        known |= set(kind().get_params(deep=False))
    # xgboost and lightgbm take any name: only a near one is a mistake
    if name not in known and (close := suggest(name, known)):
        yield Problem(f"{at}.{name}", f"{kind.__name__} has no such parameter{close}")


def value_problems(kind: Any, name: str, value: Any, at: str) -> Iterator[Problem]:
    """Yield mistakes in the objects of a value; without any, that it is outside of scikit-learn's constraints.

    These are a class's ``_parameter_constraints``, which scikit-learn checks in ``fit``.
    """
    found = [problem for path, described in outermost(value, at) for problem in object_problems(described, path)]
    if isinstance(value, str) and takes_function(kind, name, value):
        found += _function_problems(value, at)
    if found:
        yield from found
        return
    try:
        made = make_value(kind, name, value, at)
    except Exception as error:  # noqa: BLE001 - a foreign constructor may raise anything
        yield Problem(at, f"cannot be made: {one_line(error)}")
        return
    allowed = constraints_of(kind, name)
    if not allowed or any(constraint.is_satisfied_by(made) for constraint in allowed):
        return
    texts = [str(constraint) for constraint in allowed if not constraint.hidden]
    choices = [choice for text in texts if text.startswith("a str among") for choice in _names(text)]
    close = suggest(value, choices) if isinstance(value, str) else ""
    if any(objects_in(value, at)):
        value = value[TARGET] if is_object(value) else value
    yield Problem(at, f"should be {_format_constraints(texts)}{format_input(value)}{close}")


def object_problems(described: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """Yield what is wrong with a described object: its class, its options, and the objects inside of it."""
    try:
        kind = locate(described[TARGET], f"{at}.{TARGET}") if isinstance(described[TARGET], str) else described[TARGET]
    except SpecError as error:
        yield from error.problems
        return
    if not may_be_made(kind):
        yield Problem(f"{at}.{TARGET}", f"{MAY_BE_MADE}{format_input(described[TARGET])}")
        return
    options = options_of(described)
    yield from (
        Problem(f"{at}.{name}", "is a key of Hydra's instantiate, which is not used here; name a class with options")
        for name in HYDRAS
        if options.pop(name, None) is not None
    )
    if not isinstance(kind, type):
        yield from _metric_problems(kind, options, at)
        return
    found = list(parameter_problems(kind, options, at))
    found += missing_problems(kind, options, at, "parameter")
    yield from found or _construction_problems({TARGET: described[TARGET], **options}, at)


def scorer_problems(scorer: Component, at: str) -> Iterator[Problem]:
    """Yield what is wrong with one of ``search.scorers``, a call of make_scorer."""
    from sklearn.metrics import make_scorer

    with contextlib.suppress(SpecError):  # reported below
        if locate(scorer.target, at) is not make_scorer:
            text = f"should be sklearn.metrics.make_scorer{format_input(scorer.target)}"
            yield Problem(
                f"{at}.{TARGET}", f"{text}; a scorer of your own is named in search.scoring by its dotted path"
            )
            return
    described = {TARGET: scorer.target, **scorer.options}
    yield from list(object_problems(described, at)) or _construction_problems(described, at)


def _metric_problems(function: Any, options: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """Yield what is wrong with a call of make_scorer; what it does not know goes to the metric."""
    own = {name: value for name, value in options.items() if constraints_of(function, name)}
    for name, value in own.items():
        yield from value_problems(function, name, value, f"{at}.{name}")
    yield from missing_problems(function, options, at, "parameter")
    for name in (each for each in LABELS if each in options):
        remedy = "data.positive names the positive one" if name == "pos_label" else "write a function of your own"
        yield Problem(f"{at}.{name}", f"a scorer gets codes in place of the target's labels; {remedy}")
    with contextlib.suppress(SpecError):  # reported above
        metric = locate(str(options.get("score_func")), at)
        if callable(metric) and not isinstance(metric, type):
            yield from _metric_options(metric, function, options, at)


def _metric_options(metric: Any, function: Any, options: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """Yield wrong options of a metric; its first two parameters are the rows' labels and predictions."""
    parameters = parameters_of(metric)
    known = dict([*parameters.items()][2:])
    takes_any = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    others = {*parameters_of(function)} - {"kwargs"}
    for name, value in options.items():
        if name in known and name not in LABELS:
            yield from value_problems(metric, name, value, f"{at}.{name}")
        elif name not in {*others, *LABELS} and not takes_any:
            close = suggest_or_list(name, {*known, *others} - {*LABELS})
            yield Problem(f"{at}.{name}", f"neither make_scorer nor {metric.__name__} has such a parameter{close}")
    for name, each in known.items():
        if each.default is each.empty and each.kind is each.KEYWORD_ONLY and name not in options:
            yield Problem(f"{at}.{name}", f"is missing; {metric.__name__} needs this parameter")


def _function_problems(text: str, at: str) -> Iterator[Problem]:
    try:
        function = locate(text, at)
    except SpecError as error:
        yield from error.problems
        return
    if not callable(function) or isinstance(function, type):
        yield Problem(at, f"should name a function{format_input(text)}")


def _construction_problems(described: Mapping[str, Any], at: str) -> Iterator[Problem]:
    try:
        make(described, at)
    except Exception as error:  # noqa: BLE001 - a foreign constructor may raise anything
        yield Problem(at, f"{described[TARGET].rpartition('.')[2]} cannot be made: {one_line(error)}")


def grid_problems(made: Any, grid: Mapping[str, Sequence[Any]], at: str) -> Iterator[Problem]:
    """Yield names of a grid that the unfitted estimator does not have at any depth, and wrong values."""
    known = set(made.get_params(deep=True))
    for name, values in grid.items():
        owners, missing = _owners(made, name, grid, at)
        last, shown = name.rpartition("__")[2], f"{at}.{name}"
        if missing:
            yield Problem(shown, missing if ";" in missing else f"{missing}{suggest_or_list(name, known - {name})}")
        elif not owners:  # the name itself is that of an estimator in a list, such as those of VotingClassifier
            yield from (problem for value in values for problem in value_problems(None, name, value, shown))
        for owner in owners:
            yield from (problem for value in values for problem in value_problems(type(owner), last, value, shown))


def _owners(made: Any, name: str, grid: Mapping[str, Sequence[Any]], at: str) -> tuple[list[Any], str]:
    """Return the objects in which a searched name sets a parameter, and what is missing on the way to it.

    They are several if the grid also chooses among objects. None are returned for the name of an estimator in a list.
    """
    path, _, last = name.rpartition("__")
    owners = [owner_of(made, name)]
    parts = [part for part in path.split("__") if part]
    searched = [depth for depth in range(1, len(parts) + 1) if "__".join(parts[:depth]) in grid]
    if searched:
        above, rest = "__".join(parts[: searched[-1]]), "__".join(["", *parts[searched[-1] :], last]).lstrip("_")
        with contextlib.suppress(Exception):  # a wrong object is reported where it stands
            kind = type(owner_of(made, above))
            chosen = [make_value(kind, above.rpartition("__")[2], value, at) for value in grid[above]]
            owners = [owner_of(value, rest) for value in chosen]
    for owner in owners:
        if owner is None and path in made.get_params(deep=True):
            place = ".".join([at.replace("param_grid", "params"), *parts])
            return [], f"{place} is null; describe the object by _target_ to search its parameters"
        if owner is None or isinstance(owner, str):
            return [], f"{type(made).__name__} has no such parameter"
        own = owner.get_params(deep=True) if hasattr(owner, "get_params") else {}
        # xgboost and lightgbm take any name, of which only a near one is a mistake
        if last not in own and not (_takes_any(type(owner)) and not suggest(last, own)):
            return [], f"{type(owner).__name__} has no such parameter"
    return [owner for owner in owners if last in parameters_of(type(owner))], ""


def _takes_any(kind: type) -> bool:
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters_of(kind).values())


def _names(quoted: str) -> list[str]:
    return re.findall(r"'(.*?)'", quoted)


def _format_constraints(constraints: Sequence[str]) -> str:
    """Format scikit-learn's constraints as one choice of what YAML can hold."""
    choices = [choice for text in constraints for choice in re.split(r"(?:,| or) (?=an? |None)", text)]
    said = list(dict.fromkeys(word for choice in choices for word in _words(choice)))
    return " or ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said) or "something else"


def _words(choice: str) -> Sequence[str]:
    """Return a choice in YAML's terms; nothing for what YAML cannot hold."""
    if choice.startswith("a str among"):
        return sorted(map(repr, _names(choice)))
    if choice.startswith("an instance of"):
        return _INSTANCES.get(choice.split("'")[1], ())
    if choice.startswith("an object implementing"):
        return [f"an object with {' and '.join(_names(choice))} (described by _target_)"]
    known = {"None": ["null"], "an array-like": ["a list"], "a callable": ["the dotted path of a function"]}
    return known.get(choice, [choice])


_INSTANCES: Mapping[str, Sequence[str]] = {
    "bool": ["true", "false"],
    "int": ["a whole number"],
    "numbers.Integral": ["a whole number"],
    "numbers.Real": ["a number"],
    "str": ["text"],
    "dict": ["a mapping"],
    "list": ["a list"],
}
