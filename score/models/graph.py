"""A graph in ONNX Runtime, with one input."""

from __future__ import annotations

from typing import Any


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
