"""Boosting that stops early: each fit sets some of its rows aside, and adds no tree once their score gets no better.

What ships is the library's own estimator, without this one around it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sklearn.base import BaseEstimator, clone, is_classifier
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.metaestimators import available_if

from orchestrator.errors import DataError
from orchestrator.modeling.boosting_libraries import library_of
from orchestrator.modeling.labels import MODEL
from orchestrator.spec.split import SplitSpec

KEYS = "keys"  # the parameter of fit with the rows' groups or times
# names of the number of trees; LightGBM takes any of them, and n_estimators only counts where no other one is set
_TREES = {"n_estimators", "iterations", "max_iter", "n_iter", "nrounds"} | {
    "num_boost_round", "num_iteration", "num_iterations", "num_round", "num_rounds", "num_tree", "num_trees"
}  # fmt: skip
_KINDS = ("boosting_type", "boosting", "boost", "booster")  # names of what is boosted

_METRICS = ("metric", "metrics", "metric_types")  # LightGBM's names of what it computes, and what it takes for none
_NO_METRIC = {"none", "null", "custom", "na"}


@dataclass(frozen=True)
class SetAside:
    """Which rows of a fit are set aside: a share of them, by the rule by which rows of the table are held out."""

    test_size: float
    stratify: bool
    split: SplitSpec

    @property
    def by_keys(self) -> bool:
        """Whether groups or times decide; otherwise the rows are drawn."""
        return self.split.rule in {"group", "time"}


def _has(name: str) -> Any:
    return available_if(lambda self: hasattr(self.estimator, name))


class EarlyStopping(BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Fits an estimator of LightGBM, XGBoost or CatBoost on a part of the rows, and stops by the score of the others.

    Its parameters are those of the estimator, whose number of trees is the most there can be and whose seed draws the rows.

    Attributes:
        estimator: The unfitted estimator.
        rounds: Trees (for several classes: one for each) without a better score after which it stops.
        rule: Which rows are set aside.
        estimator_: The fitted estimator, which predicts with the trees up to the best score.
        trees_: The number of these.
    """

    def __init__(self, estimator: Any, rounds: int, rule: SetAside) -> None:
        self.estimator, self.rounds, self.rule = estimator, rounds, rule

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of the estimator."""
        params: dict[str, Any] = self.estimator.get_params(deep=deep)
        return params

    def set_params(self, **params: Any) -> EarlyStopping:
        """Set parameters of the estimator."""
        self.estimator.set_params(**params)
        return self

    def __sklearn_clone__(self) -> EarlyStopping:
        return type(self)(clone(self.estimator), self.rounds, self.rule)

    def __sklearn_tags__(self) -> Any:
        return get_tags(self.estimator)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def fit(self, X: Any, y: Any, sample_weight: Any = None, keys: Any = None) -> EarlyStopping:
        """Fit to rows ``X`` (n_rows, n_features) and ``y`` (n_rows,), whose groups or times are ``keys`` (n_rows,).

        Raises:
            DataError: too few rows, groups or times to set some aside, or a class would have none to learn from.
        """
        rows, others = self._sides(y, keys)
        fit, aside = _taken(X, y, sample_weight, rows), _taken(X, y, sample_weight, others)
        weights = aside[2]
        if weights is not None and not weights.any():
            raise DataError(
                f"data.weight: is 0 in all {len(weights):,} rows that model.early_stopping sets aside of a fit"
            )
        model = clone(self.estimator)
        self.trees_ = _FITS[library_of(type(model))](model, self.rounds, fit, aside)
        self.estimator_ = model
        if is_classifier(model):
            self.classes_ = model.classes_
        return self

    def _sides(self, y: Any, keys: Any) -> tuple[Any, Any]:
        """Return the positions of the rows that trees are fitted on, and of those that the score is of."""
        import pandas as pd

        from orchestrator.modeling.splitting.holdout import hold_out

        target, by = pd.Series(y), pd.Series(keys) if self.rule.by_keys else None
        classified = is_classifier(self.estimator)
        try:
            held = hold_out(target, by, self.rule, self._seed, classified=classified)
        except DataError as error:
            reason = str(error).partition(": ")[2]
            raise DataError(
                f"model.early_stopping: no rows to stop by among the {len(target):,} of a fit: {reason}"
            ) from error
        if classified and (lost := sorted({*target} - {*target.iloc[held.train]})):
            raise DataError(
                f"model.early_stopping: of {len(target):,} rows of a fit those set aside are all that is of {len(lost)} of "
                f"{target.nunique()} classes; set fewer aside (model.early_stopping.share), or leave early stopping out"
            )
        return held.train, held.test

    @property
    def _seed(self) -> int:
        params = self.get_params()
        seed = next((params[name] for name in ("random_state", "random_seed") if name in params), None)
        return seed if isinstance(seed, int) else 0

    def predict(self, X: Any) -> Any:
        """Predict a label or a number for each row (n_rows,)."""
        return self.estimator_.predict(X)

    @_has("predict_proba")  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:
        """Predict the probability of each class (n_rows, n_classes)."""
        return self.estimator_.predict_proba(X)


def refusal(kind: type, params: Mapping[str, Any], grid: Mapping[str, Sequence[Any]]) -> str:
    """Return why estimators of a class, with these parameters, do not stop early; "" if they do."""
    name = kind.__name__
    if not library_of(kind):
        known = inspect.signature(kind).parameters
        own = next((each for each in ("early_stopping", "n_iter_no_change") if each in known), "")
        remedy = f"set model.params.{own} for one of its own" if own else "leave it out"
        return f"is for LightGBM, XGBoost and CatBoost, and model.estimator is {name}; {remedy}"
    if name.startswith("XGBRF"):
        return f"{name} fits all its trees at once, so there is nothing to stop; leave it out"
    if any("dart" in (params.get(each), *grid.get(each, ())) for each in _KINDS):
        return f"{name} of dart weighs earlier trees anew, so there is no best number of them; leave it out, or use gbdt or gbtree"
    if library_of(kind) == "lightgbm" and "eval_metric" in {*params, *grid}:
        return f"{name} does not read eval_metric, which would stop it; write model.params.metric"
    chosen = {f"model.params.{key}": (params[key],) for key in _METRICS if key in params}
    chosen |= {f"model.param_grid.{key}": tuple(grid[key]) for key in _METRICS if key in grid}
    if library_of(kind) == "lightgbm" and (
        none := [at for at, metrics in chosen.items() if any(map(_is_none, metrics))]
    ):
        return (
            f"{name} would have no score to stop by with {none[0]}=None; leave that out, or write a metric such as auc"
        )
    return ""


def _is_none(metric: object) -> bool:
    """Return whether LightGBM takes this for no metric at all."""
    names = metric.split(",") if isinstance(metric, str) else metric
    return (
        isinstance(names, Sequence) and bool(names) and all(str(each).strip().lower() in _NO_METRIC for each in names)
    )


def fit_params(model: Any, keys: Any) -> dict[str, Any]:
    """Return what a fit of a pipeline with this last step takes of the rows' groups or times ``keys`` (n_rows,)."""
    return {f"{MODEL}__{KEYS}": keys} if isinstance(model, EarlyStopping) and model.rule.by_keys else {}


