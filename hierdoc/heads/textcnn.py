"""A convolution over a document's chunk vectors."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat
from hierdoc.graphs.pooling import FILTERS, WIDTHS
from hierdoc.heads.layers import document_inputs, head_of, max_of


def build_textcnn(dim: int, num_classes: int) -> Any:
    """Return a head (see `hierdoc.heads`): filters over 1, 2 and 3 chunks in a row, ReLU, and each one's maximum (Kim 2014).

    Kim's read words, 3 to 5 in a row, and drop half of the maxima in training. A chunk behind the last one counts as zeros.
    """
    keras = compat.load_tensorflow().keras
    vectors, mask, real = document_inputs(dim)
    maxima = [
        max_of(
            keras.layers.Conv1D(FILTERS, width, padding="same", activation="relu", name=f"convolution_{width}")(real),
            mask, f"max_{width}",
        )
        for width in WIDTHS
    ]  # fmt: skip
    return head_of("textcnn", vectors, mask, keras.layers.Concatenate(name="maxima")(maxima), num_classes)
