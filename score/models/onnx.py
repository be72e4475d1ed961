"""The compiled twin of the pickled pipeline: a graph that ONNX Runtime runs, on plain arrays, without scikit-learn.

The graph takes one float64 table (n_rows, n_columns). A missing value is NaN in it, true is 1, and a text is the code
that the pipeline's own categories gave it: what they do not know has one code for all.
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

from score.contract.columns import Columns
from score.contract.schema import Column, Contract
from score.models.quickscorer import SplitGraph
from score.payload.typed_reader import LONG

FILE = "compiled.json"
GRAPH = "model.onnx"
PARTS = "model.npz"  # of a graph with a forest, for requests of many rows
WALKED, LOOKED_UP = 1000, 2500  # rows at a time, in a graph and in a forest
MAX_THREADS = 4
UNKNOWN = -1.0  # the code of a text that the pipeline has not met


@dataclass(frozen=True)
class Compilation:
    """What came of compiling, kept as compiled.json: how the twin is used, or the ``reason`` why there is none.

    ``tolerance`` is what the proof over ``rows`` training and hold-out rows and ``edges`` made-up ones allows a number
    in a reply; of ``splits`` thresholds of trees both sides were tried. With a ``forest`` many rows go through its parts.
    Where all that the graph does is done for each row by itself, the rows of several requests may go ``together``.
    """

    reason: str = ""
    tolerance: float | None = None
    rows: int = 0
    edges: int = 0
    splits: int = 0
    classes: Sequence[int] | None = None
    codes: Mapping[str, int] = field(default_factory=dict)
    forest: bool = False
    together: bool = False

    @property
    def used(self) -> bool:
        """Whether the package is served by its twin."""
        return not self.reason

    @classmethod
    def read(cls, folder: Path) -> Compilation:
        """A package's; one that has none is served by its pickle."""
        path = folder / FILE
        return cls(**json.loads(path.read_bytes())) if path.is_file() else cls("the package was made without")

    def write(self, folder: Path) -> None:
        """Keep it with a package."""
        (folder / FILE).write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


class OnnxGraph:
    """A loaded graph, which threads may share; raises whatever ONNX Runtime raises for one that it cannot run."""

    def __init__(self, graph: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread adds in the order in which scikit-learn does, up to some hundred trees; what is parallel is the
        # chunks of a long request
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, table: Any, first: int = 0) -> list[Any]:
        """The outputs from the ``first`` on for a table (n_rows, n_columns) of the input's type."""
        found: list[Any] = self._session.run(self._outputs[first:], {self._input: table})
        return found


class CompiledModel:
    """A graph and how a request's columns become its table; its ``parts`` serve requests of ``long`` rows and more."""

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
        self._narrow = [index for index, column in enumerate(contract.columns) if column.dtype.lower() == "float32"]
        self._codes: dict[Any, float] = {None: float("nan"), **compilation.codes}
        self.classes = compilation.classes
        self.together = compilation.together

    @classmethod
    def load(cls, folder: Path, contract: Contract, compilation: Compilation) -> CompiledModel:
        """Load a package's graph; raises whatever ONNX Runtime raises for one that it cannot run, and as ``SplitGraph.read``."""
        parts = SplitGraph.read(folder / PARTS) if compilation.forest else None
        return cls((folder / GRAPH).read_bytes(), contract, compilation, parts)

    def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """See ``Model``."""
        found = self._run(self._table(columns), 0 if labels or self.classes is None else 1)
        if self.classes is None:
            return found[0].reshape(-1), None
        return found[0] if labels else None, found[-1]

    def _run(self, table: Any, first: int) -> list[Any]:
        """The outputs from the ``first`` on, for all rows; of so many at a time that what is in between stays small."""
        if self._forest is not None and len(table) >= self._long:
            # one after the other: threads would wait for each other between so many short steps
            return _together(map(partial(self._forest.run, first=first), _pieces(table, self._forest.rows)))
        if len(table) <= WALKED:
            return self._graph.run(table, first)
        return _together(self._threads.map(partial(self._graph.run, first=first), _pieces(table, WALKED)))

    def _table(self, columns: Columns) -> Any:
        import numpy as np

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
        for place in self._narrow:  # what training rounded when it read the table
            table[:, place] = table[:, place].astype(np.float32)
        return table


class _Forest:
    """A graph that was cut at its trees, put together again."""

    def __init__(self, parts: SplitGraph) -> None:
        self._before = OnnxGraph(parts.before) if parts.before else None
        self._forest, self._after = parts.forest, OnnxGraph(parts.after)
        self.rows = max(1, LOOKED_UP * 2 // max(2, parts.forest.outputs))  # at a time, since each class takes memory

    def run(self, table: Any, first: int) -> list[Any]:
        """The same as :meth:`OnnxGraph.run` of the whole."""
        values = table if self._before is None else self._before.run(table)[0]
        return self._after.run(self._forest.sums(values), first)


def _pieces(table: Any, rows: int) -> list[Any]:
    return [table[start : start + rows] for start in range(0, len(table), rows)]


def _together(parts: Iterable[list[Any]]) -> list[Any]:
    import numpy as np

    return [part[0] if len(part) == 1 else np.concatenate(part) for part in zip(*parts, strict=True)]


def _is_text(column: Column) -> bool:
    return column.kind == "string" or any(isinstance(value, str) for value in column.categories or ())
