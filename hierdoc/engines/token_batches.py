"""Chunks of many lengths in batches of few shapes.

Every batch of one length has the same number of rows; missing rows are filled up. So a chunk goes through arithmetic
of the same shape whoever its companions are, and its vector comes out the same, bit for bit, in embed and in predict.
That holds for each row because a batch has a multiple of `LANES` rows: the processor computes so many numbers at once,
and what is left over at a tensor's end, which would be in the last rows, by other functions with other roundings.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

TOKENS_PER_BATCH = 3200
LANES = 16  # float32 numbers in the widest register (AVX-512)
_EIGHTHS = (1, 2, 4, 6, 8)


def bucket_lengths(chunk_size: int) -> np.ndarray:
    """Return the padded lengths in use, int64, the last of them `chunk_size`: five at most, each costs a trace."""
    return np.unique([max(2, -(-chunk_size * eighths // 8)) for eighths in _EIGHTHS])


def bucket_of(lengths: np.ndarray, chunk_size: int) -> np.ndarray:
    """Return the padded length, int64 (N,), of each of N chunks: the smallest bucket that holds it."""
    buckets = bucket_lengths(chunk_size)
    return buckets[np.searchsorted(buckets, lengths)]


def rows_of(length: int) -> int:
    """Return the rows of every batch of one padded length: a multiple of `LANES`, of at most `TOKENS_PER_BATCH` tokens if it can."""
    return max(1, TOKENS_PER_BATCH // (length * LANES)) * LANES


def plan_batches(lengths: np.ndarray, chunk_size: int) -> list[tuple[int, int, np.ndarray]]:
    """Return (padded length T, rows of the batch, indices of its chunks) of each batch, longest chunks first."""
    buckets = bucket_of(lengths, chunk_size)
    plan = []
    for bucket in bucket_lengths(chunk_size)[::-1].tolist():
        num_rows = rows_of(bucket)
        members = np.flatnonzero(buckets == bucket)
        plan += [(bucket, num_rows, members[at : at + num_rows]) for at in range(0, len(members), num_rows)]
    return plan


def pad_tokens(rows: Sequence[np.ndarray], num_rows: int, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return token_ids int32 (num_rows, length) and mask bool of the same shape, True = a real token.

    Rows beyond those given have one real token, of id 0, so that no row's mask is all False.
    """
    token_ids = np.zeros((num_rows, length), np.int32)
    mask = np.zeros((num_rows, length), bool)
    mask[:, 0] = True
    for at, row in enumerate(rows):
        token_ids[at, : len(row)] = row
        mask[at, : len(row)] = True
    return token_ids, mask
