"""The LSTM head against a loop in NumPy, and law 3: the order of a document's chunks matters to it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hierdoc.heads.lstm import build_lstm

DIM, CLASSES = 5, 3


@pytest.fixture(scope="module")
def model() -> Any:
    """An LSTM head with weights as large as trained ones."""
    model = build_lstm(DIM, CLASSES)
    rng = np.random.default_rng(0)
    for variable in model.variables:
        variable.assign(rng.normal(0, 0.3, variable.shape))
    return model


def logits_by_hand(model: Any, vectors: np.ndarray) -> np.ndarray:
    """Hochreiter and Schmidhuber's LSTM with forget gates (Gers et al. 2000), dense with ReLU, dense; in float64."""
    weights = {variable.name: variable.numpy().astype(np.float64) for variable in model.variables}
    (kernel,) = (value for name, value in weights.items() if "lstm" in name and "/kernel" in name)
    (recurrent,) = (value for name, value in weights.items() if "recurrent_kernel" in name)
    (bias,) = (value for name, value in weights.items() if "lstm" in name and "/bias" in name)
    units = len(recurrent)
    assert units == 100
    state, memory = np.zeros(units), np.zeros(units)
    for vector in vectors.astype(np.float64):
        gates = vector @ kernel + state @ recurrent + bias
        inward, forget, candidate, outward = (gates[at * units : (at + 1) * units] for at in range(4))
        sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
        memory = sigmoid(forget) * memory + sigmoid(inward) * np.tanh(candidate)
        state = sigmoid(outward) * np.tanh(memory)
    hidden = np.maximum(state @ weights["dense/kernel:0"] + weights["dense/bias:0"], 0)
    assert hidden.shape == (30,)
    return hidden @ weights["logits/kernel:0"] + weights["logits/bias:0"]


def logits_of(model: Any, vectors: np.ndarray, length: int) -> np.ndarray:
    padded, mask = np.zeros((1, length, DIM), np.float32), np.zeros((1, length), bool)
    padded[0, : len(vectors)], mask[0, : len(vectors)] = vectors, True
    return model([padded, mask], training=False).numpy()[0]


@pytest.mark.parametrize("num_chunks", [1, 2, 9])
def test_the_logits_are_those_of_a_numpy_loop_that_stops_at_the_last_real_chunk(model: Any, num_chunks: int):
    vectors = np.random.default_rng(num_chunks).normal(0, 2, (num_chunks, DIM)).astype(np.float32)
    wanted = logits_by_hand(model, vectors)
    for length in (num_chunks, 12):
        # sums of 100 float32 products of size 1 in another order; logits are about 10
        np.testing.assert_allclose(logits_of(model, vectors, length), wanted, rtol=0, atol=5e-5)


def test_swapping_two_chunks_of_a_document_changes_the_logits(model: Any):
    vectors = np.random.default_rng(0).normal(0, 2, (4, DIM)).astype(np.float32)
    before = logits_of(model, vectors, 6)
    for first, second in ((0, 1), (0, 3), (1, 2)):
        swapped = vectors.copy()
        swapped[[first, second]] = vectors[[second, first]]
        assert np.abs(logits_of(model, swapped, 6) - before).max() > 1e-2


def test_a_chunk_of_zeros_is_a_real_chunk_all_the_same(model: Any):
    """The mask says what is real, not the values: zeros may be a vector."""
    vectors = np.float32([[1, 2, 3, 4, 5], [0, 0, 0, 0, 0]])
    assert np.abs(logits_of(model, vectors, 4) - logits_of(model, vectors[:1], 4)).max() > 1e-2
