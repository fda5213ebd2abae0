"""Chunks of many lengths in batches of few shapes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

LANES = 16  # float32 numbers in the widest register (AVX-512)
_EIGHTHS = (1, 2, 4, 6, 8)


@dataclass(frozen=True)
class BatchShapes:
    """The shapes (N, T) of the batches that an engine is given.

    Attributes:
        lengths: int64, ascending: the padded lengths T in use.
        tokens: a batch has at most so many, if a batch of `lanes` rows has.
        lanes: N is a multiple of it; missing rows are filled up.
        full: every batch of one length has the same number of rows, missing ones filled up; otherwise the last has fewer.
    """

    lengths: np.ndarray
    tokens: int
    lanes: int = 1
    full: bool = False

    def rows_of(self, length: int) -> int:
        """Return the most rows of a batch of one padded length."""
        return max(1, self.tokens // (length * self.lanes)) * self.lanes

    def plan(self, lengths: np.ndarray) -> list[tuple[int, int, np.ndarray]]:
        """Return (padded length T, rows N, indices of its chunks) of each batch, longest chunks first.

        Args:
            lengths: int64, of each chunk.
        """
        padded = padded_lengths(lengths, self.lengths)
        plan = []
        for length in np.unique(padded)[::-1].tolist():
            num_rows = self.rows_of(length)
            chunks = np.flatnonzero(padded == length)
            batches = [chunks[at : at + num_rows] for at in range(0, len(chunks), num_rows)]
            plan += [(length, num_rows if self.full else len(members), members) for members in batches]
        return plan


def few_shapes(chunk_size: int) -> BatchShapes:
    """Return shapes for an engine that makes a trace for each and rounds what is left over at a tensor's end in its own way.

    Every batch of one length has the same number of rows. So a chunk goes through arithmetic of the same shape whoever its
    companions are, and its vector comes out the same, bit for bit, in embed and in predict. That holds for each row because
    a batch has a multiple of `LANES` rows: the processor computes so many numbers at once, and what is left over at a
    tensor's end, which would be in the last rows, by other functions with other roundings.
    """
    return BatchShapes(bucket_lengths(chunk_size), tokens=3200, lanes=LANES, full=True)


def any_shape(chunk_size: int) -> BatchShapes:
    """Return shapes for an engine whose row does not depend on the others: every length has its own, and nothing is padded.

    A batch of 800 tokens is as fast, per token, as one of 3,200 (measured for OpenVINO), and answers four times as soon.
    """
    return BatchShapes(np.arange(1, chunk_size + 1), tokens=800)


def bucket_lengths(chunk_size: int) -> np.ndarray:
    """Return eighths of the chunk size, int64, the last of them `chunk_size`: five at most."""
    return np.unique([max(2, -(-chunk_size * eighths // 8)) for eighths in _EIGHTHS])


def padded_lengths(lengths: np.ndarray, in_use: np.ndarray) -> np.ndarray:
    """Return the padded length, int64 (N,), of each of N chunks: the smallest of those in use that holds it."""
    return in_use[np.searchsorted(in_use, lengths)]


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
