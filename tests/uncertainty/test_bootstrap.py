from __future__ import annotations

import numpy as np
import pytest

from orchestrator.uncertainty import bootstrap
from orchestrator.uncertainty.bootstrap import Resampling, bootstrap_interval, subset

STRATA = np.array([0] * 30 + [1] * 10)
GROUPS = np.repeat(np.arange(8), 5)


def all_counts(resampling: Resampling) -> np.ndarray:
    return np.concatenate([*resampling.counts(20, 0)])


def test_rows_are_drawn_within_their_stratum_and_groups_as_a_whole() -> None:
    free, within = all_counts(Resampling(40)), all_counts(Resampling(40, strata=STRATA))
    assert (free.sum(axis=1) == 40).all()
    assert (free[:, :30].sum(axis=1) != 30).any()
    assert (within[:, :30].sum(axis=1) == 30).all()
    assert (within[:, 30:].sum(axis=1) == 10).all()
    clusters = all_counts(Resampling(40, groups=GROUPS)).reshape(20, 8, 5)
    assert (clusters == clusters[:, :, :1]).all()


def test_large_tables_are_drawn_in_pieces_that_are_the_same_for_a_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "CELLS", 100)
    pieces = [*Resampling(40).counts(20, 0)]
    assert {len(piece) for piece in pieces} == {2}
    assert (np.concatenate(pieces) == all_counts(Resampling(40))).all()
    assert (np.concatenate(pieces) != np.concatenate([*Resampling(40).counts(20, 1)])).any()


def test_each_block_that_is_left_out_has_rows_of_all_strata_or_whole_groups() -> None:
    left_out = 1 - np.concatenate([*Resampling(40, strata=STRATA).without_blocks(5, 0)])
    assert (left_out.sum(axis=0) == 1).all()
    assert (left_out[:, :30].sum(axis=1) == 6).all()
    groups = 1 - np.concatenate([*Resampling(40, groups=GROUPS).without_blocks(100, 0)])
    assert groups.shape == (8, 40)
    assert (groups.sum(axis=1) == 5).all()


def test_the_interval_of_a_mean_agrees_with_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(5, 2, 400)
    found = bootstrap_interval(lambda counts: counts @ values / counts.sum(axis=1), Resampling(400), 0)
    assert found is not None
    half = 1.96 * values.std() / 20
    assert (found.low, found.high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.04)
    grouped = Resampling(400, groups=np.arange(400) // 4)
    shared = np.repeat(values[:100], 4)  # as much as a hundred rows know
    wide = bootstrap_interval(lambda counts: counts @ shared / counts.sum(axis=1), grouped, 0)
    assert wide is not None
    assert wide.method == bootstrap.CLUSTER
    assert wide.high - wide.low == pytest.approx(2 * (found.high - found.low), rel=0.25)


def test_a_metric_without_a_value_on_many_resamples_has_no_interval() -> None:
    def undefined(counts: np.ndarray) -> np.ndarray:
        return np.where(counts[:, 0] > 0, 1.0, np.nan)

    assert bootstrap_interval(undefined, Resampling(40), 0) is None


def test_of_many_rows_a_part_is_drawn_that_keeps_the_rare_class_and_whole_groups() -> None:
    random = np.random.default_rng(0)
    assert len(subset(9000, None, None, random)) == 9000
    assert len(subset(50_000, None, None, random)) == bootstrap.MOST_ROWS
    rare = (np.arange(50_000) < 400).astype(int)
    part = subset(50_000, rare, None, random)
    assert rare[part].sum() == bootstrap.FEWEST_OF_A_CLASS
    groups = np.arange(50_000) // 10
    whole = subset(50_000, None, groups, random)
    assert (np.bincount(groups[whole]) % 10 == 0).all()
    assert 9000 < len(whole) < 11_000
