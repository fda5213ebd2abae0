"""Softmax classification: its loss and the weights of rare classes; and the chunk head."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from hierdoc.encoders import compat
from hierdoc.encoders.dropout import dropout

DROPOUT_PLACE = 4095  # the last one; an encoder counts from 0


class ChunkHead:
    """Dropout and a dense layer over a chunk's vector, as bert-for-tf2's users build it.

    Attributes:
        kernel: variable float32 (D, C), truncated normal of deviation 0.02.
        bias: variable float32 (C,).
    """

    def __init__(self, dim: int, num_classes: int, dropout_rate: float = 0.2, seed: int = 0, bias: Any = None):
        """Begin with random weights, and a bias of float32 (C,) or of zeros."""
        tf = compat.load_tensorflow()
        initializer = tf.keras.initializers.TruncatedNormal(stddev=0.02, seed=seed)
        self.kernel = tf.Variable(initializer((dim, num_classes)), name="chunk_head/kernel")
        self.bias = tf.Variable(tf.zeros(num_classes) if bias is None else bias, name="chunk_head/bias")
        self._dropout_rate = dropout_rate

    def __call__(self, vectors: Any, dropout_seed: Any = None) -> Any:
        """Return logits (N, C) of vectors (N, D); `dropout_seed` as for encoders."""
        tf = compat.load_tensorflow()
        if dropout_seed is not None:
            vectors = dropout(vectors, self._dropout_rate, dropout_seed, DROPOUT_PLACE)
        return tf.matmul(vectors, self.kernel) + self.bias

    def arrays(self) -> dict[str, np.ndarray]:
        """Return copies of kernel and bias."""
        return {"kernel": self.kernel.numpy(), "bias": self.bias.numpy()}


def chunk_probs(vectors: np.ndarray, head: dict[str, np.ndarray]) -> np.ndarray:
    """Return the chunk head's probabilities, float32 (N, C), of vectors (N, D).

    Computed in float64, so that a row does not depend on how many others there are.
    """
    return softmax(chunk_logits(vectors, head)).astype(np.float32)


def chunk_logits(vectors: np.ndarray, head: dict[str, np.ndarray]) -> np.ndarray:
    """Return the chunk head's logits, float64 (N, C), of vectors (N, D)."""
    return vectors.astype(np.float64) @ head["kernel"].astype(np.float64) + head["bias"].astype(np.float64)


def softmax(logits: np.ndarray) -> np.ndarray:
    """Return the softmax over the last axis."""
    return special.softmax(logits, axis=-1)


def weighted_loss(logits: Any, label_ids: Any, weights: Any) -> Any:
    """Return the batch's cross-entropy: the sum of weight x loss over the number of rows with a weight above 0.

    Args:
        logits: float32 (N, C).
        label_ids: int32 (N,).
        weights: float32 (N,); 0 for rows that only fill up the batch.
    """
    tf = compat.load_tensorflow()
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label_ids, logits=logits)  # (N,)
    return tf.reduce_sum(weights * losses) / tf.reduce_sum(tf.cast(weights > 0, tf.float32))


def class_weights(label_ids: np.ndarray, num_classes: int, balanced: bool) -> np.ndarray:
    """Return float32 (C,): ones, or N / (C x count of the class), as scikit-learn's "balanced".

    A class of which there is no row has weight 0. Of rows with any number of labels, bool (N, C), balanced is the number of
    rows without a label by that of rows with it, so that both weigh as much, or 1 where every row has it.
    """
    if not balanced:
        return np.ones(num_classes, np.float32)
    if label_ids.ndim == 2:
        positive = label_ids.sum(axis=0)
        negative = len(label_ids) - positive
        return np.where(negative > 0, negative / np.maximum(positive, 1), 1).astype(np.float32)
    counts = np.bincount(label_ids, minlength=num_classes)
    return np.where(counts > 0, len(label_ids) / (num_classes * np.maximum(counts, 1)), 0).astype(np.float32)


def row_weights(label_ids: np.ndarray, class_weights: np.ndarray) -> np.ndarray:
    """Return the weights of N rows' losses by those of their classes, float32 (C,): (N,), or of any number of labels (N, C).

    A label's weight is then that of its loss where a row has it; where not, the weight is 1.
    """
    return class_weights[label_ids] if label_ids.ndim == 1 else np.where(label_ids, class_weights, np.float32(1))


def accuracy_and_loss(probs: np.ndarray, label_ids: np.ndarray) -> tuple[float, float]:
    """Return the share of rows whose most probable class is theirs, and the mean cross-entropy.

    A row of a class that train never saw (id -1) is wrong and left out of the loss, which is 0 when no row is left.
    Without rows both are NaN.
    """
    if not len(label_ids):
        return float("nan"), float("nan")
    known = label_ids >= 0
    taken = probs[np.flatnonzero(known), label_ids[known]]
    loss = -np.log(np.maximum(taken, 1e-12)).mean() if known.any() else 0.0
    return float((probs.argmax(axis=1) == label_ids).mean()), float(loss)