def unwrap(pipeline: Any) -> int | None:
    """Put the library's own estimator in the place of a fitted last step that stopped early; return its number of trees."""
    name, model = pipeline.steps[-1]
    if not isinstance(model, EarlyStopping):
        return None
    pipeline.steps[-1] = (name, model.estimator_)
    trees: int = model.trees_
    return trees


def set_trees(unfitted: Any, stopped: Any, trees: int) -> None:
    """Let an unfitted estimator fit as many trees as one that stopped, each with the same step."""
    known = unfitted.get_params()
    unfitted.set_params(**dict.fromkeys(_TREES & {*known} or {"iterations"}, trees))
    if hasattr(stopped, "get_all_params"):  # CatBoost derives these from the number of trees
        chosen = stopped.get_all_params()
        unfitted.set_params(**{name: chosen[name] for name in ("learning_rate", "leaf_estimation_iterations")})


Side = tuple[Any, Any, Any]  # X, y, and weights or None


def _taken(X: Any, y: Any, weights: Any, rows: Any) -> Side:
    return _safe_indexing(X, rows), _safe_indexing(y, rows), None if weights is None else _safe_indexing(weights, rows)


def _fit_lightgbm(model: Any, rounds: int, fit: Side, aside: Side) -> int:
    from lightgbm import early_stopping

    later = "eval_X" in inspect.signature(model.fit).parameters  # version 4.7 warns of eval_set
    where = {"eval_X": aside[0], "eval_y": aside[1]} if later else {"eval_set": [aside[:2]]}
    weights = None if aside[2] is None else [aside[2]]
    callbacks = [early_stopping(rounds, verbose=False)]
    model.fit(fit[0], fit[1], sample_weight=fit[2], eval_sample_weight=weights, callbacks=callbacks, **where)
    return int(model.best_iteration_)


def _fit_xgboost(model: Any, rounds: int, fit: Side, aside: Side) -> int:
    weights = None if aside[2] is None else [aside[2]]
    model.set_params(early_stopping_rounds=rounds).fit(
        fit[0], fit[1], sample_weight=fit[2], eval_set=[aside[:2]], sample_weight_eval_set=weights, verbose=False
    )
    model.set_params(early_stopping_rounds=None)  # so that a clone can be fitted without rows set aside
    return int(model.best_iteration) + 1


def _fit_catboost(model: Any, rounds: int, fit: Side, aside: Side) -> int:
    from catboost import Pool

    named = model.get_params().get("cat_features")
    native = hasattr(model, "make_pool")
    pool = model.make_pool(*aside) if native else Pool(*aside[:2], weight=aside[2], cat_features=named)
    model.fit(fit[0], fit[1], sample_weight=fit[2], eval_set=pool, early_stopping_rounds=rounds, verbose=False)
    return int(model.tree_count_)


_FITS: Mapping[str, Callable[[Any, int, Side, Side], int]] = {
    "lightgbm": _fit_lightgbm,
    "xgboost": _fit_xgboost,
    "catboost": _fit_catboost,
}
