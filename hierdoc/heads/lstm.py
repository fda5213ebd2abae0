"""The LSTM that reads a document's chunk vectors in order and names its class."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat
from hierdoc.graphs.recurrent import UNITS
from hierdoc.heads.layers import document_inputs, head_of


def build_lstm(dim: int, num_classes: int) -> Any:
    """Return a tf-keras model of (vectors float32 (B, S, D), mask bool (B, S)) that gives logits float32 (B, C).

    LSTM 100, dense 30 with ReLU, dense C, the sizes of RoBERT (Pappagari et al. 2019, Hierarchical Transformers for
    Long Document Classification). The LSTM's last state is that of the last real chunk, and what stands under a False
    mask is not read.
    """
    keras = compat.load_tensorflow().keras
    vectors, mask, real = document_inputs(dim)
    state = keras.layers.LSTM(UNITS, name="lstm")(real, mask=mask)  # (B, 100)
    return head_of("lstm", vectors, mask, state, num_classes)
