"""What heads are made of: their inputs, and the layers on top that name the class."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat
from hierdoc.graphs.head_writer import DENSE_UNITS


def document_inputs(dim: int) -> tuple[Any, Any, Any]:
    """Return Keras inputs, vectors float32 (B, S, D) and mask bool (B, S), and the vectors with 0 where the mask is False.

    Whatever stands there, NaN too, would otherwise reach the gradients.
    """
    tf = compat.load_tensorflow()
    vectors = tf.keras.Input((None, dim), name="vectors")
    mask = tf.keras.Input((None,), dtype="bool", name="mask")
    real = applied("real_chunks", lambda vectors, mask: tf.where(mask[:, :, None], vectors, 0.0), vectors, mask)
    return vectors, mask, real


def applied(name: str, function: Any, *inputs: Any) -> Any:
    """Return what `function` makes of Keras tensors, as a layer without weights."""
    tf = compat.load_tensorflow()
    return tf.keras.layers.Lambda(lambda values: function(*values), name=name)(list(inputs))


def mean_of(hidden: Any, mask: Any) -> Any:
    """Return the mean over each document's chunks, float32 (B, D), of hidden (B, S, D), which is 0 where the mask is False."""
    tf = compat.load_tensorflow()
    counted = lambda hidden, mask: (  # noqa: E731
        tf.reduce_sum(hidden, axis=1) / tf.reduce_sum(tf.cast(mask, tf.float32), axis=1, keepdims=True)
    )
    return applied("mean", counted, hidden, mask)


def max_of(hidden: Any, mask: Any, name: str = "max") -> Any:
    """Return the maximum over each document's chunks, float32 (B, D), of hidden (B, S, D)."""
    tf = compat.load_tensorflow()
    return applied(name, lambda hidden, mask: tf.reduce_max(tf.where(mask[:, :, None], hidden, -1e30), axis=1), hidden, mask)  # fmt: skip


def head_of(name: str, vectors: Any, mask: Any, document: Any, num_classes: int) -> Any:
    """Return the Keras model that reads one vector for each document, (B, U), by dense 30 with ReLU and dense C, as RoBERT does."""
    keras = compat.load_tensorflow().keras
    hidden = keras.layers.Dense(DENSE_UNITS, activation="relu", name="dense")(document)  # (B, 30)
    logits = keras.layers.Dense(num_classes, name="logits")(hidden)  # (B, C)
    return keras.Model([vectors, mask], logits, name=f"{name}_head")
