"""The compiled twin of the pickled pipeline: a graph that ONNX Runtime runs, on plain arrays, without scikit-learn.

The graph takes one float64 table (n_rows, n_columns). A missing value is NaN in it, true is 1, and a text is the code
that the pipeline's own categories gave it: what they do not know has one code for all.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from score.contract import Column, Contract
from score.models import Columns
from score.typed import LONG

FILE = "compiled.json"
GRAPH = "model.onnx"
CHUNK = 1000  # rows
MAX_THREADS = 4
UNKNOWN = -1.0  # the code of a text that the pipeline has not met


@dataclass(frozen=True)
class Compilation:
    """What came of compiling, kept as compiled.json: how the twin is used, or the ``reason`` why there is none.

    ``tolerance`` is what the proof over ``rows`` training and hold-out rows and ``edges`` made-up ones allows a number
    in a reply; of ``splits`` thresholds of trees both sides were tried.
    """

    reason: str = ""
    tolerance: float | None = None
    rows: int = 0
    edges: int = 0
    splits: int = 0
    classes: Sequence[int] | None = None
    codes: Mapping[str, int] = field(default_factory=dict)

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


class CompiledModel:
    """A graph and how a request's columns become its table."""

    def __init__(self, graph: bytes, contract: Contract, compilation: Compilation) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # One thread adds in the order in which scikit-learn does; what is parallel is the chunks of a long request
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._input = self._session.get_inputs()[0].name
        self._threads = ThreadPoolExecutor(min(MAX_THREADS, os.cpu_count() or 1), "compiled")
        self._texts = [column.name for column in contract.columns if _is_text(column)]
        self._narrow = [index for index, column in enumerate(contract.columns) if column.dtype.lower() == "float32"]
        self._codes: dict[Any, float] = {None: float("nan"), **compilation.codes}
        self.classes = compilation.classes

    @classmethod
    def load(cls, folder: Path, contract: Contract, compilation: Compilation) -> CompiledModel:
        """Load a package's graph; raises whatever ONNX Runtime raises for one that it cannot run."""
        return cls((folder / GRAPH).read_bytes(), contract, compilation)

    def predict(self, columns: Columns, *, labels: bool = True) -> tuple[Any, Any]:
        """See ``Model``."""
        table = self._table(columns)
        if self.classes is None:
            return self._run(table, self._outputs[:1])[0].reshape(-1), None
        codes, probabilities = (
            self._run(table, self._outputs) if labels else (None, *self._run(table, self._outputs[1:]))
        )
        return codes, probabilities

    def _run(self, table: Any, outputs: list[str]) -> list[Any]:
        """The outputs for all rows; of so many at a time that what a forest needs in between stays small."""
        if len(table) <= CHUNK:
            found: list[Any] = self._session.run(outputs, {self._input: table})
            return found
        import numpy as np

        chunks = (table[start : start + CHUNK] for start in range(0, len(table), CHUNK))
        parts = self._threads.map(lambda chunk: self._run(chunk, outputs), chunks)
        return [np.concatenate(part) for part in zip(*parts, strict=True)]

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


def _is_text(column: Column) -> bool:
    return column.kind == "string" or any(isinstance(value, str) for value in column.categories or ())
