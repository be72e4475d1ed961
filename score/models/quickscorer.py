"""A forest's sums for many rows at once: what each value rules out is looked up, and no tree is walked.

After QuickScorer (Lucchese et al., "QuickScorer: a fast algorithm to rank documents with additive ensembles of
regression trees", SIGIR 2015): the leaves of a tree are bits of a word; a value's place among its column's thresholds
tells which leaves its row can still reach; the "and" over the columns leaves one. Other than there, a place rules out
the leaves on both sides of it, so that a tree of more leaves than a word has bits can take several words.
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
FIRST = 127  # the exponent of 1, where the values of a word begin: what no leaf adds is before them, at 0
SLOTS = FIRST + BITS
UPPER = 2**16  # what half of a float32 can be


@dataclass(frozen=True)
class ThresholdIndex:
    """How the columns that trees ask for are divided by all their thresholds.

    A column has a place below each threshold, one beyond them all, and one for a missing value.

    Attributes:
        columns: Where a column is in the table (n_columns,).
        thresholds: Ascending, filled up with infinity (n_columns, most of them).
        counts: How many of them are thresholds (n_columns,).
    """

    columns: np.ndarray
    thresholds: np.ndarray
    counts: np.ndarray

    def find(self, table: Any) -> Any:
        """The place of each value (n_columns, n_rows), numbered from column to column.

        Looked up by the upper half of its bits, and found among the few thresholds that share these by a binary search
        that takes the same steps for all values: there is no branch for a processor to guess.
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
        """The first place for each upper half of a float32 (n_columns, UPPER), padded thresholds, steps to search them."""
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
    """The upper half of the bits of each value, rounded to float32."""
    import numpy as np

    with np.errstate(over="ignore"):  # beyond float32 is infinity, which keeps the order
        return values.astype(np.float32).view(np.uint32) >> np.uint32(16)


@dataclass(frozen=True)
class TreeBlock:
    """Some of the trees, so few that their arrays stay near the processor.

    Attributes:
        rows: The row of ``leaves`` for each place (n_places,).
        leaves: The leaves that can be reached from there, as bits (n_rows, n_words), uint64.
        outputs: The sums that the trees add to (n_outputs,).
        values: What each leaf adds to them (n_words * SLOTS, n_outputs), float64.
    """

    rows: np.ndarray
    leaves: np.ndarray
    outputs: np.ndarray
    values: np.ndarray

    def add(self, places: Any, sums: Any, space: Workspace) -> None:
        """Add to ``sums`` (n_rows, n_outputs) what the trees give, one after the other, for :meth:`ThresholdIndex.find`'s."""
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
    """Arrays that each thread uses again, since new memory of this size takes longer than what is done in it."""

    def __init__(self) -> None:
        self._held: dict[str, np.ndarray] = {}

    def array(self, name: str, dtype: Any, *shape: int) -> Any:
        """An array (of 8 bytes a value at most) with anything in it, until the next one of that name."""
        import numpy as np

        size = 8 * math.prod(shape)
        held = self._held.get(name)
        if held is None or held.nbytes < size:
            held = self._held[name] = np.empty(size, dtype=np.uint8)
        return held.view(dtype)[: math.prod(shape)].reshape(shape)


class Forest:
    """Trees whose leaves are added up, for each of one or more outputs."""

    def __init__(self, places: ThresholdIndex, blocks: Sequence[TreeBlock]) -> None:
        self._places, self._blocks, self._space = places, blocks, Workspace()
        self.outputs = 1 + max(int(block.outputs.max()) for block in blocks)

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> Forest:
        """From what :meth:`arrays` gave."""
        places = ThresholdIndex(*(arrays[field.name] for field in fields(ThresholdIndex)))
        names = [field.name for field in fields(TreeBlock)]
        numbers = range(int(arrays["blocks"]))
        return cls(places, [TreeBlock(*(arrays[f"{number}.{name}"] for name in names)) for number in numbers])

    def arrays(self) -> dict[str, np.ndarray]:
        """All arrays, each under a name of its own."""
        import numpy as np

        blocks = enumerate(map(asdict, self._blocks))
        own = {f"{number}.{name}": values for number, block in blocks for name, values in block.items()}
        return asdict(self._places) | own | {"blocks": np.array(len(self._blocks))}

    def sums(self, table: Any) -> Any:
        """The sums (n_rows, n_outputs), float64, for a table (n_rows, n_features) in the type of the thresholds."""
        import numpy as np

        if len(table) == 1:  # of which numpy would add up the trees in another order
            return self.sums(np.concatenate([table, table]))[:1]
        places, sums = self._places.find(table), np.zeros((len(table), self.outputs))
        for block in self._blocks:
            block.add(places, sums, self._space)
        return sums


@dataclass(frozen=True)
class SplitGraph:
    """A graph cut at its trees: the graphs before (empty where there is nothing) and after them, serialized."""

    before: bytes
    after: bytes
    forest: Forest

    @classmethod
    def read(cls, path: Path) -> SplitGraph:
        """From a file that :meth:`write` made.

        Raises:
            ValueError: it is missing or damaged.
        """
        import numpy as np

        try:
            with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
                held = dict(file)
            before, after = (held.pop(name).tobytes() for name in ("before", "after"))
            return cls(before, after, Forest.of(held))
        except Exception as error:  # whatever numpy, zipfile and zlib raise for it
            raise ValueError(f"{path.name} is missing or damaged") from error

    def write(self, path: Path) -> None:
        """Keep them in one file, the same bytes for the same parts."""
        import numpy as np

        graphs = {name: np.frombuffer(getattr(self, name), dtype=np.uint8) for name in ("before", "after")}
        np.savez_compressed(path, allow_pickle=False, **graphs, **self.forest.arrays())
