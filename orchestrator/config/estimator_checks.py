"""Find what scikit-learn would refuse in ``fit``: estimators, transformers, their parameters and values, scorers.

Classes are imported and asked; nothing is called whose kind was not checked, and only scikit-learn's own estimators are
fitted, on a few made-up rows (:mod:`orchestrator.config.trial_fit`).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.config.trial_fit import NO_OBJECT, impossible_candidates
from orchestrator.errors import Problem, SpecError
from orchestrator.modeling import scorers
from orchestrator.modeling.halving import ROWS, is_halving
from orchestrator.spec.components import is_dotted, locate, missing_problems, parameters_of
from orchestrator.spec.messages import format_input, format_value, one_line, suggest, suggest_or_list
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.search import SearchSpec

# parameters of a search that other keys of the configuration set
DECIDED = {
    "estimator": "model and preprocess",
    "param_grid": "model.param_grid",
    "param_distributions": "model.param_grid",
    "error_score": "search.on_error",
}
_OF_BOTH_KINDS = "model=random_forest, hist_gradient_boosting and linear suit both"


def problems(model: ModelSpec, preprocess: PreprocessSpec, search: SearchSpec, task: str = "auto") -> Iterator[Problem]:
    """Yield every mistake in what is to be fitted for a task."""
    estimator, found = _class(model.estimator, "model.estimator", "an estimator", "predict")
    yield from found
    if estimator is not None:
        wrong = [*nested_problems(model.params, "model.params"), *nested_problems(model.param_grid, "model.param_grid")]
        wrong = wrong or list(_model(estimator, model)) or list(_construction_problems(estimator, model))
        if not wrong and search.on_error == "stop":
            wrong = list(impossible_candidates(estimator, model.params, model.param_grid))
        yield from wrong
    for at, component in preprocess.components():
        transformer, found = _class(component.target, f"{at}._target_", "a transformer", "transform")
        yield from found
        if transformer is not None:
            yield from _parameters(transformer, component.options, at)
            yield from missing_problems(transformer, component.options, at, "parameter")
    made = estimator and _unfitted(estimator, model)
    yield from _search(search, estimator)
    other = list(_other_task(made, task))
    yield from other or _scorer_kinds(search, made, model.estimator)


def _class(path: str, at: str, said: str, method: str) -> tuple[type | None, Sequence[Problem]]:
    """Return the class, or None and why not."""
    try:
        found = locate(path, at)
    except SpecError as error:
        return None, error.problems
    # asked of the class: some methods of meta-estimators are descriptors
    if isinstance(found, type) and all(callable(getattr(found, name, None)) for name in ("fit", method, "get_params")):
        return found, ()
    return None, [Problem(at, f"should name {said} class with fit and {method}, got '{path}'")]


def nested_problems(params: Mapping[str, Any], at: str) -> Iterator[Problem]:
    """Yield the places of parameters that describe an object to be made: none is made inside of a parameter."""
    for name, value in params.items():
        for path in _described(value, f"{at}.{name}"):
            yield Problem(path, NO_OBJECT)


def _described(value: Any, at: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield at
        else:
            for name, below in value.items():
                yield from _described(below, f"{at}.{name}")
    elif isinstance(value, list | tuple):
        for place, below in enumerate(value):
            yield from _described(below, f"{at}[{place}]")


def _model(estimator: type, model: ModelSpec) -> Iterator[Problem]:
    yield from _parameters(estimator, model.params, "model.params")
    yield from missing_problems(estimator, {**model.params, **model.param_grid}, "model.params", "parameter")
    for name, values in model.param_grid.items():
        if unknown := list(_unknown(estimator, name, "model.param_grid")):
            yield from unknown
        for value in values:
            yield from _value(estimator, name, value, "model.param_grid")


def _parameters(kind: type, params: Mapping[str, Any], at: str) -> Iterator[Problem]:
    for name, value in params.items():
        yield from _unknown(kind, name, at)
        yield from _value(kind, name, value, at)


def _unknown(kind: type, name: str, at: str) -> Iterator[Problem]:
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


def _value(kind: type, name: str, value: Any, at: str) -> Iterator[Problem]:
    """Yield a value outside the class's ``_parameter_constraints``, which scikit-learn checks in ``fit``."""
    constraints = getattr(kind, "_parameter_constraints", None)
    if not isinstance(constraints, dict) or not isinstance(constraints.get(name), list):
        return  # the class has none, or none for this parameter
    from sklearn.utils._param_validation import make_constraint

    allowed = [make_constraint(constraint) for constraint in constraints[name]]
    if any(constraint.is_satisfied_by(value) for constraint in allowed):
        return
    texts = [str(constraint) for constraint in allowed if not constraint.hidden]
    choices = [name for text in texts if text.startswith("a str among") for name in _names(text)]
    close = suggest(value, choices) if isinstance(value, str) else ""
    yield Problem(f"{at}.{name}", f"should be {_format_constraints(texts)}{format_input(value)}{close}")


