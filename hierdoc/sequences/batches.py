"""Documents' vectors as right-padded sequences with a mask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hierdoc.sequences.grouping import DocumentVectors

DOCUMENTS_PER_BATCH = 32
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


def make_batch(documents: DocumentVectors, members: np.ndarray, num_rows: int = DOCUMENTS_PER_BATCH) -> SequenceBatch:
    """Return the documents `members` as one batch of `num_rows` rows; rows to spare hold one chunk of zeros."""
    lengths = documents.num_chunks[members]
    vectors = np.zeros((num_rows, int(lengths.max(initial=1)), documents.vectors.shape[1]), np.float32)
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
        plan += [members[start : start + DOCUMENTS_PER_BATCH] for start in range(0, len(members), DOCUMENTS_PER_BATCH)]
    return [plan[at] for at in rng.permutation(len(plan))]


def batches_in_order(documents: DocumentVectors) -> Iterator[SequenceBatch]:
    """Yield every document once, shortest first."""
    order = np.argsort(documents.num_chunks, kind="stable")
    for at in range(0, len(order), DOCUMENTS_PER_BATCH):
        yield make_batch(documents, order[at : at + DOCUMENTS_PER_BATCH])
