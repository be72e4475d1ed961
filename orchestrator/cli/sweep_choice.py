"""Choose the best job of a sweep: the highest score or, within one standard error of it, the simplest model.

The rule is Breiman, Friedman, Olshen and Stone's (Classification and Regression Trees, 1984, section 3.4.3): a score that
is less than a standard error below the highest may well be the better one, and the simpler model is easier to serve.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cli.sweep_jobs import SweepJob

# Estimators by complexity, the simplest first; the names are those of classes, without Classifier and Regressor.
FAMILIES: Sequence[Sequence[str]] = (
    ("Dummy",),
    ("LinearRegression", "LogisticRegression", "Ridge", "Lasso", "ElasticNet", "LinearSVC", "LinearSVR"),
    ("GaussianNB", "BernoulliNB", "MultinomialNB", "CategoricalNB"),
    ("DecisionTree", "ExtraTree"),
    ("RandomForest", "ExtraTrees"),
    ("GradientBoosting", "HistGradientBoosting", "LGBM", "XGB", "CatBoost", "AdaBoost"),
    ("Voting", "Stacking"),
)
# Parameters of one estimator by their importance for its complexity; -1 where a higher value makes a simpler model.
PARAMETERS: Mapping[str, int] = {
    "C": 1,
    "alpha": -1,
    "max_depth": 1,
    "depth": 1,
    "max_leaf_nodes": 1,
    "num_leaves": 1,
    "min_samples_leaf": -1,
    "l2_regularization": -1,
    "n_estimators": 1,
    "max_iter": 1,
    "iterations": 1,
}


def choose(jobs: Sequence[SweepJob], rule: str) -> SweepJob | None:
    """Return the best of the jobs that ended well and have a score; None if there is none.

    Of ``one_standard_error`` the candidates are the jobs within one standard error of the highest mean score over the
    folds. The simplest is chosen by :data:`FAMILIES`, then by the :data:`PARAMETERS` of one class, then by the time that
    one fit takes; between classes of one family, and where a family is not known, only that time counts, as nothing else
    can be compared.
    """
    scored = [job for job in jobs if job.scored]
    if not scored:
        return None
    best = max(scored, key=lambda job: job.mean)
    if rule == "best":
        return best
    near = within_one_error(scored, best)
    families = [family for job in near if (family := _family(job.estimator)) is not None]
    if len(families) == len(near):
        near = [job for job in near if _family(job.estimator) == min(families)]
        by_class = {job.estimator: [one for one in near if one.estimator == job.estimator] for job in near}
        near = [min(ones, key=lambda job: (_size_of(job), *_speed(job))) for ones in by_class.values()]
    return min(near, key=_speed)


def within_one_error(jobs: Sequence[SweepJob], best: SweepJob) -> list[SweepJob]:
    """Return the jobs with the best one's metric that are at most one standard error below it; itself if that is unknown."""
    error = best.standard_error
    if math.isnan(error):
        return [best]
    return [job for job in jobs if job.scored and job.metric == best.metric and job.mean >= best.mean - error]


def _family(estimator: str) -> int | None:
    name = estimator.rpartition(".")[2].removesuffix("Classifier").removesuffix("Regressor")
    return next((place for place, names in enumerate(FAMILIES) if name in names), None)


def _speed(job: SweepJob) -> tuple[float, float]:
    """Return a key that is lower for a faster fit, of equally fast ones for the higher score."""
    return (math.inf if math.isnan(job.fit_seconds) else job.fit_seconds), -job.mean


def _size_of(job: SweepJob) -> tuple[float, ...]:
    """Return a key that is lower for a simpler model of one class."""
    return tuple(_size(job.params[name], sign) if name in job.params else 0.0 for name, sign in PARAMETERS.items())


def _size(value: Any, sign: int) -> float:
    """Return a parameter's share in the complexity; None is no limit, so the most complex, as are LightGBM's -1 and XGBoost's 0."""
    if value is None:
        return math.inf
    if not isinstance(value, int | float):
        return 0.0
    return math.inf if sign > 0 and value <= 0 else sign * float(value)
