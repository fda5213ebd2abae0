"""What stands for an array in a trace: a hash that is the same for the same numbers, and a sketch that is near for near ones."""

from __future__ import annotations

import functools
import hashlib

import numpy as np

SKETCH_SIZE = 16


def hash_rows(rows: np.ndarray) -> np.ndarray:
    """Return one uint64 for each row of an array whose first axis is N: of its bytes as int32, or float32 if it is no integer."""
    kind = "<i4" if np.issubdtype(rows.dtype, np.integer) else "<f4"
    plain = np.ascontiguousarray(rows, kind)
    digests = b"".join(hashlib.blake2b(row.tobytes(), digest_size=8).digest() for row in plain)
    return np.frombuffer(digests, "<u8")


def sketch_rows(vectors: np.ndarray) -> np.ndarray:
    """Return float32 (N, 16) for vectors (N, D): their products with a random matrix that only D decides.

    Inner products are kept on average (Johnson and Lindenstrauss 1984).
    """
    return vectors.astype(np.float32) @ _projection(vectors.shape[1])


@functools.lru_cache(maxsize=8)
def _projection(dim: int) -> np.ndarray:
    matrix = np.random.default_rng(dim).standard_normal((dim, SKETCH_SIZE)) / np.sqrt(SKETCH_SIZE)
    return matrix.astype(np.float32)
