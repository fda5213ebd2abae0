"""The heads that end with a recurrent network's last state, as ONNX graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hierdoc.graphs.head_writer import HeadWriter

UNITS = 100
# Keras has an LSTM's gates as input, forget, cell, output, and ONNX as input, output, forget, cell; of a GRU both have update, reset, new.
LSTM_GATES, GRU_GATES = (0, 3, 1, 2), (0, 1, 2)


def lstm_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained LSTM head, serialised ONNX, with its weights in it; see `HeadWriter`.

    Args:
        dim, num_classes: D and C.
        arrays: the weights as the head's weights.safetensors names them.
        source: where they are from, for errors.

    Raises:
        HierdocError: a weight is missing or of another shape.
    """
    add = HeadWriter("lstm", dim, num_classes, arrays, source)
    kernel = add.weight("lstm/lstm_cell/kernel", dim, 4 * UNITS)
    recurrent = add.weight("lstm/lstm_cell/recurrent_kernel", UNITS, 4 * UNITS)
    bias = _by_gate(add.weight("lstm/lstm_cell/bias", 4 * UNITS), LSTM_GATES)
    biases = np.concatenate([bias, np.zeros_like(bias)], axis=1)
    arguments = [_by_gate(kernel, LSTM_GATES), _by_gate(recurrent, LSTM_GATES), biases]
    return add.finish_head(_last_state(add, "LSTM", arguments), UNITS)


def gru_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained GRU head; else as `lstm_graph`."""
    add = HeadWriter("gru", dim, num_classes, arrays, source)
    kernel = add.weight("gru/gru_cell/kernel", dim, 3 * UNITS)
    recurrent = add.weight("gru/gru_cell/recurrent_kernel", UNITS, 3 * UNITS)
    of_inputs, of_states = add.weight("gru/gru_cell/bias", 2, 3 * UNITS)
    biases = np.concatenate([_by_gate(of_inputs, GRU_GATES), _by_gate(of_states, GRU_GATES)], axis=1)
    arguments = [_by_gate(kernel, GRU_GATES), _by_gate(recurrent, GRU_GATES), biases]
    return add.finish_head(_last_state(add, "GRU", arguments, linear_before_reset=1), UNITS)


def _by_gate(array: np.ndarray, order: Sequence[int]) -> np.ndarray:
    """Return (…, gates x units) as (1, gates x units, …), the gates in ONNX's order."""
    gates = np.split(array, len(order), axis=-1)
    return np.concatenate([gates[gate] for gate in order], axis=-1).T[None]


def _last_state(add: HeadWriter, operator: str, arguments: Sequence[np.ndarray], **attributes: int) -> str:
    """Add a recurrent network and return the name of its state after each document's last chunk, (B, UNITS).

    The states after every chunk are computed and the last real one is taken: OpenVINO 2026.4 does not heed the operators'
    own lengths.
    """
    weights = [
        add.constant(f"{operator}/{name}", array)
        for name, array in zip(("kernel", "recurrent_kernel", "bias"), arguments)
    ]
    steps = add("Transpose", add.real, perm=[1, 0, 2])  # (S, B, D)
    states = add(operator, steps, *weights, hidden_size=UNITS, **attributes)  # (S, 1, B, UNITS)
    states = add("Transpose", add("Squeeze", states, add.whole_numbers(1)), perm=[1, 0, 2])
    last = add("Sub", add.num_chunks(), add.whole_numbers(1))
    return add("GatherND", states, last, batch_dims=1)
