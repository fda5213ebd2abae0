"""Writes ONNX graphs node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

OPSET = 20  # the first with Gelu; LayerNormalization is in it from 17 on
IR_VERSION = 9  # the one of that opset: readers of that age take it

FLOAT, INT64 = 1, 7  # as TensorProto has them

Shape = Sequence["int | str"]


class GraphWriter:
    """Collects the nodes and constants of one graph; calling it adds a node and returns its output's name."""

    def __init__(self) -> None:
        from onnx import ModelProto

        self._model = ModelProto(ir_version=IR_VERSION, producer_name="hierdoc")
        self._graph = self._model.graph  # filled in place: helper.make_graph and make_model copy all weights, each
        self._names: set[str] = set()

    def __call__(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = name or f"{operator}_{len(self._graph.node)}"
        self._graph.node.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: Any, dtype: Any = np.float32) -> str:
        """Add an array under its name, unless it is there, and return the name."""
        from onnx import helper

        if name not in self._names:
            self._names.add(name)
            array = np.asarray(value, np.dtype(dtype).newbyteorder("<"))
            kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
            self._graph.initializer.add(name=name, data_type=kind, dims=array.shape, raw_data=array.tobytes())
        return name

    def whole_numbers(self, *values: int) -> str:
        """Add int64 numbers, as shapes and axes are, and return their name."""
        return self.constant("whole_" + "_".join(map(str, values)), values, np.int64)

    def finish(self, name: str, inputs: Mapping[str, tuple[Any, Shape]], outputs: Mapping[str, Shape]) -> bytes:
        """Return the model, serialised. It is not checked: onnx's checker takes longer than all the rest.

        Args:
            name: the graph's.
            inputs: the NumPy dtype and shape of each; a word in a shape stands for any number.
            outputs: the shape of each; all are float32.
        """
        from onnx import TensorProto, helper

        self._graph.name = name
        self._graph.input.extend(
            helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)
            for key, (dtype, shape) in inputs.items()
        )
        self._graph.output.extend(
            helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()
        )
        self._model.opset_import.append(helper.make_opsetid("", OPSET))
        return self._model.SerializeToString()
