"""The ONNX graph that a custom converter writes: nodes and constants in skl2onnx's container."""

from __future__ import annotations

from typing import Any

import numpy as np


class GraphBuilder:
    """Adds nodes and constants to skl2onnx's container, each under a unique name."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, values: Any) -> str:
        """Add an initializer that holds an array and return its name."""
        from onnx import numpy_helper

        name: str = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, None, None, numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output and return the output's name."""
        output: str = self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), [output], name=name, **attributes)
        return output

    def cast(self, name: str, dtype: Any) -> str:
        """Add a cast to another NumPy dtype and return the output's name."""
        from onnx import helper

        return self.node("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
