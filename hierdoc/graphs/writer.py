"""Writes ONNX graphs node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OPSET = 20  # the first with Gelu; LayerNormalization is in it from 17 on
IR_VERSION = 9  # the one of that opset: readers of that age take it

INT64 = 7  # as TensorProto has it

Shape = Sequence["int | str"]


class GraphWriter:
    """Collects the nodes and constants of one graph; calling it adds a node and returns its output's name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._constants: dict[str, Any] = {}

    def __call__(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = name or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add an array under its name, unless it is there, and return the name."""
        from onnx import numpy_helper

        if name not in self._constants:
            self._constants[name] = numpy_helper.from_array(np.ascontiguousarray(value, dtype), name)
        return name

    def whole_numbers(self, *values: int) -> str:
        """Add int64 numbers, as shapes and axes are, and return their name."""
        return self.constant("whole_" + "_".join(map(str, values)), values, np.int64)

    def finish(self, name: str, inputs: Mapping[str, tuple[Any, Shape]], outputs: Mapping[str, Shape]) -> bytes:
        """Return the checked model, serialised.

        Args:
            name: the graph's.
            inputs: the NumPy dtype and shape of each; a word in a shape stands for any number.
            outputs: the shape of each; all are float32.
        """
        import onnx
        from onnx import TensorProto, helper

        taken = [
            helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for key, (dtype, shape) in inputs.items()
        ]
        given = [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()]
        graph = helper.make_graph(self._nodes, name, taken, given, list(self._constants.values()))
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="hierdoc")
        onnx.checker.check_model(model)
        return model.SerializeToString()
