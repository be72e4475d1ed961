"""Brier score, expected calibration error and the reliability diagram, with and without weights."""

from __future__ import annotations

import numpy as np
import pytest

from orchestrator.reporting import reliability
from orchestrator.reporting.figures import png
from orchestrator.reporting.scores import LOSSES


def test_the_error_is_the_mean_distance_of_ten_bins() -> None:
    y = [0, 1, 1, 1, 0, 1]
    positive = [0.05, 0.05, 0.31, 0.39, 1.0, 0.95]
    bins = reliability.reliability(y, positive)
    assert bins.size.tolist() == [2, 2, 2]
    assert bins.predicted == pytest.approx([0.05, 0.35, 0.975])
    assert bins.observed.tolist() == [0.5, 1, 0.5]
    found = reliability.scores(y, positive)
    assert list(found) == list(LOSSES)
    assert found["expected_calibration_error"] == pytest.approx((0.45 + 0.65 + 0.475) / 3)
    assert found["brier_score"] == pytest.approx(np.mean((np.array(y) - positive) ** 2))


def test_a_row_of_weight_two_counts_as_two_rows() -> None:
    rng = np.random.default_rng(0)
    y, positive, weights = rng.integers(0, 2, 60), rng.random(60), rng.integers(0, 3, 60)
    twice = np.repeat(np.arange(60), weights)
    assert reliability.scores(y, positive, weights) == pytest.approx(reliability.scores(y[twice], positive[twice]))
    bins = reliability.reliability(y, positive, np.full(60, 7.0))
    assert bins.size == pytest.approx(reliability.reliability(y, positive).size)  # of equal weights each row is one


def test_the_diagram_is_the_same_for_the_same_numbers() -> None:
    y, positive = [0, 1, 1, 0], [0.2, 0.7, 1.0, 0.0]
    figures = [
        png(reliability.draw(reliability.reliability(y, positive), reliability.scores(y, positive), "yes"))
        for _ in range(2)
    ]
    assert figures[0] == figures[1]
    assert figures[0].startswith(b"\x89PNG")


def test_the_share_as_every_rows_probability_has_no_calibration_error() -> None:
    y = np.repeat([0, 1], [11, 13])
    assert reliability.scores(y, np.full(24, 13 / 24) + 1e-16)["expected_calibration_error"] == 0
