from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from orchestrator.uncertainty.studentised import ratio_of
from orchestrator.uncertainty.weighted_metrics import Responses, form_of

RANDOM = np.random.default_rng(0)
ROWS = 60
WEIGHTS = RANDOM.integers(0, 3, (4, ROWS)).astype(float)  # some rows are not drawn, others twice


def responses(classes: int) -> Responses:
    probabilities = np.round(RANDOM.dirichlet(np.ones(classes), ROWS), 1) + 1e-3  # with ties
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    y = np.resize(np.arange(classes), ROWS)
    ranking = probabilities[:, 1] if classes == 2 else None
    return Responses(y, probabilities.argmax(axis=1), probabilities, ranking)


BY_LABELS = {
    "accuracy": metrics.accuracy_score,
    "balanced_accuracy": metrics.balanced_accuracy_score,
    "matthews_corrcoef": metrics.matthews_corrcoef,
    "f1_macro": lambda *data, **how: metrics.f1_score(*data, average="macro", **how),
    "precision_weighted": lambda *data, **how: metrics.precision_score(*data, average="weighted", **how),
    "jaccard_macro": lambda *data, **how: metrics.jaccard_score(*data, average="macro", **how),
    "recall_micro": lambda *data, **how: metrics.recall_score(*data, average="micro", **how),
}


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", BY_LABELS)
def test_metrics_of_labels_equal_scikit_learns(name: str, classes: int) -> None:
    part = responses(classes)
    form = form_of(name, part)
    assert form is not None
    wanted = [BY_LABELS[name](part.y, part.predicted, sample_weight=one) for one in WEIGHTS]
    assert form(part, WEIGHTS) == pytest.approx(wanted)


def test_metrics_of_the_positive_class_and_of_a_ranking_equal_scikit_learns() -> None:
    part = responses(2)
    for name, metric, predictions in (
        ("f1", metrics.f1_score, part.predicted),
        ("precision", metrics.precision_score, part.predicted),
        ("roc_auc", metrics.roc_auc_score, part.ranking),
        ("average_precision", metrics.average_precision_score, part.ranking),
    ):
        form = form_of(name, part)
        assert form is not None
        wanted = [metric(part.y, predictions, sample_weight=one) for one in WEIGHTS]
        assert form(part, WEIGHTS) == pytest.approx(wanted), name


@pytest.mark.parametrize(("name", "average"), [("roc_auc_ovr", "macro"), ("roc_auc_ovr_weighted", "weighted")])
def test_areas_of_each_class_equal_scikit_learns(name: str, average: str) -> None:
    part = responses(3)
    form = form_of(name, part)
    assert form is not None
    wanted = [
        metrics.roc_auc_score(part.y, part.probabilities, multi_class="ovr", average=average, sample_weight=one)
        for one in WEIGHTS
    ]
    assert form(part, WEIGHTS) == pytest.approx(wanted)


def test_errors_are_ratios_that_equal_scikit_learns_metrics() -> None:
    y = RANDOM.gamma(3, size=ROWS)
    part = Responses(y, y + RANDOM.normal(size=ROWS) * 0.3 + 0.5)
    for name, metric in {
        "r2": metrics.r2_score,
        "neg_mean_squared_error": metrics.mean_squared_error,
        "neg_root_mean_squared_error": metrics.root_mean_squared_error,
        "neg_mean_absolute_error": metrics.mean_absolute_error,
        "neg_mean_absolute_percentage_error": metrics.mean_absolute_percentage_error,
        "neg_mean_squared_log_error": metrics.mean_squared_log_error,
    }.items():
        ratio = ratio_of(name, part, WEIGHTS[0])
        assert ratio is not None
        found = ratio.metric(np.log(ratio.above.sum() / ratio.below.sum()))
        sign = 1 if name == "r2" else -1
        assert found == pytest.approx(sign * metric(part.y, part.predicted, sample_weight=WEIGHTS[0])), name
    form = form_of("explained_variance", part)
    assert form is not None
    wanted = [metrics.explained_variance_score(part.y, part.predicted, sample_weight=one) for one in WEIGHTS]
    assert form(part, WEIGHTS) == pytest.approx(wanted)
    three = responses(3)
    loss = ratio_of("neg_log_loss", three, WEIGHTS[0])
    assert loss is not None
    wanted_loss = metrics.log_loss(three.y, three.probabilities, sample_weight=WEIGHTS[0], labels=[0, 1, 2])
    assert -loss.metric(np.log(loss.above.sum() / loss.below.sum())) == pytest.approx(wanted_loss)


def test_a_metric_without_a_form_or_its_predictions_has_none() -> None:
    part = Responses(np.array([0, 1]), np.array([0, 1]))
    assert form_of("roc_auc_ovo", part) is form_of("roc_auc", part) is form_of("roc_auc_ovr", part) is None
    assert ratio_of("neg_log_loss", part, np.ones(2)) is ratio_of("accuracy", part, np.ones(2)) is None
    assert ratio_of("neg_mean_absolute_error", part, np.ones(2)) is None  # no error, so no logarithm of it
