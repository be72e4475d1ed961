from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from orchestrator.uncertainty.delong import delong

RANDOM = np.random.default_rng(0)


def brute_force(y: Any, scores: Any) -> tuple[Any, Any]:
    """Return AUCs and covariance by comparing each pair of rows, O(n²), as DeLong et al. write them."""
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    pairs = (positive[:, :, None] > negative[:, None, :]) + 0.5 * (positive[:, :, None] == negative[:, None, :])
    by_positive, by_negative = pairs.mean(axis=2), pairs.mean(axis=1)
    aucs = pairs.mean(axis=(1, 2))

    def sample_covariance(placements: Any) -> Any:
        centred = placements - aucs[:, None]
        return centred @ centred.T / (placements.shape[1] - 1) / placements.shape[1]

    return aucs, sample_covariance(by_positive) + sample_covariance(by_negative)


@pytest.mark.parametrize("decimals", [8, 1, 0])  # with no ties, some, and almost nothing else
@pytest.mark.parametrize("models", [1, 3])
def test_it_equals_the_computation_over_all_pairs(models: int, decimals: int) -> None:
    y = (RANDOM.random(60) < 0.3).astype(int)
    scores = np.round(RANDOM.normal(size=(models, 60)) + y, decimals)
    found = delong(y, scores)
    aucs, covariance = brute_force(y, scores)
    assert found.aucs == pytest.approx(aucs, abs=1e-12)
    assert found.covariance == pytest.approx(covariance, abs=1e-12)
    assert found.aucs == pytest.approx([roc_auc_score(y, one) for one in scores], abs=1e-12)


def test_one_vector_of_scores_is_one_model_and_equal_models_do_not_differ() -> None:
    y, scores = np.arange(20) % 2 == 1, RANDOM.normal(size=20)
    assert delong(y, scores).covariance.shape == (1, 1)
    same = delong(y, [scores, scores]).covariance
    assert same[0, 0] + same[1, 1] - 2 * same[0, 1] == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("y", "scores", "weights", "message"),
    [
        ([0, 1, 0, 1], [1, 2, 3, 4], [1, 1, 1, 2], "not defined for weighted rows"),
        ([0, 1, 0, 1], [1, 2, 3], None, r"\(k, 4\) for 4 labels, got \(1, 3\)"),
        ([0, 1, 2, 1], [1, 2, 3, 4], None, "0 and 1 only"),
        ([0, 1, 0, 1], [1, 2, np.nan, 4], None, "finite"),
        ([0, 1, 0, 0], [1, 2, 3, 4], None, "got 1 positive and 3 negative"),
    ],
)
def test_what_it_cannot_compute_is_an_error(y: Any, scores: Any, weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        delong(y, scores, weights)
