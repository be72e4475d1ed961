"""The graph that a converter of ours writes to: nodes and constants in skl2onnx's container."""

from __future__ import annotations

from typing import Any

import numpy as np


class GraphBuilder:
    """Adds nodes and constants to skl2onnx's container, each under a name of its own."""

    def __init__(self, scope: Any, container: Any) -> None:
        self._scope, self._container = scope, container

    def constant(self, values: Any) -> str:
        """The name of an initializer that holds an array."""
        from onnx import numpy_helper

        name: str = self._scope.get_unique_variable_name("constant")
        self._container.add_initializer(name, None, None, numpy_helper.from_array(np.asarray(values), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The name of the one output of a new node."""
        output: str = self._scope.get_unique_variable_name(kind.lower())
        name = self._scope.get_unique_operator_name(kind)
        self._container.add_node(kind, list(inputs), [output], name=name, **attributes)
        return output

    def cast(self, name: str, dtype: Any) -> str:
        """The same values in another type of numpy's."""
        from onnx import helper

        return self.node("Cast", name, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
