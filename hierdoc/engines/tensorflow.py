"""The reference engine: the encoder's own TensorFlow graph, one trace for each shape."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.engines.encoding import Engine
from hierdoc.engines.precision import in_precision
from hierdoc.engines.token_batches import few_shapes


def build_engine(encoder: Any, precision: str, chunk_size: int) -> Engine:
    """Return the engine of an encoder.

    It computes with the encoder's weights as they are at each call, in "float32" or "bfloat16".
    """
    tf = compat.load_tensorflow()
    graph = tf.function(lambda token_ids, mask: encoder(token_ids, mask), autograph=False)

    def encode(token_ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with in_precision(precision):
            return graph(tf.constant(token_ids, tf.int32), tf.constant(mask, tf.bool)).numpy()

    return Engine(encode, encoder.dim, few_shapes(chunk_size))


def load_engine(config: dict[str, Any], arrays: dict[str, np.ndarray], precision: str, chunk_size: int) -> Engine:
    """Return the engine of an encoder with these weights; see `hierdoc.engines.ENGINES`."""
    from hierdoc.encoders import ENCODERS

    encoder = ENCODERS[config["name"]](config)
    encoder.assign(arrays, "the encoder's weights")
    return build_engine(encoder, precision, chunk_size)
