"""Weights of rows: what takes them, and the parameters by which fits and scorers get them.

Only the last step of a pipeline is fitted by weights; preprocessing counts rows.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from orchestrator.errors import DataError
from orchestrator.modeling.labels import MODEL

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from orchestrator.modeling.splitting.folds import Folds

NAME = "sample_weight"  # in scikit-learn, and in libraries with its interface
_GRIDS = ("param_grid", "param_distributions")  # where a search keeps its grid


@dataclass(frozen=True)
class RowWeights:
    """The weights of training rows ``train`` (n_train,) and hold-out rows ``test`` (n_test,), from a ``column``.

    ``obstacle`` says which part of the estimator takes no weights: then they count in scores alone. "" if all of it does.
    """

    column: str
    train: pd.Series
    test: pd.Series
    obstacle: str = ""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences on what may mislead."""
        text = f"data.weight: {self.obstacle}: each row counts alike in its fits, and by '{self.column}' in the scores"
        return (text,) if self.obstacle else ()

    def fit_params(self, *, all_rows: bool = False) -> dict[str, Any]:
        """Return what a fit of the pipeline on the training rows takes, or on these and then the hold-out rows."""
        import numpy as np

        if self.obstacle:
            return {}
        weights = np.concatenate([self.train, self.test]) if all_rows else self.train.to_numpy()
        return {f"{MODEL}__{NAME}": weights}

    def score_params(self, *, training: bool = False) -> dict[str, Any]:
        """Return what a scorer of the hold-out rows (or of the training rows) takes."""
        return {NAME: (self.train if training else self.test).to_numpy()}


def weigh(
    column: str, weights: pd.Series, train: np.ndarray, test: np.ndarray, folds: Folds, search: Any
) -> RowWeights:
    """Return the weights (n_rows,) by the positions of the parts' rows; ``folds`` are positions of training rows.

    Raises:
        DataError: all rows of a part or of a side of a fold have the weight 0.
    """
    found = RowWeights(column, weights.iloc[train], weights.iloc[test], fit_obstacle(search))
    sides = [("training rows", found.train), ("hold-out rows", found.test)]
    for at, (fit, score) in enumerate(folds, 1):
        sides += [(f"rows that fold {at} of {len(folds)} learns from", found.train.iloc[fit])]
        sides += [(f"rows that fold {at} of {len(folds)} is scored on", found.train.iloc[score])]
    for said, part in sides:
        if not part.any():
            raise DataError(
                f"data.weight: '{column}' is 0 in all {len(part):,} {said}; choose another split (data.split, search.cv), or "
                "other weights"
            )
    return found


def check_classes(
    weights: RowWeights, y: pd.Series, classes: Sequence[Any], folds: Folds | int, failing: Callable[..., Sequence[str]]
) -> None:
    """Check that rows of weight 0 leave each fold of the training rows ``y`` (n_train,) the classes that it needs.

    A number of ``folds`` is scikit-learn's to make. ``failing`` returns the metrics that cannot be computed for the labels
    to fit on and to score on.

    Raises:
        DataError: the text names the fold and the class.
    """
    from sklearn.model_selection import StratifiedKFold

    from orchestrator.modeling.splitting.folds import check_folds

    counts = weights.train.to_numpy() > 0
    if counts.all():
        return
    made = StratifiedKFold(folds).split(counts, y) if isinstance(folds, int) else folds
    counted = [(fit if weights.obstacle else fit[counts[fit]], score[counts[score]]) for fit, score in made]
    check_folds(counted, y, classes, failing, f" whose weight ('{weights.column}') is above 0")


def score_params(weights: RowWeights | None) -> Mapping[str, Any]:
    """Return what a scorer of the hold-out rows takes; nothing where all rows count alike."""
    return {} if weights is None else weights.score_params()


def scorer_takes_weights(scorer: Any) -> bool:
    """Return whether a scorer of scikit-learn's ``make_scorer`` computes a metric that takes weights.

    A function of (estimator, X, y) gets none: scikit-learn does not ask for its parameters.
    """
    metric = getattr(scorer, "_score_func", None)
    return metric is not None and NAME in inspect.signature(metric).parameters


def fit_obstacle(search: Any) -> str:
    """Return which part of what a search fits takes no weights; "" if its last step and all predictors in it do."""
    from orchestrator.modeling.calibration import uncalibrated

    model = uncalibrated(search.estimator[-1])
    name = type(model).__name__
    if not _takes_weights(model):
        return f"{name} takes no weights"
    values = [value for grid in _GRIDS for each in dict(getattr(search, grid, None) or {}).values() for value in each]
    for part in _predictors([model, *values]):
        if not _takes_weights(part):
            return f"{name} takes no weights, since {type(part).__name__} in it takes none"
    return ""


def _takes_weights(estimator: Any) -> bool:
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.ensemble import StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor

    passing = (StackingClassifier, StackingRegressor, VotingClassifier, VotingRegressor, TransformedTargetRegressor)
    return isinstance(estimator, passing) or NAME in inspect.signature(estimator.fit).parameters


def _predictors(values: Sequence[Any]) -> Iterator[Any]:
    """Yield the predictors among values and in their parameters, at any depth."""
    for value in values:
        if hasattr(value, "get_params") and not isinstance(value, type):
            for each in (value, *value.get_params(deep=True).values()):
                if hasattr(each, "fit") and hasattr(each, "predict") and not isinstance(each, type):
                    yield each
