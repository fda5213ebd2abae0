"""The LSTM that reads a document's chunk vectors in order and names its class."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat
from hierdoc.graphs.lstm import DENSE_UNITS, LSTM_UNITS


def build_lstm(dim: int, num_classes: int) -> Any:
    """Return a tf-keras model of (vectors float32 (B, S, D), mask bool (B, S)) that gives logits float32 (B, C).

    LSTM 100, dense 30 with ReLU, dense C, the sizes of RoBERT (Pappagari et al. 2019, Hierarchical Transformers for
    Long Document Classification). The LSTM's last state is that of the last real chunk, and what stands under a False
    mask is not read.
    """
    tf = compat.load_tensorflow()
    keras = tf.keras
    vectors = keras.Input((None, dim), name="vectors")
    mask = keras.Input((None,), dtype="bool", name="mask")
    real = keras.layers.Lambda(
        lambda pair: tf.where(pair[1][:, :, None], pair[0], 0.0),
        name="real_chunks",  # NaN there would reach gradients
    )([vectors, mask])
    state = keras.layers.LSTM(LSTM_UNITS, name="lstm")(real, mask=mask)  # (B, 100)
    hidden = keras.layers.Dense(DENSE_UNITS, activation="relu", name="dense")(state)  # (B, 30)
    logits = keras.layers.Dense(num_classes, name="logits")(hidden)  # (B, C)
    return keras.Model([vectors, mask], logits, name="lstm_head")
