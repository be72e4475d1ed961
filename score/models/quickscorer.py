"""QuickScorer: sums a forest's leaves for many rows at once, with table look-ups and no branches.

After QuickScorer (Lucchese et al., "QuickScorer: a fast algorithm to rank documents with additive ensembles of
regression trees", SIGIR 2015): the leaves of a tree are bits of a word; the index of a value among its column's
thresholds gives the leaves that its row can still reach; the "and" over the columns leaves one. Unlike there, an index
excludes leaves on both sides, so that a tree of more leaves than a word has bits can take several words.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

BITS = 64  # leaves in a word
FRACTION = 23  # the bits of a float32 below its exponent
FIRST = 127  # the exponent of 1, where the values of a word begin; at 0 is the value of no leaf
SLOTS = FIRST + BITS
UPPER = 2**16  # values of half a float32


@dataclass(frozen=True)
class ThresholdIndex:
    """The thresholds of all trees by column.

    A column has an index below each threshold, one above them all, and one for a missing value.

    Attributes:
        columns: The position of each column in the table (n_columns,).
        thresholds: Ascending, padded with infinity (n_columns, maximum count).
        counts: The number of thresholds without padding (n_columns,).
    """

    columns: np.ndarray
    thresholds: np.ndarray
    counts: np.ndarray

    def find(self, table: Any) -> Any:
        """Return the index of each value (n_columns, n_rows), numbered from column to column.

        It is looked up by the upper half of the value's bits, then searched among the few thresholds that share these
        by a binary search with the same steps for all values, without branches.
        """
        import numpy as np

        values = np.ascontiguousarray(table.T[self.columns])
        near, padded, steps = self._near
        places = near.take(_upper(values) + np.arange(0, near.size, UPPER)[:, None]).astype(np.intp)
        firsts = np.arange(0, padded.size, padded.shape[1])[:, None]
        places += firsts
        for step in steps:
            beyond = values > padded.take(places + (step - 1))
            places += beyond * step
        last = self.counts[:, None] + 1
        places += np.cumsum(last + 1)[:, None] - last - 1 - firsts
        missing = np.isnan(values)
        if missing.any():
            np.copyto(places, np.cumsum(last + 1)[:, None] - 1, where=missing)
        return places

    @cached_property
    def _near(self) -> tuple[np.ndarray, np.ndarray, list[int]]:
        """The first index for each upper half of a float32 (n_columns, UPPER), padded thresholds, the steps of the search."""
        import numpy as np

        halves = np.arange(UPPER)
        order = np.where(halves < UPPER // 2, halves + UPPER // 2, UPPER - 1 - halves)  # as the numbers are ordered
        shared = [
            np.bincount(order[_upper(known[:count])], minlength=UPPER)
            for known, count in zip(self.thresholds, self.counts, strict=True)
        ]
        near = np.array(
            [(np.cumsum(each) - each)[order] for each in shared], dtype=np.min_scalar_type(self.counts.max())
        )
        most = 1 << int(np.max(shared)).bit_length()
        padded = np.pad(self.thresholds, ((0, 0), (0, most)), constant_values=np.inf)
        steps = [most >> 1 + number for number in range(most.bit_length() - 1)]
        return near, padded, steps


def _upper(values: Any) -> Any:
    """Return the upper half of the bits of each value, rounded to float32."""
    import numpy as np

    with np.errstate(over="ignore"):  # beyond float32 is infinity, which keeps the order
        return values.astype(np.float32).view(np.uint32) >> np.uint32(16)


@dataclass(frozen=True)
class TreeBlock:
    """A block of trees, small enough that their arrays stay in the processor's cache.

    Attributes:
        rows: The row of ``leaves`` for each index (n_indexes,).
        leaves: The reachable leaves as bits (n_rows, n_words), uint64.
        outputs: The sums that the trees add to (n_outputs,).
        values: What each leaf adds to them (n_words * SLOTS, n_outputs), float64.
    """

    rows: np.ndarray
    leaves: np.ndarray
    outputs: np.ndarray
    values: np.ndarray

    def add(self, places: Any, sums: Any, space: Workspace) -> None:
        """Add the trees' leaves, in their order, to ``sums`` (n_rows, n_outputs); ``places`` are :meth:`ThresholdIndex.find`'s."""
        import numpy as np

        rows, words = places.shape[1], self.leaves.shape[1]
        reached, others = space.array("reached", np.uint64, rows, words), space.array("others", np.uint64, rows, words)
        for number, column in enumerate(places):
            self.leaves.take(self.rows.take(column), axis=0, out=others if number else reached, mode="clip")
            if number:
                np.bitwise_and(reached, others, out=reached)
        bit = space.array("bit", np.float32, rows, words)
        np.copyto(bit, reached, casting="unsafe")
        slots = bit.view(np.int32)
        slots >>= FRACTION
        at = space.array("others", np.int64, words, rows)
        np.add(slots.T, np.arange(0, len(self.values), SLOTS)[:, None], out=at)
        added = space.array("added", np.float64, 1 + words, rows, len(self.outputs))
        added[0] = sums[:, self.outputs]
        self.values.take(at, axis=0, out=added[1:], mode="clip")
        sums[:, self.outputs] = np.add.reduce(added, axis=0)


class Workspace(threading.local):
    """Scratch arrays that each thread reuses, since allocating them takes longer than the computation."""

    def __init__(self) -> None:
        self._buffers: dict[str, np.ndarray] = {}

    def array(self, name: str, dtype: Any, *shape: int) -> Any:
        """Return an uninitialised scratch buffer (at most 8 bytes a value), reused by the next call for the same name."""
        import numpy as np

        size = 8 * math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.nbytes < size:
            buffer = self._buffers[name] = np.empty(size, dtype=np.uint8)
        return buffer.view(dtype)[: math.prod(shape)].reshape(shape)


class Forest:
    """Trees whose leaves are summed for each of one or more outputs."""

    def __init__(self, places: ThresholdIndex, blocks: Sequence[TreeBlock]) -> None:
        self._places, self._blocks, self._space = places, blocks, Workspace()
        self.outputs = 1 + max(int(block.outputs.max()) for block in blocks)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Forest:
        """Build a forest from the result of :meth:`arrays`."""
        places = ThresholdIndex(*(arrays[field.name] for field in fields(ThresholdIndex)))
        names = [field.name for field in fields(TreeBlock)]
        numbers = range(int(arrays["blocks"]))
        return cls(places, [TreeBlock(*(arrays[f"{number}.{name}"] for name in names)) for number in numbers])

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays by name."""
        import numpy as np

        blocks = enumerate(map(asdict, self._blocks))
        own = {f"{number}.{name}": values for number, block in blocks for name, values in block.items()}
        return asdict(self._places) | own | {"blocks": np.array(len(self._blocks))}

    def sums(self, table: Any) -> Any:
        """Return the sums (n_rows, n_outputs), float64, for a table (n_rows, n_features) in the type of the thresholds."""
        import numpy as np

        if len(table) == 1:  # numpy would add the trees of one row in another order
            return self.sums(np.concatenate([table, table]))[:1]
        places, sums = self._places.find(table), np.zeros((len(table), self.outputs))
        for block in self._blocks:
            block.add(places, sums, self._space)
        return sums


@dataclass(frozen=True)
class SplitGraph:
    """A graph split at its trees: the serialized graphs before (may be empty) and after them."""

    before: bytes
    after: bytes
    forest: Forest

    @classmethod
    def read(cls, path: Path) -> SplitGraph:
        """Read a file of :meth:`write`.

        Raises:
            ValueError: it is missing or damaged.
        """
        import numpy as np

        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                arrays = dict(file)
            before, after = (arrays.pop(name).tobytes() for name in ("before", "after"))
            return cls(before, after, Forest.of(arrays))
        except Exception as error:  # whatever numpy, zipfile and zlib raise for it
            raise ValueError(f"{path.name} is missing or damaged") from error

    def write(self, path: Path) -> None:
        """Write one file; equal parts give equal bytes."""
        import numpy as np

        graphs = {name: np.frombuffer(getattr(self, name), dtype=np.uint8) for name in ("before", "after")}
        np.savez_compressed(path, allow_pickle=False, **graphs, **self.forest.arrays())
