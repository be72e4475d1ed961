"""Find what scikit-learn would refuse in ``fit``: estimators, transformers, their parameters and values, scorers.

Classes are imported and asked; nothing is called whose kind was not checked, and only scikit-learn's own estimators are
fitted, on a few made-up rows (:mod:`orchestrator.config.trial_fit`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.config import object_checks
from orchestrator.config.object_checks import scorer_problems
from orchestrator.config.trial_fit import NO_OBJECT, impossible_candidates
from orchestrator.errors import Problem, SpecError
from orchestrator.modeling import native_categories, scorers
from orchestrator.modeling.halving import ROWS, is_halving
from orchestrator.modeling.objects import make_estimator, make_options
from orchestrator.spec.components import is_dotted, locate, missing_problems, parameters_of
from orchestrator.spec.messages import format_value, one_line, suggest, suggest_or_list
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.objects import objects_in, outermost
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
        wrong = list(_model(estimator, model)) or list(_construction_problems(estimator, model))
        wrong += _early_stopping(estimator, model)
        if not wrong and search.on_error == "stop":
            wrong = list(impossible_candidates(model))
        yield from wrong
    for at, component in preprocess.components():
        if estimator is not None and (text := native_categories.refusal(component, preprocess, estimator, model)):
            yield Problem(at, text)
        transformer, found = _class(component.target, f"{at}._target_", "a transformer", "transform")
        yield from found
        if transformer is not None:
            yield from object_checks.parameter_problems(transformer, component.options, at)
            yield from missing_problems(transformer, component.options, at, "parameter")
            if (
                preprocess.output == "pandas"
                and ".branches." in at
                and not hasattr(transformer, "get_feature_names_out")
            ):
                text = f"{transformer.__name__} gives no names of columns (get_feature_names_out)"
                yield Problem(at, f"{text}, which preprocess.output=pandas needs; take another one, or output=default")
    if preprocess.output == "pandas" and not preprocess.branches:
        yield Problem("preprocess.output", "is what the branches give, and there are none; leave it out")
    made = None if estimator is None else unfitted(estimator, model)
    yield from _search(search, made, estimator)
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
    text = f"should name {said} class with fit and {method}, got '{path}'"
    if method == "transform" and callable(getattr(found, "fit_resample", None)):  # it acts in fit alone
        text += "; a resampler is a step of imblearn.pipeline.Pipeline, in model.estimator"
    return None, [Problem(at, text)]


def _model(estimator: type, model: ModelSpec) -> Iterator[Problem]:
    yield from object_checks.parameter_problems(estimator, model.params, "model.params")
    yield from missing_problems(estimator, {**model.params, **model.param_grid}, "model.params", "parameter")
    if _is_nested(model):  # names of the grid may reach into the objects, so these are made first
        for path, described in outermost(model.param_grid, "model.param_grid"):
            yield from object_checks.object_problems(described, path)
        return
    for name, values in model.param_grid.items():
        if unknown := list(object_checks.unknown_problems(estimator, name, "model.param_grid")):
            yield from unknown
        for value in values:
            yield from object_checks.value_problems(estimator, name, value, f"model.param_grid.{name}")


def _early_stopping(estimator: type, model: ModelSpec) -> list[Problem]:
    if model.early_stopping.rounds is None:
        return []
    from orchestrator.modeling.early_stopping import refusal

    text = refusal(estimator, model.params, model.param_grid)
    return [Problem("model.early_stopping", text)] if text else []


def _is_nested(model: ModelSpec) -> bool:
    return any("__" in name for name in model.param_grid) or any(objects_in([model.params, model.param_grid], ""))


def _construction_problems(estimator: type, model: ModelSpec) -> Iterator[Problem]:
    """Yield what the constructor raises, that a parameter holds text instead of an object, and a grid's mistakes."""
    from sklearn.utils import get_tags

    try:
        made = make_estimator(model.estimator, model.params, model.param_grid)
        get_tags(made)
    except Exception as error:  # noqa: BLE001 - a foreign constructor may raise anything
        text = NO_OBJECT if "__sklearn_tags__" in str(error) else one_line(error)
        yield Problem("model.params", f"{estimator.__name__} cannot be made: {text}")
        return
    if _is_nested(model):
        yield from object_checks.grid_problems(made, model.param_grid, "model.param_grid")


def unfitted(estimator: type, model: ModelSpec) -> Any:
    """Return an unfitted estimator, to read its tags; None where it cannot be made or has none."""
    from sklearn.utils import get_tags

    first = {name: values[0] for name, values in model.param_grid.items() if "__" not in name}
    for params in ({**first, **model.params}, {}):  # a wrong parameter was reported; without it the tags may be known
        with contextlib.suppress(Exception):  # a foreign constructor may raise anything
            made = estimator(**make_options(estimator, params, "model.params"))
            get_tags(made)
            return made
    return None


def _search(search: SearchSpec, made: Any, kind: type | None) -> Iterator[Problem]:
    from sklearn.model_selection._search import BaseSearchCV

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
                yield from _rounds(search, made, kind)
    yield from _scoring(search)


def _scoring(search: SearchSpec) -> Iterator[Problem]:
    """Yield scorers that do not exist, and wrong ones of ``search.scorers``."""
    from sklearn.metrics import get_scorer_names

    known = set(get_scorer_names())
    for name, scorer in search.scorers.items():
        at = f"search.scorers.{name}"
        if name in known:
            yield Problem(at, f"scikit-learn has a scorer '{name}'; choose another name")
        yield from scorer_problems(scorer, at)
    for name in search.scoring:
        if is_dotted(name):
            yield from scorers.problems(name)
        elif name not in known and name not in search.scorers:
            at = "search.refit" if search.refit == name else "search.scoring"
            near = suggest_or_list(name, {*known, *search.scorers})
            yield Problem(at, f"scikit-learn has no scorer '{name}'{near}")


def _rounds(search: SearchSpec, made: Any, estimator: type | None) -> Iterator[Problem]:
    """Yield what a halving search would refuse."""
    factor, resource = search.options.get("factor", 3), search.options.get("resource", ROWS)
    if isinstance(factor, int | float) and 0 < factor <= 1:
        yield Problem("search.factor", f"should be above 1: one candidate in `factor` stays, got {factor}")
    if resource != ROWS and estimator is not None:
        known = {*parameters_of(estimator), *(made.get_params(deep=True) if hasattr(made, "get_params") else ())}
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
            yield from object_checks.value_problems(found, name, value, f"search.{name}")


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
