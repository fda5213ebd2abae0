"""Heads that do not read a document in order: its mean, its maximum, or the chunks that matter."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat
from hierdoc.engines.token_batches import LANES
from hierdoc.graphs.head_writer import FAR
from hierdoc.graphs.pooling import CONTEXT_UNITS, LEAST
from hierdoc.heads.layers import applied, document_inputs, head_of, max_of, mean_of


def build_mean_pool(dim: int, num_classes: int) -> Any:
    """Return a head (see `hierdoc.heads`) on the mean of a document's vectors: dense 30 with ReLU, dense C."""
    vectors, mask, real = document_inputs(dim)
    return head_of("mean_pool", vectors, mask, mean_of(real, mask), num_classes)


def build_max_pool(dim: int, num_classes: int) -> Any:
    """Return a head as `build_mean_pool`'s on the maximum of each of the vectors' numbers."""
    vectors, mask, real = document_inputs(dim)
    return head_of("max_pool", vectors, mask, max_of(real, mask), num_classes)


def build_mean_probs(dim: int, num_classes: int) -> Any:
    """Return a head (see `hierdoc.heads`) that is the mean of what a softmax of its own says of each chunk; its logits are
    the logarithms."""
    tf = compat.load_tensorflow()
    vectors, mask, real = document_inputs(dim)
    of_chunks = tf.keras.layers.Dense(num_classes, name="logits")(real)  # (B, S, C)
    missing = -num_classes % LANES  # numbers beside full registers would be rounded in another way

    def shown_probs(of_chunks: Any, mask: Any) -> Any:
        probs = tf.nn.softmax(tf.pad(of_chunks, [[0, 0], [0, 0], [0, missing]], constant_values=FAR))
        return tf.where(mask[:, :, None], probs, 0.0)

    def logarithm(mean: Any) -> Any:
        return tf.math.log(tf.maximum(mean, LEAST))[:, :num_classes]

    mean = mean_of(applied("probs", shown_probs, of_chunks, mask), mask)
    logits = tf.keras.layers.Lambda(logarithm, name="logarithm")(mean)
    return tf.keras.Model([vectors, mask], logits, name="mean_probs_head")


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
        shares = tf.nn.softmax(tf.where(mask[:, :, None], scores, FAR), axis=1)
        return tf.reduce_sum(shares * real, axis=1)

    return head_of("attention", vectors, mask, applied("weighted", weighted, real, scores, mask), num_classes)
