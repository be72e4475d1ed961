"""Scorers by name: scikit-learn's, those of ``search.scorers``, and those of the project by their dotted path."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

from orchestrator.errors import Problem, SpecError
from orchestrator.modeling.objects import make
from orchestrator.spec.components import is_dotted, locate
from orchestrator.spec.objects import TARGET
from orchestrator.spec.section import Component

Kind = Literal["classification", "regression"]


def scorer_named(name: str, own: Mapping[str, Component]) -> Any:
    """Return the scorer of this name in ``search.scorers`` (``own``), at a dotted path, or in scikit-learn.

    Raises:
        SpecError: there is nothing at the path.
    """
    from sklearn.metrics import get_scorer

    if name in own:
        return make({TARGET: own[name].target, **own[name].options}, f"search.scorers.{name}")
    return locate(name, "search.scoring") if is_dotted(name) else get_scorer(name)


def scoring_of(names: Iterable[str], own: Mapping[str, Component]) -> Any:
    """Return what a search of scikit-learn takes for several metrics: their names, or scorers by name."""
    wanted = [*names]
    by_name = any(is_dotted(name) or name in own for name in wanted)
    return {name: scorer_named(name, own) for name in wanted} if by_name else wanted


def sklearn_names(scoring: Any) -> Iterator[str]:
    """Yield the names of scikit-learn's own scorers in a search's ``scoring``; others may need the real columns."""
    from sklearn.metrics import get_scorer_names

    known = set(get_scorer_names())
    names = [scoring] if isinstance(scoring, str) else [*scoring] if isinstance(scoring, Mapping | list | tuple) else []
    yield from (name for name in names if name in known)


def failing_metrics(scoring: Any, y_train: Any, y_test: Any, *, finite: bool = True) -> list[str]:
    """Return scikit-learn's metrics in ``scoring`` that cannot be computed for a dummy (or, if ``finite``, are not finite)."""
    from sklearn.dummy import DummyClassifier
    from sklearn.metrics import get_scorer

    dummy = DummyClassifier().fit([[0]] * len(y_train), y_train)
    failing = []
    for name in sklearn_names(scoring):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                score = get_scorer(name)(dummy, [[0]] * len(y_test), y_test)
        except ValueError:
            failing.append(name)
        else:
            failing += [name] if finite and not math.isfinite(score) else []
    return failing


def metric_kinds(names: Iterable[str]) -> Iterator[tuple[Kind, str]]:
    """Yield scikit-learn's scorers among these with what they score; a scorer's module says which it is."""
    from sklearn.metrics import get_scorer, get_scorer_names

    known = set(get_scorer_names())
    for name in names:
        module = get_scorer(name)._score_func.__module__ if name in known else ""  # noqa: SLF001
        if module.endswith(("_classification", "_ranking")):
            yield "classification", name
        elif module.endswith("_regression"):
            yield "regression", name


def problems(path: str) -> Iterator[Problem]:
    """Yield why what a dotted path names is no scorer, which is called with an estimator, rows and labels."""
    try:
        scorer = locate(path, "search.scoring")
    except SpecError as error:
        yield from error.problems
        return
    wanted = "should name a scorer: sklearn.metrics.make_scorer(...), or a function of (estimator, X, y)"
    if not callable(scorer) or isinstance(scorer, type):
        yield Problem("search.scoring", f"{wanted}, got '{path}'")
    elif inspect.isfunction(scorer):
        parameters = [*inspect.signature(scorer).parameters]
        if len(parameters) < 3 or parameters[0].startswith("y"):
            yield Problem("search.scoring", f"{wanted}, got '{path}({', '.join(parameters)})'")
