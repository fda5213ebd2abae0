"""The reference engine: the encoder's own TensorFlow graph, one trace for each shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.engines.precision import in_precision
from hierdoc.engines.token_batches import pad_tokens, plan_batches

Encode = Callable[[np.ndarray, np.ndarray], np.ndarray]


def build_engine(encoder: Any, precision: str = "float32") -> Encode:
    """Return a function of token_ids int32 (N, T) and mask bool (N, T) that returns float32 vectors (N, D).

    It computes with the encoder's weights as they are at each call, in "float32" or "bfloat16".
    """
    tf = compat.load_tensorflow()
    graph = tf.function(lambda token_ids, mask: encoder(token_ids, mask), autograph=False)

    def encode(token_ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        with in_precision(precision):
            return graph(tf.constant(token_ids, tf.int32), tf.constant(mask, tf.bool)).numpy()

    return encode


def encode_chunks(
    encode: Encode, rows: Sequence[np.ndarray], chunk_size: int, dim: int, progress: Any = None
) -> np.ndarray:
    """Return the vectors, float32 (N, D), of N chunks' token ids, in their order.

    Args:
        encode: an engine's function.
        rows: int32 (T_n,) each, of at most `chunk_size` tokens.
        chunk_size: what the padded lengths are made from.
        dim: D.
        progress: told how many chunks are done (`update(num)`).
    """
    vectors = np.empty((len(rows), dim), np.float32)
    lengths = np.asarray([len(row) for row in rows], np.int64)
    for length, num_rows, members in plan_batches(lengths, chunk_size):
        token_ids, mask = pad_tokens([rows[index] for index in members], num_rows, length)
        vectors[members] = encode(token_ids, mask)[: len(members)]
        if progress is not None:
            progress.update(len(members))
    return vectors
