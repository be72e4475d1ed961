"""Calibrated probabilities: scikit-learn's own, on folds by the split's rule, searched like a parameter, and as they ship."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.svm import LinearSVC

from orchestrator.artifacts import Split, Trained
from orchestrator.caching.cache import CheckpointDir
from orchestrator.errors import DataError
from orchestrator.events import Progress
from orchestrator.modeling.calibration import Calibrated
from orchestrator.modeling.threshold import fit_part
from orchestrator.packaging.pickling import round_trip
from orchestrator.packaging.refit import fit_again
from orchestrator.spec.model import ModelSpec, PreprocessSpec
from orchestrator.spec.named_code import NamedCode
from orchestrator.spec.split import SplitSpec
from orchestrator.stages.train import build_search, train
from tests.stages.conftest import Kit

BY_GROUP = SplitSpec(rule="group", by="person")
BY_TIME = SplitSpec(rule="time", by="day")


def rows(count: int = 100) -> tuple[pd.DataFrame, Any]:
    rng = np.random.default_rng(0)
    y = np.arange(count) % 2
    return pd.DataFrame({"a": y + rng.normal(0, 1.5, count), "b": rng.normal(size=count)}), pd.Series(y)


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_it_is_scikit_learns_own_with_the_classifiers_parameters(method: str) -> None:
    X, y = rows()
    X.index = y.index = pd.RangeIndex(1000, 1100)  # of training rows, which need not begin with 0
    made = LogisticRegression(C=0.1)
    model = clone(Calibrated(made, method, SplitSpec()).set_params(C=0.5))
    assert is_classifier(model)
    assert model.get_params() == {**made.set_params(C=0.5).get_params(), "calibrate": method}
    weights = np.random.default_rng(1).uniform(0.5, 2, len(X))
    fitted = model.fit(X, y, sample_weight=weights)
    expected = CalibratedClassifierCV(made, method=method, cv=5, ensemble=False).fit(X, y.to_numpy(), weights)
    assert fitted.predict_proba(X).tolist() == expected.predict_proba(X).tolist()
    assert fitted.predict(X).tolist() == expected.predict(X).tolist()
    assert len(fitted.estimator_.calibrated_classifiers_) == 1  # and so a request costs one prediction


def test_without_a_method_it_is_the_classifier_itself() -> None:
    X, y = rows()
    plain = Calibrated(LinearSVC(random_state=0), "none", SplitSpec())
    assert not hasattr(plain, "predict_proba")
    assert (
        plain.fit(X, y).decision_function(X).tolist()
        == LinearSVC(random_state=0).fit(X, y).decision_function(X).tolist()
    )
    probable = clone(plain).set_params(calibrate="sigmoid")
    assert hasattr(probable, "predict_proba")
    assert probable.fit(X, y).predict_proba(X).shape == (100, 2)
    assert not hasattr(probable, "decision_function")


class Memorising(RandomForestClassifier):  # type: ignore[misc]  # untyped base
    """Keeps which rows its fits have seen."""

    seen: list[set[int]] = []  # noqa: RUF012

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        self.seen.append(set(X["row"]))
        return super().fit(X, y, sample_weight)


def test_groups_are_never_on_both_sides_and_times_only_before() -> None:
    X, y = rows(60)
    X = X.assign(row=range(60))
    groups = np.repeat(np.arange(20), 3)
    forest = Memorising(n_estimators=2, random_state=0)
    Memorising.seen = []
    Calibrated(forest, "sigmoid", BY_GROUP).fit(X, y, keys=groups)
    *inner, last = Memorising.seen
    assert last == set(range(60))
    assert len(inner) == 5
    folds = StratifiedGroupKFold(5).split(X, y, groups)
    assert inner == [set(fit.tolist()) for fit, _ in folds]
    Memorising.seen = []
    days = pd.date_range("2024-01-01", periods=60)
    Calibrated(forest, "isotonic", BY_TIME).fit(X, y, keys=days)
    assert Memorising.seen == [set(range(48))]
    with pytest.raises(
        DataError, match=r"model\.calibrate: the 60 rows of a fit cannot be split in 5: 3 training groups"
    ):
        Calibrated(forest, "sigmoid", BY_GROUP).fit(X, y, keys=np.arange(60) % 3)
    with pytest.raises(DataError, match=r"model\.calibrate: of the 60 rows of a fit a fifth by 'day'"):
        Calibrated(forest, "sigmoid", BY_TIME).fit(X, np.arange(60) // 48, keys=days)
    with pytest.raises(DataError, match=r"search\.fit_on=training"):
        Calibrated(forest, "sigmoid", BY_GROUP).fit(X, y)


@pytest.fixture(scope="module")
def numbers() -> pd.DataFrame:
    X, y = rows(80)
    return X.assign(y=y)


def trained(kit: Kit, table: pd.DataFrame, calibrate: Any, grid: Any = None, **keys: Any) -> tuple[Split, Trained]:
    data = kit.data(table, **keys)
    search = build_search(
        PreprocessSpec(),
        ModelSpec(estimator="sklearn.linear_model.LogisticRegression", param_grid=grid or {}, calibrate=calibrate),
        kit.search_spec(scoring=["neg_log_loss"], refit="neg_log_loss"),
        NamedCode(),
        data,
    )
    parts = kit.split(table, search, **keys)
    spec = kit.search_spec(scoring=["neg_log_loss"], refit="neg_log_loss")
    return parts, train(parts, search, spec, Progress(), CheckpointDir())


def test_it_is_searched_with_the_grid_and_ships_without_our_class(tmp_path: Any, numbers: pd.DataFrame) -> None:
    parts, found = trained(Kit(tmp_path), numbers, ["none", "sigmoid", "isotonic"], {"C": [0.01, 1.0]})
    assert len(found.candidates) == 6
    assert {(each.params["calibrate"], each.params["C"]) for each in found.candidates} >= {
        ("none", 1.0),
        ("sigmoid", 0.01),
    }
    pipeline = found.pipeline
    assert type(pipeline[-1]).__module__.startswith("sklearn.")
    assert not {name for name in round_trip(pipeline)[1] if name.startswith("orchestrator")}
    fixed = trained(Kit(tmp_path), numbers, "sigmoid", {"C": [1.0]})[1]
    again = fit_again(fixed, parts, Progress()).pipeline
    both = pd.concat([parts.X_train, parts.X_test]), pd.concat([parts.y_train, parts.y_test]).to_numpy()
    expected = CalibratedClassifierCV(LogisticRegression(), cv=5, ensemble=False).fit(*both)
    assert again.predict_proba(parts.X_test).tolist() == expected.predict_proba(parts.X_test).tolist()


def test_a_part_is_fitted_by_its_own_groups(tmp_path: Any, numbers: pd.DataFrame) -> None:
    table = numbers.assign(person=np.arange(len(numbers)) // 2)
    parts, found = trained(Kit(tmp_path), table, "sigmoid", split=SplitSpec(rule="group", by="person"))
    some = np.arange(30)
    part = fit_part(found, parts, some)
    X, y = parts.X_train.iloc[some], parts.y_train.iloc[some].to_numpy()
    folds = list(StratifiedGroupKFold(5).split(X, y, parts.keys[some]))
    expected = CalibratedClassifierCV(LogisticRegression(), cv=folds, ensemble=False).fit(X, y)
    assert part.predict_proba(X).tolist() == expected.predict_proba(X).tolist()
