"""A small transformer over a document's chunk vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.heads.layers import applied, document_inputs, head_of, mean_of

UNITS, LAYERS, HEADS, INNER_UNITS = 128, 2, 4, 256


def places(num: Any) -> Any:
    """Return what is added to the first `num` chunks so that their order is known, float32 (num, UNITS): Vaswani et al. 2017's waves."""
    tf = compat.load_tensorflow()
    periods = tf.constant(10000.0 ** (-np.arange(0, UNITS, 2) / UNITS), tf.float32)
    angles = tf.cast(tf.range(num), tf.float32)[:, None] * periods
    return tf.concat([tf.sin(angles), tf.cos(angles)], axis=1)


def build_transformer(dim: int, num_classes: int) -> Any:
    """Return a head (see `hierdoc.heads`): two transformer layers, and the mean of what they make of the chunks.

    ToBERT (Pappagari et al. 2019) as far as it says how it is made; of 128 units and 4 heads, so that it suits some thousand documents,
    with waves for places, which have no longest document, and without dropout inside. Memory grows with the square of a document's
    chunks: a document of 8,192 takes some 10 GB in training.
    """
    tf = compat.load_tensorflow()
    keras = tf.keras
    vectors, mask, real = document_inputs(dim)
    hidden = keras.layers.Dense(UNITS, name="narrowed")(real)
    hidden = applied("placed", lambda hidden: hidden + places(tf.shape(hidden)[1]), hidden)
    shown = applied("shown", lambda mask: mask[:, None, :], mask)  # (B, 1, S)
    for number in range(LAYERS):
        attention = keras.layers.MultiHeadAttention(HEADS, UNITS // HEADS, name=f"attention_{number}")
        attended = attention(hidden, hidden, attention_mask=shown)
        hidden = keras.layers.LayerNormalization(name=f"attended_{number}")(hidden + attended)
        inner = keras.layers.Dense(INNER_UNITS, activation="relu", name=f"inner_{number}")(hidden)
        outer = keras.layers.Dense(UNITS, name=f"outer_{number}")(inner)
        hidden = keras.layers.LayerNormalization(name=f"layer_{number}")(hidden + outer)
    hidden = applied("read", lambda hidden, mask: tf.where(mask[:, :, None], hidden, 0.0), hidden, mask)
    return head_of("transformer", vectors, mask, mean_of(hidden, mask), num_classes)
