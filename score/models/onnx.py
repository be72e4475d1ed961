"""The compiled model: the pipeline as a graph that ONNX Runtime runs on plain arrays, without scikit-learn.

The graph takes one float64 table (n_rows, n_columns). A missing value is NaN in it, true is 1, and a text is the code
of its category in the pipeline, or ``UNKNOWN``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from score.contract.category import learned_only
from score.contract.columns import Columns
from score.contract.schema import Column, Contract
from score.models.quickscorer import SplitGraph
from score.payload.typed_reader import LONG

FILE = "compiled.json"
GRAPH = "model.onnx"
PARTS = "model.npz"  # the split graph of a forest, for requests of many rows
GRAPH_ROWS, FOREST_ROWS = 1000, 2500  # rows of one run, so that intermediate arrays stay in the processor's cache
GRAPH_CELLS = 100_000  # of these rows, in a table of more than 100 columns
MAX_THREADS = 4
UNKNOWN = -1.0  # the code of a text without a category


@dataclass(frozen=True)
class Compilation:
    """The result of compiling, stored as compiled.json.

    Attributes:
        reason: Why there is no compiled model; empty where there is one.
        tolerance: The largest difference of a number in a reply that the comparison with the pipeline allows.
        rows: Training and hold-out rows that were compared.
        edges: Synthetic edge-case rows that were compared.
        splits: Thresholds of trees of which both sides were compared.
        classes: See ``Model``.
        codes: The code of each text.
        forest: Whether requests of many rows use the split graph.
        batchable: Whether the rows of several requests may share a run, as each row is computed by itself.
    """

    reason: str = ""
    tolerance: float | None = None
    rows: int = 0
    edges: int = 0
    splits: int = 0
    classes: Sequence[int] | None = None
    codes: Mapping[str, int] = field(default_factory=dict)
    forest: bool = False
    batchable: bool = False

    @property
    def used(self) -> bool:
        """Whether the package is served by the compiled model."""
        return not self.reason

    @classmethod
    def read(cls, folder: Path) -> Compilation:
        """Read a package's; without one the pickle serves."""
        path = folder / FILE
        return cls(**json.loads(path.read_bytes())) if path.is_file() else cls("the package was made without")

    def write(self, folder: Path) -> None:
        """Write it into a package's folder."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


class OnnxGraph:
    """A graph with one input, loaded in ONNX Runtime; threads may share it."""

    def __init__(self, graph: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread adds in scikit-learn's order, up to some hundred trees; the chunks of a long request run in parallel
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, table: Any, first: int = 0) -> list[Any]:
        """Return the outputs from the ``first`` on for a table (n_rows, n_columns) of the input's type."""
        outputs: list[Any] = self._session.run(self._outputs[first:], {self._input: table})
        return outputs


class CompiledModel:
    """A graph with the encoding of its input table; ``parts`` serve requests of ``long`` rows and more."""

    def __init__(
        self,
        graph: bytes,
        contract: Contract,
        compilation: Compilation,
        parts: SplitGraph | None = None,
        long: int = LONG,
    ) -> None:
        self._graph = OnnxGraph(graph)
        self._forest = None if parts is None else _Forest(parts)
        self._long = long
        self._threads = ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1), "compiled")
        self._texts = [column.name for column in contract.columns if _is_text(column)]
        self._learned = {each.name: frozenset(each.learned) for each in contract.columns if each.unseen == "missing"}
        self._narrow = [index for index, column in enumerate(contract.columns) if column.dtype.lower() == "float32"]
        self._codes: dict[Any, float] = {None: float("nan"), **compilation.codes}
        self.classes = compilation.classes
        self.batchable = compilation.batchable

    @classmethod
    def load(cls, folder: Path, contract: Contract, compilation: Compilation) -> CompiledModel:
        """Load a package's graph.

        Raises:
            Exception: whatever ONNX Runtime raises for a graph that it cannot run, and as ``SplitGraph.read``.
        """
        parts = SplitGraph.read(folder / PARTS) if compilation.forest else None
        return cls((folder / GRAPH).read_bytes(), contract, compilation, parts)

    def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """See ``Model``."""
        outputs = self._run(self.table(columns), 0 if labels or self.classes is None else 1)
        if self.classes is None:
            return outputs[0].reshape(-1), None
        return outputs[0] if labels else None, outputs[-1]

    def _run(self, table: Any, first: int) -> list[Any]:
        """Run all rows in chunks; return the outputs from the ``first`` on."""
        if self._forest is not None and len(table) >= self._long:
            # sequentially: the steps are short, and threads would mostly wait for each other
            return _concatenate(map(partial(self._forest.run, first=first), _chunks(table, self._forest.rows)))
        rows = max(1, min(GRAPH_ROWS, GRAPH_CELLS // table.shape[1]))
        if len(table) <= rows:
            return self._graph.run(table, first)
        return _concatenate(self._threads.map(partial(self._graph.run, first=first), _chunks(table, rows)))

    def table(self, columns: Columns) -> Any:
        """Return checked columns as the graph takes them: float64 (n_rows, n_columns), texts as codes."""
        import numpy as np

        if self._learned:
            known = {name: learned_only(columns[name], learned) for name, learned in self._learned.items()}
            columns = {**columns, **known}
        if self._texts:
            coded = {name: [self._codes.get(value, UNKNOWN) for value in columns[name]] for name in self._texts}
            columns = {**columns, **coded}
        rows = len(next(iter(columns.values())))
        if rows < LONG:
            table = np.ascontiguousarray(np.array([*columns.values()], dtype=np.float64).T)  # None becomes NaN
        else:
            table = np.empty((rows, len(columns)))
            for place, values in enumerate(columns.values()):
                table[:, place] = values
        for place in self._narrow:  # as training rounded when it read the table
            table[:, place] = table[:, place].astype(np.float32)
        return table


class _Forest:
    """Runs the parts of a split graph one after the other."""

    def __init__(self, parts: SplitGraph) -> None:
        self._before = OnnxGraph(parts.before) if parts.before else None
        self._forest, self._after = parts.forest, OnnxGraph(parts.after)
        self.rows = max(1, FOREST_ROWS * 2 // max(2, parts.forest.outputs))  # of one run, since each class takes memory

    def run(self, table: Any, first: int) -> list[Any]:
        """See :meth:`OnnxGraph.run`, for the whole graph."""
        values = table if self._before is None else self._before.run(table)[0]
        return self._after.run(self._forest.sums(values), first)


def _chunks(table: Any, rows: int) -> list[Any]:
    return [table[start : start + rows] for start in range(0, len(table), rows)]


def _concatenate(parts: Iterable[list[Any]]) -> list[Any]:
    import numpy as np

    return [part[0] if len(part) == 1 else np.concatenate(part) for part in zip(*parts, strict=True)]


def _is_text(column: Column) -> bool:
    return column.kind == "string" or any(isinstance(value, str) for value in column.categories or ())
