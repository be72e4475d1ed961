"""Bootstrap intervals of any metric: rows are resampled within their class, or as whole groups.

B. Efron (1987), Better bootstrap confidence intervals, JASA 82 (BCa); T. C. Hesterberg (2015), What teachers should know
about the bootstrap, The American Statistician 69 (expanded percentiles). scipy.stats.bootstrap knows neither strata nor
groups, and leaves each row out in turn, which grows with the square of the rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from orchestrator.uncertainty.interval import LEVEL, Interval

BOOTSTRAP, CLUSTER = "bootstrap-bca", "cluster-bootstrap-bca"
RESAMPLES = 1000
BLOCKS = 100  # of rows, left out in turn, for the skewness
MOST_ROWS = 10_000  # that are resampled; the spread on more rows follows from that on these
FEWEST_OF_A_CLASS = 200  # among these
CELLS = 2_000_000  # of one array of counts
UNDEFINED = 0.05  # the share of resamples on which the metric may have no value

Metric = Callable[[Any], Any]  # of counts (b, n) to values (b,)


@dataclass(frozen=True)
class Resampling:
    """How rows may be drawn again: within ``strata`` (n,), or as whole ``groups`` (n,), codes from 0 on; else freely.

    All metrics share the resamples of a seed, which are drawn once.
    """

    rows: int
    strata: Any = None
    groups: Any = None
    _drawn: dict[tuple[int, int], Sequence[Any]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def method(self) -> str:
        """The name of the method."""
        return BOOTSTRAP if self.groups is None else CLUSTER

    @property
    def units(self) -> int:
        """The number of independent units: groups, else rows."""
        return self.rows if self.groups is None else int(self.groups.max()) + 1

    def counts(self, resamples: int, seed: int) -> Iterator[Any]:
        """Yield how often each row is in each resample, in arrays (b, n) of limited size."""
        if (resamples, seed) not in self._drawn:
            self._drawn[resamples, seed] = [*self._draw_all(resamples, np.random.default_rng(seed))]
        for drawn in self._drawn[resamples, seed]:
            yield drawn.astype(np.float32)

    def _draw_all(self, resamples: int, random: np.random.Generator) -> Iterator[Any]:
        for start in range(0, resamples, step := max(1, CELLS // self.rows)):
            size = min(step, resamples - start)
            if self.groups is not None:
                yield _draw(self.units, size, random)[:, self.groups]
            elif self.strata is None:
                yield _draw(self.rows, size, random)
            else:
                drawn = np.empty((size, self.rows), dtype=np.uint8)
                for stratum in np.unique(self.strata):
                    members = np.flatnonzero(self.strata == stratum)
                    drawn[:, members] = _draw(len(members), size, random)
                yield drawn

    def without_blocks(self, blocks: int, seed: int) -> Iterator[Any]:
        """Yield counts (b, n) that leave out one of ``blocks`` blocks of units each; a block has rows of all strata."""
        order = np.random.default_rng(seed).permutation(self.units)
        if self.groups is None and self.strata is not None:
            order = order[np.argsort(self.strata[order], kind="stable")]
        blocks = min(blocks, self.units)
        block_of = np.empty(self.units, dtype=int)
        block_of[order] = np.arange(self.units) % blocks
        of_rows = block_of if self.groups is None else block_of[self.groups]
        for start in range(0, blocks, step := max(1, CELLS // self.rows)):
            yield (of_rows != np.arange(start, min(start + step, blocks))[:, None]).astype(np.float32)


def _draw(size: int, resamples: int, random: np.random.Generator) -> Any:
    """Return how often each of ``size`` units is among as many that are drawn with replacement, (resamples, size)."""
    drawn = (
        random.integers(0, size, (resamples, size), dtype=np.int32)
        + size * np.arange(resamples, dtype=np.int32)[:, None]
    )
    # a unit of many is drawn Poisson(1) times, far below 255
    return np.bincount(drawn.ravel(), minlength=resamples * size).reshape(resamples, size).astype(np.uint8)


def subset(rows: int, strata: Any, groups: Any, random: np.random.Generator) -> Any:
    """Return the positions of the rows to resample: all, or with more than ``MOST_ROWS`` a random part of them.

    Strata keep their shares, and the smallest one has ``FEWEST_OF_A_CLASS`` rows or all that it has. Groups stay whole.
    """
    fewest = rows if strata is None else int(np.bincount(strata)[np.unique(strata)].min())
    share = max(MOST_ROWS / rows, min(1.0, FEWEST_OF_A_CLASS / fewest))
    if share >= 1:
        return np.arange(rows)
    if groups is not None:
        count = int(groups.max()) + 1
        return np.flatnonzero((random.permutation(count) < max(share * count, min(count, FEWEST_OF_A_CLASS)))[groups])
    parts = [np.arange(rows)] if strata is None else [np.flatnonzero(strata == one) for one in np.unique(strata)]
    return np.sort(np.concatenate([random.permutation(part)[: math.ceil(share * len(part))] for part in parts]))


def bootstrap_interval(
    metric: Metric,
    resampling: Resampling,
    seed: int,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    blocks: int = BLOCKS,
) -> Interval | None:
    """Return the BCa interval of ``metric`` with expanded percentiles; None if it has no value on too many resamples."""
    with np.errstate(all="ignore"):
        estimate = float(metric(np.ones((1, resampling.rows)))[0])
        values = np.concatenate([metric(counts) for counts in resampling.counts(resamples, seed)])
        left_out = np.concatenate([metric(counts) for counts in resampling.without_blocks(blocks, seed)])
    finite = values[np.isfinite(values)]
    if not math.isfinite(estimate) or len(finite) < (1 - UNDEFINED) * len(values):
        return None
    bias = ndtri(_inside((np.mean(finite < estimate) + np.mean(finite <= estimate)) / 2, len(finite)))
    differences = np.mean(left_out[np.isfinite(left_out)]) - left_out[np.isfinite(left_out)]
    squares = np.sum(differences**2)
    skewness = np.sum(differences**3) / (6 * squares**1.5) if squares > 0 else 0.0
    expanded = math.sqrt(resampling.units / (resampling.units - 1)) * stdtrit(resampling.units - 1, (1 + level) / 2)
    shifted = bias + np.array([-expanded, expanded])
    levels = ndtr(bias + shifted / (1 - skewness * shifted))
    low, high = np.quantile(finite, levels)
    return Interval(float(low), float(high), resampling.method, level)


def _inside(share: float, count: int) -> float:
    """Return a share that has a normal quantile."""
    return float(np.clip(share, 0.5 / count, 1 - 0.5 / count))