def _names(quoted: str) -> list[str]:
    return re.findall(r"'(.*?)'", quoted)


def _format_constraints(constraints: Sequence[str]) -> str:
    """Format scikit-learn's constraints as one choice of what YAML can hold."""
    choices = [choice for text in constraints for choice in re.split(r"(?:,| or) (?=an? |None)", text)]
    said = list(dict.fromkeys(word for choice in choices for word in _words(choice)))
    return " or ".join([", ".join(said[:-1]), said[-1]] if len(said) > 1 else said) or "something else"


def _words(choice: str) -> Sequence[str]:
    """Return a choice in YAML's terms; nothing for what YAML cannot hold, such as a function."""
    if choice.startswith("a str among"):
        return sorted(map(repr, _names(choice)))
    if choice.startswith("an instance of"):
        return _INSTANCES.get(choice.split("'")[1], ())
    return {"None": ["null"], "an array-like": ["a list"], "a callable": []}.get(choice, [choice])


_INSTANCES: Mapping[str, Sequence[str]] = {
    "bool": ["true", "false"],
    "int": ["a whole number"],
    "numbers.Integral": ["a whole number"],
    "numbers.Real": ["a number"],
    "str": ["text"],
    "dict": ["a mapping"],
    "list": ["a list"],
}


def _construction_problems(estimator: type, model: ModelSpec) -> Iterator[Problem]:
    """Yield what the constructor raises, or that a parameter holds text instead of an object."""
    from sklearn.utils import get_tags

    try:
        get_tags(estimator(**model.params))
    except Exception as error:  # noqa: BLE001 - a foreign constructor may raise anything
        text = NO_OBJECT if "__sklearn_tags__" in str(error) else one_line(error)
        yield Problem("model.params", f"{estimator.__name__} cannot be made: {text}")


def _unfitted(estimator: type, model: ModelSpec) -> Any:
    """Return an unfitted estimator, to read its tags; None where it cannot be made or has none."""
    from sklearn.utils import get_tags

    first = {name: values[0] for name, values in model.param_grid.items()}
    for params in ({**first, **model.params}, {}):  # a wrong parameter was reported; without it the tags may be known
        with contextlib.suppress(Exception):  # a foreign constructor may raise anything
            made = estimator(**params)
            get_tags(made)
            return made
    return None


