from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn import metrics

from orchestrator.uncertainty.shares import label_interval, mean_of_shares, wilson, wilson_bounds


def test_a_share_has_wilsons_interval_which_stays_in_0_to_1() -> None:
    found = wilson(7, 10)
    assert (found.low, found.high) == pytest.approx((0.396778, 0.892209), abs=1e-6)  # E. B. Wilson's formula
    assert wilson(0, 20).low == 0
    assert wilson(20, 20).high == 1
    assert wilson(20, 20).low == pytest.approx(20 / (20 + 1.959964**2))
    with pytest.raises(ValueError):
        wilson(0, 0)
    hits, rows = np.array([0, 3, 40]), np.array([5, 7, 40])
    judged = [binomtest(*each).proportion_ci(0.95, "wilson") for each in zip(hits, rows, strict=True)]
    assert np.column_stack(wilson_bounds(hits / rows, rows)) == pytest.approx(np.array(judged))


def test_a_mean_of_shares_is_wider_than_a_share_of_all_rows_and_exact_for_one() -> None:
    one, both = mean_of_shares([(7, 10)]), mean_of_shares([(7, 10), (70, 100)])
    assert (one.low, one.high) == pytest.approx((wilson(7, 10).low, wilson(7, 10).high))
    assert wilson(77, 110).low > both.low > one.low


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("accuracy", metrics.accuracy_score),
        ("recall", metrics.recall_score),
        ("precision", metrics.precision_score),
        ("f1", metrics.f1_score),
        ("jaccard", metrics.jaccard_score),
        ("balanced_accuracy", metrics.balanced_accuracy_score),
    ],
)
def test_more_rows_of_the_same_kind_close_in_on_the_metric(name: str, metric: object) -> None:
    y, predicted = np.array([1, 1, 1, 0, 0, 0, 0]), np.array([1, 1, 0, 0, 0, 0, 1])
    few, many = label_interval(name, y, predicted), label_interval(name, np.tile(y, 10**5), np.tile(predicted, 10**5))
    value = metric(y, predicted)  # type: ignore[operator]
    assert few is not None
    assert many is not None
    assert 0 <= few.low < value < few.high <= 1
    assert (many.low, many.high) == pytest.approx((value, value), abs=0.003)


def test_a_metric_that_is_no_share_or_one_of_no_rows_has_none() -> None:
    y = np.array([0, 0, 1])
    assert label_interval("precision", y, np.zeros(3)) is None
    assert label_interval("f1_macro", y, y) is None


def test_a_predicted_class_without_rows_leaves_macro_recall_to_the_bootstrap() -> None:
    y, predicted = np.array([0, 0, 1, 1, 0, 1]), np.array([0, 2, 1, 1, 0, 1])
    assert label_interval("recall_macro", y, predicted) is None
    assert label_interval("balanced_accuracy", y, predicted) is not None
