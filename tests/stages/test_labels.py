"""Labels in parameters: every row is predicted as scikit-learn alone predicts it on the target's own labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import GridSearchCV

from orchestrator.errors import DataError, SpecError
from orchestrator.modeling.labels import LabelEncoding
from orchestrator.spec.components import locate

from .conftest import Kit

LOGISTIC = "sklearn.linear_model.LogisticRegression"
TREE = "sklearn.tree.DecisionTreeClassifier"
BAYES = "sklearn.naive_bayes.GaussianNB"
LINEAR = "sklearn.discriminant_analysis.LinearDiscriminantAnalysis"
QUADRATIC = "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis"
DUMMY = "sklearn.dummy.DummyClassifier"
TWO, WORDS, THREE = [1, 2], ["bad", "good"], ["high", "low", "middle"]


def table(labels: list[Any], rows: int = 90) -> pd.DataFrame:
    """Rows whose labels overlap, so that weights and priors decide many of them."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, len(labels), rows)
    return pd.DataFrame(
        {"a": codes + rng.normal(0, 1.2, rows), "b": rng.normal(0, 1, rows), "y": [labels[code] for code in codes]}
    )


@pytest.mark.parametrize(
    ("labels", "estimator", "params", "alone", "keys"),
    [
        ([0, 1], LOGISTIC, {"class_weight": {0: 1, 1: 1000}}, None, {"positive": 0}),
        ([0, 1], TREE, {"class_weight": {0: 1, 1: 5}, "max_depth": 2}, None, {"positive": 0}),
        (TWO, LOGISTIC, {"class_weight": {1: 1000}}, None, {}),
        (TWO, LOGISTIC, {"class_weight": {"1": 1000}}, {"class_weight": {1: 1000}}, {}),
        (TWO, LOGISTIC, {"class_weight": {1.0: 3, 2.0: 1}}, {"class_weight": {1: 3, 2: 1}}, {"positive": 1}),
        ([1.0, 2.0], LOGISTIC, {"class_weight": {1: 3}}, None, {}),
        (WORDS, LOGISTIC, {"class_weight": {"good": 4, "bad": 1}}, None, {}),
        (WORDS, LOGISTIC, {"class_weight": {"good": 4, "bad": 1}}, None, {"positive": "bad"}),
        (["no", "yes"], LOGISTIC, {"class_weight": {True: 4}}, {"class_weight": {"yes": 4}}, {}),
        ([False, True], LOGISTIC, {"class_weight": {False: 4, True: 1}}, None, {}),
        ([False, True], LOGISTIC, {"class_weight": {"False": 4}}, {"class_weight": {False: 4}}, {"positive": False}),
        (THREE, LOGISTIC, {"class_weight": {"low": 9, "middle": 0.1}}, None, {}),
        (WORDS, BAYES, {"priors": [0.9, 0.1]}, None, {}),
        (WORDS, BAYES, {"priors": [0.9, 0.1]}, None, {"positive": "bad"}),
        (THREE, BAYES, {"priors": [0.7, 0.2, 0.1]}, None, {}),
        ([0, 1], LINEAR, {"priors": [0.9, 0.1]}, None, {"positive": 0}),
        ([True, False], QUADRATIC, {"priors": [0.9, 0.1]}, None, {"positive": False}),
        ([0, 1], "sklearn.neighbors.NearestCentroid", {"priors": [0.9, 0.1]}, None, {"positive": 0}),
        (TWO, DUMMY, {"strategy": "constant", "constant": 1}, None, {}),
        (WORDS, DUMMY, {"strategy": "constant", "constant": "good"}, None, {"positive": "bad"}),
        (
            TWO,
            "sklearn.neighbors.RadiusNeighborsClassifier",
            {"radius": 0.05, "outlier_label": 2},
            None,
            {"positive": 1},
        ),
    ],
)
def test_parameters_refer_to_the_targets_labels(
    kit: Kit, labels: list[Any], estimator: str, params: dict[str, Any], alone: Any, keys: dict[str, Any]
) -> None:
    parts, trained = kit.train(table(labels), kit.search(estimator, params=params), **keys)
    classes = np.array(parts.classes, dtype=object)
    plain = locate(estimator, "")(**(alone or params))
    plain.fit(parts.X_train, np.array(classes[parts.y_train].tolist()))
    predicted = classes[trained.pipeline.predict(parts.X_test)].tolist()
    assert predicted == plain.predict(parts.X_test).tolist()


@pytest.mark.parametrize(
    ("labels", "estimator", "grid", "keys"),
    [
        (WORDS, LOGISTIC, {"class_weight": [{"good": 50}, {"bad": 50}, "balanced", None]}, {"positive": "bad"}),
        (TWO, TREE, {"class_weight": [{1: 50}, {2: 50}], "max_depth": [1, 3], "random_state": [0]}, {}),
        ([0, 1], BAYES, {"priors": [[0.9, 0.1], [0.2, 0.8], None]}, {"positive": 0}),
        (THREE, LINEAR, {"priors": [[0.8, 0.1, 0.1], [0.2, 0.2, 0.6]]}, {}),
    ],
)
def test_grids_refer_to_the_targets_labels(
    kit: Kit, labels: list[Any], estimator: str, grid: dict[str, Any], keys: dict[str, Any]
) -> None:
    parts, trained = kit.train(table(labels), kit.search(estimator, grid, params={}), **keys)
    classes = np.array(parts.classes, dtype=object)
    plain = GridSearchCV(locate(estimator, "")(), grid, scoring="accuracy", cv=2)
    plain.fit(parts.X_train, np.array(classes[parts.y_train].tolist()))
    assert [one.params for one in trained.candidates] == plain.cv_results_["params"]  # as they were written
    assert [one.mean["accuracy"] for one in trained.candidates] == plain.cv_results_["mean_test_score"].tolist()
    assert trained.best.params == plain.best_params_
    predicted = classes[trained.pipeline.predict(parts.X_test)].tolist()
    assert predicted == plain.predict(parts.X_test).tolist()


