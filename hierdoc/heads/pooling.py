"""Heads that do not read a document in order: its mean, its maximum, or the chunks that matter."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat
from hierdoc.graphs.pooling import CONTEXT_UNITS
from hierdoc.heads.layers import applied, document_inputs, head_of, max_of, mean_of


def build_mean_pool(dim: int, num_classes: int) -> Any:
    """Return a head (see `hierdoc.heads`) on the mean of a document's vectors: dense 30 with ReLU, dense C."""
    vectors, mask, real = document_inputs(dim)
    return head_of("mean_pool", vectors, mask, mean_of(real, mask), num_classes)


def build_max_pool(dim: int, num_classes: int) -> Any:
    """Return a head as `build_mean_pool`'s on the maximum of each of the vectors' numbers."""
    vectors, mask, real = document_inputs(dim)
    return head_of("max_pool", vectors, mask, max_of(real, mask), num_classes)


def build_attention(dim: int, num_classes: int) -> Any:
    """Return a head as `build_mean_pool`'s on a weighted mean, whose weights are learned.

    A chunk's weight is the softmax of u . tanh(W h + b), as Yang et al. 2016 (Hierarchical Attention Networks) weigh sentences;
    theirs reads the sentences by a GRU before, this one does not.
    """
    tf = compat.load_tensorflow()
    vectors, mask, real = document_inputs(dim)
    hidden = tf.keras.layers.Dense(CONTEXT_UNITS, activation="tanh", name="attention")(real)
    scores = tf.keras.layers.Dense(1, use_bias=False, name="context")(hidden)  # (B, S, 1)

    def weighted(real: Any, scores: Any, mask: Any) -> Any:
        shares = tf.nn.softmax(tf.where(mask[:, :, None], scores, -1e30), axis=1)
        return tf.reduce_sum(shares * real, axis=1)

    return head_of("attention", vectors, mask, applied("weighted", weighted, real, scores, mask), num_classes)
