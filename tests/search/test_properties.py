"""Random pipelines, grids and data: the results equal scikit-learn's, whatever is shared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

Same = Callable[..., Any]

STEPS: dict[str, tuple[Any, dict[str, list[Any]]]] = {
    "impute": (SimpleImputer(), {"strategy": ["mean", "median"], "add_indicator": [True, False]}),
    "scale": (StandardScaler(), {"with_mean": [True, False], "copy": [True, False]}),
    "squeeze": (MinMaxScaler(), {"clip": [True, False], "copy": [False]}),
    "select": (SelectKBest(k=2), {"k": [1, 2, 3, 99]}),
    "turn": (PCA(2, random_state=0), {"n_components": [1, 2], "whiten": [True, False], "random_state": [0, None]}),
}
SIZES = {"n_estimators": [1, 2, 3, 5, 8, 0]}
MODELS: list[tuple[Any, dict[str, list[Any]]]] = [
    (RandomForestClassifier(random_state=0), {**SIZES, "bootstrap": [True, False], "random_state": [0, 1, None]}),
    (ExtraTreesClassifier(random_state=0), {**SIZES, "max_features": ["sqrt", 1, None]}),
    (GradientBoostingClassifier(random_state=0), {**SIZES, "subsample": [1.0, 0.5], "n_iter_no_change": [None, 1]}),
    (
        HistGradientBoostingClassifier(random_state=0, min_samples_leaf=3),
        {"max_iter": [1, 3, 6], "max_features": [1.0, 0.5]},
    ),
    (AdaBoostClassifier(random_state=0), {**SIZES, "learning_rate": [0.5, 1.0]}),
    (BaggingClassifier(random_state=0), {**SIZES, "max_samples": [0.5, 1.0], "oob_score": [False, True]}),
    (KNeighborsClassifier(), {"n_neighbors": [1, 2, 3, 7, 50], "weights": ["uniform", "distance"], "p": [1, 2, 3]}),
    (LogisticRegression(), {"C": [0.1, 1.0, -1.0], "solver": ["lbfgs", "saga"], "max_iter": [3, 9]}),
    (DecisionTreeClassifier(), {"max_depth": [1, 2], "random_state": [0, None]}),
    (SVC(), {"C": [0.1, 1.0]}),
]


@st.composite
def searches(draw: st.DrawFn) -> dict[str, Any]:
    """Draw an estimator, its grid, data, and options of the search."""
    names = ["impute", *draw(st.lists(st.sampled_from([*STEPS][1:]), unique=True, max_size=3))]
    last, values = draw(st.sampled_from(MODELS))
    bare = draw(st.booleans())
    named = {f"{'' if bare else 'model__'}{name}": some for name, some in values.items()}
    if not bare:
        named |= {f"{name}__{parameter}": some for name in names for parameter, some in STEPS[name][1].items()}
        named |= {name: ["passthrough", STEPS[name][0]] for name in names[1:]}
    grids = []
    for _ in range(draw(st.integers(1, 2))):
        chosen = draw(st.lists(st.sampled_from(sorted(named)), min_size=1, max_size=3, unique=True))
        grids.append({name: draw(st.lists(st.sampled_from(named[name]), min_size=1, max_size=3)) for name in chosen})
    rng = np.random.default_rng(draw(st.integers(0, 9)))
    X = rng.normal(size=(draw(st.integers(24, 60)), 4)).round(draw(st.integers(0, 3)))
    y = (X[:, 0] + rng.normal(size=len(X)) > 0).astype(int) + draw(st.integers(0, 1)) * (X[:, 1] > 1)
    if not bare:
        X[rng.uniform(size=X.shape) < 0.05] = np.nan
    frame = draw(st.booleans())
    scoring = draw(st.sampled_from([None, "f1_macro", ["accuracy", "precision", "recall", "f1"], ["roc_auc", "f1"]]))
    return {
        "estimator": last if bare else Pipeline([*((name, STEPS[name][0]) for name in names), ("model", last)]),
        "grid": grids,
        "X": pd.DataFrame(X, columns=[*"abcd"]) if frame else X,
        "y": pd.Series(y) if frame else y,
        "scoring": scoring,
        "refit": "f1" if isinstance(scoring, list) else True,
        "return_train_score": draw(st.booleans()),
        "error_score": -1.0,
        "cv": draw(st.sampled_from([2, 3])),
    }


@settings(max_examples=max(1, settings().max_examples // 25), derandomize=True, suppress_health_check=list(HealthCheck))
@given(searches())
def test_a_drawn_search_equals_scikit_learns(compare: Same, drawn: dict[str, Any]) -> None:
    compare(**drawn)