def test_a_transformer_has_labels_too(kit: Kit) -> None:
    step = {"_target_": LINEAR, "priors": [0.9, 0.1]}
    for steps in ({"steps": {"lda": step}}, {"branches": {"all": {"columns": "numeric", "steps": {"lda": step}}}}):
        search = kit.search(TREE, params={}, preprocess=steps)
        _, trained = kit.train(table(WORDS), search, positive="bad")
        fitted = trained.pipeline[0] if "steps" in steps else trained.pipeline[0].named_transformers_["all"][0]
        assert fitted.priors_.tolist() == [0.1, 0.9]  # of good, then of bad, which is the positive label
        wrong = kit.search(TREE, params={}, preprocess=steps)
        with pytest.raises(SpecError, match=r"preprocess\..*lda\.priors: should have one number for each of the 3"):
            kit.load(table(THREE), wrong)


@pytest.mark.parametrize(
    ("labels", "params", "grid", "message"),
    [
        (
            TWO,
            {"class_weight": {0: 1, 1: 5}},
            {},
            "model.params.class_weight: 0 is no label of the target; there are: 1, 2",
        ),
        (WORDS, {"class_weight": {"godo": 1}}, {}, "'godo' is no label of the target; did you mean 'good'?"),
        (WORDS, {}, {"class_weight": [{"bad": 1}, {"Good": 2, 7: 1}]}, "model.param_grid.class_weight: 'Good' is no"),
        (TWO, {"class_weight": {1: 1, "1": 2}}, {}, '"1" and another key mean the same label'),
    ],
)
def test_a_key_that_is_no_label_is_a_configuration_error(
    kit: Kit, labels: list[Any], params: dict[str, Any], grid: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        kit.load(table(labels), kit.search(LOGISTIC, grid, params=params))
    assert message.replace('"', "'") in str(caught.value)


def test_all_mistakes_are_reported_together(kit: Kit) -> None:
    search = kit.search(LOGISTIC, {"class_weight": [{5: 1}, {6: 1}]}, params={"class_weight": {7: 1}})
    with pytest.raises(SpecError) as caught:
        kit.load(table(TWO), search)
    assert len(caught.value.problems) == 3


def test_priors_have_a_number_for_each_label(kit: Kit) -> None:
    with pytest.raises(
        SpecError, match=r"model\.params\.priors: .* 3 labels, in their order \(high, low, middle\), got 2"
    ):
        kit.load(table(THREE), kit.search(BAYES, params={"priors": [0.5, 0.5]}))
    with pytest.raises(SpecError, match=r"model\.params\.priors: .* of the labels \(bad, good\), got a mapping"):
        kit.load(table(WORDS), kit.search(BAYES, params={"priors": {"good": 0.5, "bad": 0.5}}))


@pytest.mark.parametrize(
    ("classes", "name", "value", "encoded"),
    [
        ((2, 1), "model__class_weight", {1: 3}, {1: 3}),
        (("01", "1"), "model__class_weight", {"1": 3, "01": 4}, {1: 3, 0: 4}),
        (("a", "b"), "model__sampling_strategy", {"b": 30}, {1: 30}),
        (("a", "b"), "model__sampling_strategy", ["b", "a"], [1, 0]),
        (("a", "b"), "model__sampling_strategy", "not minority", "not minority"),
        (("a", "b"), "model__sampling_strategy", 0.5, 0.5),
        ((2, 1), "model__estimator__class_prior", [0.9, 0.1], [0.1, 0.9]),
        (("b", "a"), "model__class_weights", [3, 4], [4, 3]),
        (("b", "a"), "model__class_weights", {"a": 4}, {1: 4}),
        (("b", "a"), "model__class_weight", "balanced", "balanced"),
        (("b", "a"), "model__pos_label", "a", 1),
    ],
)
def test_what_is_encoded_is_decoded_again(classes: tuple[Any, ...], name: str, value: Any, encoded: Any) -> None:
    coding = LabelEncoding(classes)
    assert coding.encode(name, value) == encoded
    assert coding.decode(name, encoded) == value


@pytest.mark.parametrize(("labels", "positive"), [(TWO, "1"), ([False, True], "false"), (["0", "1"], 0)])
def test_the_positive_label_is_found_by_its_value(kit: Kit, labels: list[Any], positive: Any) -> None:
    data = kit.load(table(labels).to_csv(index=False), positive=positive)
    assert str((data.classes or ())[1]).casefold() == str(positive).casefold()


def test_a_regressor_needs_numbers(kit: Kit) -> None:
    search = kit.search("sklearn.linear_model.Ridge", scoring=["r2"], refit="r2")
    message = r"data\.target: 'y' holds str values such as '\w+' and Ridge predicts numbers; choose a classifier"
    with pytest.raises(DataError, match=message):
        kit.load(table(WORDS), search)
    dates = table([pd.Timestamp("2026-01-01"), pd.Timestamp("2026-01-02")])
    with pytest.raises(DataError, match="holds Timestamp values such as"):
        kit.load(dates, search, format="parquet")
    assert kit.load(table([False, True]), search).y.sum() > 0  # booleans are numbers
