"""Trial fits on a few synthetic rows: find combinations of parameters that the estimator always refuses.

Only what cannot depend on the data is reported: scikit-learn's own estimator raises the same error for two tables of
different shapes, the text names the candidate's own parameters, and it does not speak of rows, columns or classes.
"""

from __future__ import annotations

import random
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from orchestrator.errors import Problem
from orchestrator.modeling.labels import BY_LABEL, IN_ORDER, ONE_LABEL
from orchestrator.modeling.objects import make_estimator, make_grid, make_options
from orchestrator.spec.messages import format_params, one_line
from orchestrator.spec.model import ModelSpec
from orchestrator.spec.objects import code_of, objects_in

MOST = 200  # kinds of candidates that are tried; of more, this number is drawn
CHEAP = {"n_estimators": 2, "max_iter": 2, "n_iter": 2, "n_restarts_optimizer": 0, "n_iter_no_change": 2}
QUIET = {"n_jobs": None, "verbose": 0}
SHAPES = ((48, 4), (90, 7))  # rows and columns
MOST_NESTED = 12  # the same where objects lie in parameters, each of which is fitted several times
NO_OBJECT = "text stands in the place of an object; describe it: {_target_: package.module.Class, option: value}"
FOR_OBJECT = re.compile("'(str|dict|list)' object has no attribute")  # text where an estimator should be
OF_DATA = re.compile(
    r"\b(n_)?(samples?|features?|class(es)?|labels?|targets?|dimensions?|shape|columns?|rows?|matrix|array|outputs?)\b"
    r"|\b[Xy]\b|NaN",
)


def impossible_candidates(model: ModelSpec) -> Iterator[Problem]:
    """Yield a problem for each distinct error that some candidates always meet in ``fit``."""
    from sklearn.model_selection import ParameterGrid

    made = make_estimator(model.estimator, model.params, model.param_grid)
    kind = type(made)
    if not all(
        name.startswith("sklearn.") for name in [f"{kind.__module__}.", *code_of(model.params, model.param_grid)]
    ):
        return  # a fit of others may be neither cheap nor without effects
    values = make_grid(made, model.param_grid, "model.param_grid")
    grid = {name: _kinds(each) for name, each in values.items() if not _is_of_labels(name)}
    params = make_options(kind, model.params, "model.params")
    fixed = {name: value for name, value in params.items() if not _is_of_labels(name)}
    candidates = ParameterGrid(grid)
    places: Sequence[int] = range(len(candidates))
    most = MOST_NESTED if any(objects_in([model.params, model.param_grid], "")) else MOST
    if len(places) > most:
        places = random.Random(0).sample(places, most)  # noqa: S311 - no secret
    reported = set()
    for place in places:
        picked = candidates[place]
        candidate = {**fixed, **{name: picked[name] for name in grid}}  # in the order of the grid
        text = _error_of(kind, candidate, SHAPES[0])
        if FOR_OBJECT.search(text):
            yield Problem("model.params", f"{kind.__name__}: {NO_OBJECT}")
            return
        if text and text not in reported and _is_certain(text, candidate):
            if text != _error_of(kind, candidate, SHAPES[1]):
                continue
            reported.add(text)
            named = _decisive(kind, candidate, grid, text)
            where = "model.param_grid" if named.keys() & grid.keys() else "model.params"
            advice = "; search.on_error=skip leaves out such candidates" if len(candidates) > 1 else ""
            yield Problem(where, f"{kind.__name__} refuses {format_params(named)}: {text.rstrip('.')}{advice}")


def _is_of_labels(name: str) -> bool:
    """Return whether a value depends on the labels, which the synthetic rows do not have."""
    return name.rpartition("__")[2] in BY_LABEL | IN_ORDER | ONE_LABEL


def _kinds(values: Sequence[Any]) -> list[Any]:
    """Return one number of each type, and everything else: the size of a number rarely makes a combination impossible."""
    found: dict[Any, Any] = {}
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        found.setdefault(type(value) if number else repr(value), value)
    return list(found.values())


def _cheaper(params: Mapping[str, Any]) -> dict[str, Any]:
    bare = {name: name.rpartition("__")[2] for name in params}
    less = {
        name: CHEAP[last]
        for name, last in bare.items()
        if last in CHEAP and isinstance(params[name], int) and params[name] > CHEAP[last]
    }
    quiet = {name: QUIET[last] for name, last in bare.items() if last in QUIET}
    weights = {name: None for name, value in params.items() if _is_of_labels(name) and isinstance(value, Mapping)}
    return less | quiet | weights


def _error_of(kind: type, params: Mapping[str, Any], shape: tuple[int, int]) -> str:
    """Return the error of a fit on synthetic rows, or an empty text. NumPy's global random state is restored."""
    import numpy as np
    from sklearn.base import clone, is_classifier

    try:
        estimator = clone(kind(**{name: value for name, value in params.items() if "__" not in name}))
        estimator.set_params(**clone({name: value for name, value in params.items() if "__" in name}, safe=False))
        estimator.set_params(**_cheaper(estimator.get_params(deep=True)))
        classifies = is_classifier(estimator)
    except Exception:  # noqa: BLE001 - another check's finding
        return ""
    rng, state = np.random.default_rng(0), np.random.get_state()  # noqa: NPY002 - scikit-learn draws from it
    X = rng.integers(0, 5, shape).astype(float)
    y = np.arange(shape[0]) % 2 if classifies else rng.random(shape[0]) + 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(X, y)
    except Exception as error:  # noqa: BLE001 - its text is the result
        return one_line(error)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    return ""


def _is_certain(text: str, candidate: Mapping[str, Any]) -> bool:
    return not OF_DATA.search(text) and bool(_named(candidate, text))


def _decisive(kind: type, candidate: Mapping[str, Any], grid: Mapping[str, Sequence[Any]], text: str) -> dict[str, Any]:
    """Return the parameters that an error names, and those of the grid whose other values give another error or none."""
    named = set(_named(candidate, text))
    for name, values in grid.items():
        others = [{**candidate, name: value} for value in values if value != candidate[name]]
        if name not in named and any(_error_of(kind, other, SHAPES[0]) != text for other in others):
            named.add(name)
    return {name: value for name, value in candidate.items() if name in named}


def _named(candidate: Mapping[str, Any], text: str) -> dict[str, Any]:
    """Return the parameters whose names or values occur in an error's text; numbers do not count."""
    words = set(re.findall(r"\w[\w-]*", text))
    return {
        name: value for name, value in candidate.items() if name in words or (isinstance(value, str) and value in words)
    }
