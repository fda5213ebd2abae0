"""The LSTM head as an ONNX graph: a document's chunk vectors and a mask in, logits out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.graphs.writer import INT64, GraphWriter

LSTM_UNITS = 100
DENSE_UNITS = 30
GATES = (0, 3, 1, 2)  # Keras has them as input, forget, cell, output; ONNX as input, output, forget, cell


def lstm_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained `hierdoc.heads.lstm` head, serialised ONNX, with its weights in it.

    The states after every chunk are computed and the last real one is taken: OpenVINO 2026.4 does not heed the LSTM
    operator's own lengths.

    Inputs: `vectors` float32 (B, S, D), right-padded; `mask` bool (B, S), True = a real chunk. Output: `logits` float32
    (B, C).

    Args:
        dim, num_classes: D and C.
        arrays: the weights as the head's weights.safetensors names them.
        source: where they are from, for errors.

    Raises:
        HierdocError: a weight is missing or of another shape.
    """
    add = GraphWriter()

    def weight(name: str, *shape: int) -> np.ndarray:
        if name not in arrays or arrays[name].shape != shape:
            raise HierdocError(f"{source}: weight {name!r} is missing or of another shape")
        return arrays[name]

    def by_gate(array: np.ndarray) -> np.ndarray:  # (…, 4 units) to (1, 4 units, …)
        gates = np.split(array, 4, axis=-1)
        return np.concatenate([gates[gate] for gate in GATES], axis=-1).T[None]

    def dense(hidden: str, name: str, inputs: int, outputs: int, as_name: str = "") -> str:
        kernel = add.constant(f"{name}/kernel", weight(f"{name}/kernel", inputs, outputs))
        bias = add.constant(f"{name}/bias", weight(f"{name}/bias", outputs))
        return add("Add", add("MatMul", hidden, kernel), bias, name=as_name)

    units, dense_units = LSTM_UNITS, DENSE_UNITS
    kernel = by_gate(weight("lstm/lstm_cell/kernel", dim, 4 * units))
    recurrent = by_gate(weight("lstm/lstm_cell/recurrent_kernel", units, 4 * units))
    bias = by_gate(weight("lstm/lstm_cell/bias", 4 * units))
    real = add("Where", add("Unsqueeze", "mask", add.whole_numbers(2)), "vectors", add.constant("nothing", 0.0))
    states = add(
        "LSTM",
        add("Transpose", real, perm=[1, 0, 2]),  # (S, B, D)
        add.constant("lstm/kernel", kernel),
        add.constant("lstm/recurrent_kernel", recurrent),
        add.constant("lstm/bias", np.concatenate([bias, np.zeros_like(bias)], axis=1)),
        hidden_size=units,
    )  # (S, 1, B, units)
    states = add("Transpose", add("Squeeze", states, add.whole_numbers(1)), perm=[1, 0, 2])
    num_chunks = add("ReduceSum", add("Cast", "mask", to=INT64), add.whole_numbers(1))  # (B, 1)
    last = add("Sub", num_chunks, add.whole_numbers(1))
    state = add("GatherND", states, last, batch_dims=1)  # after each document's last chunk
    dense(add("Relu", dense(state, "dense", units, dense_units)), "logits", dense_units, num_classes, "logits")
    inputs = {
        "vectors": (np.float32, ["documents", "chunks", dim]),
        "mask": (np.bool_, ["documents", "chunks"]),
    }
    return add.finish("lstm", inputs, {"logits": ["documents", num_classes]})
