from __future__ import annotations

import numpy as np
import pytest

from orchestrator.uncertainty.detectable import smallest_difference


def test_a_paired_test_finds_the_accuracy_difference_with_the_power_that_is_said() -> None:
    rows, random = 400, np.random.default_rng(0)
    wanted = smallest_difference("accuracy", (200, 200))
    assert wanted is not None
    # two models whose answers are right together so often that their correlation is 0.5
    better, worse = 0.8 + wanted / 2, 0.8 - wanted / 2
    both = better * worse + 0.5 * np.sqrt(better * (1 - better) * worse * (1 - worse))
    kinds = random.choice(3, (4000, rows), p=[better - both, worse - both, 1 - better - worse + 2 * both])
    difference = (kinds == 0).mean(axis=1) - (kinds == 1).mean(axis=1)
    error = np.sqrt(((kinds < 2).mean(axis=1) - difference**2) / rows)
    assert np.mean(difference / error > 1.96) == pytest.approx(0.8, abs=0.03)


def test_more_rows_show_less_and_few_positive_ones_count() -> None:
    areas = [smallest_difference("roc_auc", counts) for counts in ((100, 54), (1000, 540), (1500, 40))]
    assert None not in areas
    few, many, rare = (float(area or 0) for area in areas)
    assert 0.08 < few < 0.13
    assert many == pytest.approx(few / np.sqrt(10), rel=0.02)
    assert rare > many
    assert smallest_difference("r2", (100,)) == pytest.approx(2.8016 * 0.0707, rel=1e-3)


@pytest.mark.parametrize(
    ("metric", "counts"),
    [
        ("neg_log_loss", (50, 50)),
        ("accuracy", (50,)),
        ("roc_auc", (50, 1)),
        ("f1", (20, 20, 20)),
        ("r2", ()),
        ("own", (9, 9)),
    ],
)
def test_what_cannot_be_foreseen_is_left_out(metric: str, counts: tuple[int, ...]) -> None:
    assert smallest_difference(metric, counts) is None
