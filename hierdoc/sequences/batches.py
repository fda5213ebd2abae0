"""Documents' vectors as right-padded sequences with a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hierdoc.sequences.grouping import DocumentVectors

DOCUMENTS_PER_BATCH = 32
MANY_CHUNKS = 512  # from here on a batch has fewer rows, or one long document would take gigabytes of padding
_POOL_BATCHES = 16  # documents are sorted by length within pools of so many batches


@dataclass(frozen=True)
class SequenceBatch:
    """B documents of up to S chunks.

    Attributes:
        vectors: float32 (B, S, D), right-padded with 0.
        mask: bool (B, S), True = a real chunk; no row is all False.
        members: int64 (at most B,), which documents the first rows hold; the other rows only fill up the batch.
    """

    vectors: np.ndarray
    mask: np.ndarray
    members: np.ndarray


def rows_for(num_chunks: np.ndarray) -> np.ndarray:
    """Return int64 (B,): of how many rows the batch is that documents of `num_chunks` (int64 (B,)) stand in.

    32 up to 512 chunks, 16 up to 1024, 8 up to 2048, … 1 from 8193 on: the document's own length decides, so that it is
    computed in the same number of rows whatever stands beside it.
    """
    halvings = np.ceil(np.log2(np.maximum(num_chunks, MANY_CHUNKS) / MANY_CHUNKS)).astype(np.int64)
    return np.maximum(1, DOCUMENTS_PER_BATCH >> halvings)


def make_batch(
    documents: DocumentVectors, members: np.ndarray, num_rows: int | None = None, num_chunks: int | None = None
) -> SequenceBatch:
    """Return the documents `members` as one batch; rows to spare hold one chunk of zeros.

    The batch is of `num_rows` rows, by default of `rows_for` the longest of them, and as long as that or of `num_chunks`.
    """
    lengths = documents.num_chunks[members]
    if num_rows is None:
        num_rows = int(rows_for(lengths).min())
    if num_chunks is None:
        num_chunks = int(lengths.max(initial=1))
    vectors = np.zeros((num_rows, num_chunks, documents.vectors.shape[1]), np.float32)
    mask = np.zeros(vectors.shape[:2], bool)
    mask[:, 0] = True
    for row, (member, length) in enumerate(zip(members.tolist(), lengths.tolist(), strict=True)):
        start = documents.starts[member]
        vectors[row, :length] = documents.vectors[start : start + length]
        mask[row, :length] = True
    return SequenceBatch(vectors, mask, members)


def plan_epoch(num_chunks: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the members of each batch of one epoch: shuffled, of similar length, in shuffled order."""
    order = rng.permutation(len(num_chunks))
    pool = DOCUMENTS_PER_BATCH * _POOL_BATCHES
    plan = []
    for at in range(0, len(order), pool):
        members = order[at : at + pool]
        members = members[np.argsort(num_chunks[members], kind="stable")]
        plan += _cut_by_rows(members, num_chunks)
    return [plan[at] for at in rng.permutation(len(plan))]


def batches_in_order(documents: DocumentVectors) -> Iterator[SequenceBatch]:
    """Yield every document once, shortest first.

    A document's own length decides of how many rows and of how many chunks its batch is: sums are added up in the same order
    whatever stands beside it.
    """
    order = np.argsort(documents.num_chunks, kind="stable")
    padded = padded_chunks(documents.num_chunks[order])
    for same in np.split(order, np.flatnonzero(np.diff(padded)) + 1):
        for members in _cut_by_rows(same, documents.num_chunks):
            yield make_batch(documents, members, num_chunks=int(padded_chunks(documents.num_chunks[members[:1]])[0]))


def padded_chunks(num_chunks: np.ndarray) -> np.ndarray:
    """Return the padded lengths, int64 (B,), of documents of `num_chunks` (int64 (B,)): 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, …"""
    powers = 2 ** np.ceil(np.log2(np.maximum(num_chunks, 1))).astype(np.int64)
    return np.where(num_chunks * 4 <= powers * 3, np.maximum(powers * 3 // 4, num_chunks), powers)


def _cut_by_rows(members: np.ndarray, num_chunks: np.ndarray) -> Iterator[np.ndarray]:
    """Yield `members`, which are sorted by length, in batches of documents that stand in the same number of rows."""
    rows = rows_for(num_chunks[members])
    for same in np.split(members, np.flatnonzero(np.diff(rows)) + 1):
        size = int(rows_for(num_chunks[same[:1]]).max(initial=1))
        for start in range(0, len(same), size):
            yield same[start : start + size]
