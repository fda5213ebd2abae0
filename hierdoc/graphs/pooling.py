"""The heads that pool a document's chunks, as ONNX graphs; see `hierdoc.graphs.recurrent.lstm_graph` for their arguments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hierdoc.graphs.head_writer import FAR, HeadWriter

CONTEXT_UNITS = 100
LEAST = 1e-30  # the probability that takes the place of lower ones, which have no logarithm
WIDTHS, FILTERS = (1, 2, 3), 100


def mean_pool_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained head on the mean of the vectors."""
    add = HeadWriter("mean_pool", dim, num_classes, arrays, source)
    return add.finish_head(add.mean(add.real), dim)


def max_pool_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained head on the maximum of the vectors."""
    add = HeadWriter("max_pool", dim, num_classes, arrays, source)
    return add.finish_head(add.max(add.real), dim)


def mean_probs_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained head that is the mean of the chunks' probabilities."""
    add = HeadWriter("mean_probs", dim, num_classes, arrays, source)
    probs = add("Softmax", add.dense(add.real, "logits", dim, num_classes), axis=2)
    mean = add.mean(add("Where", add.shown, probs, add.constant("none", 0.0)))
    add("Log", add("Max", mean, add.constant("least", LEAST)), name="logits")
    return add.finish_logits()


def attention_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained head on a weighted mean of the vectors."""
    add = HeadWriter("attention", dim, num_classes, arrays, source)
    hidden = add("Tanh", add.dense(add.real, "attention", dim, CONTEXT_UNITS))
    context = add.constant("context/kernel", add.weight("context/kernel", CONTEXT_UNITS, 1))
    scores = add("Where", add.shown, add("MatMul", hidden, context), add.constant("far", FAR))
    weighted = add("Mul", add("Softmax", scores, axis=1), add.real)
    return add.finish_head(add("ReduceSum", weighted, add.whole_numbers(1), keepdims=0), dim)


def textcnn_graph(dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str) -> bytes:
    """Return the model of a trained head of convolutions."""
    add = HeadWriter("textcnn", dim, num_classes, arrays, source)
    by_number = add("Transpose", add.real, perm=[0, 2, 1])  # (B, D, S)
    maxima = []
    for width in WIDTHS:
        name = f"convolution_{width}"
        kernel = add.weight(f"{name}/kernel", width, dim, FILTERS).transpose(2, 1, 0)
        found = add(
            "Conv", by_number, add.constant(f"{name}/kernel", np.ascontiguousarray(kernel)),
            add.constant(f"{name}/bias", add.weight(f"{name}/bias", FILTERS)),
            pads=[(width - 1) // 2, width // 2],
        )  # fmt: skip
        maxima.append(add.max(add("Transpose", add("Relu", found), perm=[0, 2, 1])))
    return add.finish_head(add("Concat", *maxima, axis=1), FILTERS * len(WIDTHS))