def _search(search: SearchSpec, kind: type | None) -> Iterator[Problem]:
    from sklearn.metrics import get_scorer_names
    from sklearn.model_selection._search import BaseSearchCV

    from orchestrator.search.backend import missing_module

    try:
        found = locate(search.target, "search._target_")
    except SpecError as error:
        yield from error.problems
    else:
        if not (isinstance(found, type) and issubclass(found, BaseSearchCV)):
            text = f"should name a search estimator such as 'orchestrator.search.SharedGridSearchCV', got {format_value(search.target)}"
            yield Problem("search._target_", text)
        else:
            yield from _search_options(found, search)
            if is_halving(search.target):
                yield from _rounds(search, kind)
    if module := missing_module(search.backend):
        yield Problem(
            "search.backend", f"{search.backend} needs {module}; install it with: pip install -e '.[{search.backend}]'"
        )
    known = set(get_scorer_names())
    for name in search.scoring:
        if is_dotted(name):
            yield from scorers.problems(name)
        elif name not in known:
            at = "search.refit" if search.refit == name else "search.scoring"
            yield Problem(at, f"scikit-learn has no scorer '{name}'{suggest_or_list(name, known)}")


def _rounds(search: SearchSpec, estimator: type | None) -> Iterator[Problem]:
    """Yield what a halving search would refuse."""
    factor, resource = search.options.get("factor", 3), search.options.get("resource", ROWS)
    if isinstance(factor, int | float) and 0 < factor <= 1:
        yield Problem("search.factor", f"should be above 1: one candidate in `factor` stays, got {factor}")
    if resource != ROWS and estimator is not None:
        known = parameters_of(estimator)
        if resource not in known:
            text = f"should be {ROWS} or a parameter of {estimator.__name__}, got {format_value(resource)}"
            yield Problem("search.resource", f"{text}{suggest(resource, known)}")


def _search_options(found: type, search: SearchSpec) -> Iterator[Problem]:
    for name, value in search.options.items():
        if name in DECIDED:
            yield Problem(f"search.{name}", f"is decided by {DECIDED[name]}")
        elif name not in (known := parameters_of(found)):
            places = {*known, *type(search).model_fields} - {*DECIDED, "target"}
            yield Problem(f"search.{name}", f"{found.__name__} has no such parameter{suggest_or_list(name, places)}")
        else:
            yield from _value(found, name, value, "search")


def _other_task(estimator: Any, task: str) -> Iterator[Problem]:
    """Yield an estimator that predicts classes where the task is a regression, or the reverse."""
    from sklearn.base import is_classifier, is_regressor

    name = type(estimator).__name__
    if task == "regression" and estimator is not None and is_classifier(estimator):
        yield Problem("model.estimator", f"{name} predicts classes and data.task is regression; {_OF_BOTH_KINDS}")
    if task in {"binary", "multiclass"} and estimator is not None and is_regressor(estimator):
        yield Problem("model.estimator", f"{name} predicts numbers and data.task is {task}; {_OF_BOTH_KINDS}")


def _scorer_kinds(search: SearchSpec, estimator: Any, path: str) -> Iterator[Problem]:
    """Yield classification scorers of a regressor, or the reverse."""
    from sklearn.base import is_classifier, is_regressor

    if estimator is None:
        return
    kinds = list(scorers.metric_kinds(search.scoring))
    name = type(estimator).__name__
    of_classes = [f"'{scorer}'" for kind, scorer in kinds if kind == "classification"]
    of_numbers = [f"'{scorer}'" for kind, scorer in kinds if kind == "regression"]
    if of_classes and is_regressor(estimator):
        text = f"{_scores(of_classes)} classes and {name} predicts numbers; leave them out, or say it: search.scoring=[r2] search.refit=r2"
        yield Problem("search.scoring", text)
    if of_numbers and is_classifier(estimator):
        text = (
            f"{_scores(of_numbers)} numbers and {name} predicts classes; for a regression write data.task=regression, or "
            f"choose a regressor such as model.estimator={_regressor(path)}, for classes search=grid"
        )
        yield Problem("search.scoring", text)


def _regressor(classifier: str) -> str:
    """Return the dotted path of a classifier's regressor, or of one that suits most tables."""
    path = classifier.replace("Classifier", "Regressor")
    with contextlib.suppress(SpecError):
        if path != classifier and locate(path, ""):
            return path
    return "sklearn.ensemble.RandomForestRegressor"


def _scores(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'scores' if len(names) == 1 else 'score'}"
