"""The order in which fine-tuning sees chunks: 16 a step from one length bucket, drawn anew each epoch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from hierdoc.engines.token_batches import bucket_lengths, bucket_of, pad_tokens
from hierdoc.learning.loop import LabelledBatch
from hierdoc.learning.seeds import generator

CHUNKS_PER_STEP = 16


def plan_epoch(
    document_of: np.ndarray, lengths: np.ndarray, chunk_size: int, per_document: int | None, seed: int, epoch: int
) -> list[tuple[int, np.ndarray]]:
    """Return (padded length, indices of its chunks) of each step of one epoch.

    Args:
        document_of: int (N,), which document each chunk is of.
        lengths: int (N,), tokens of each chunk.
        chunk_size: what the padded lengths are made from.
        per_document: how many chunks of a document to draw, without replacement; None takes all.
        seed, epoch: the drawing depends on these alone.
    """
    rng = generator(seed, "finetune epoch", epoch)
    chosen = rng.permutation(len(document_of))
    if per_document is not None:
        by_document = np.argsort(document_of[chosen], kind="stable")
        documents = document_of[chosen][by_document]
        rank = np.arange(len(documents)) - np.searchsorted(documents, documents)
        chosen = chosen[np.sort(by_document[rank < per_document])]
    buckets = bucket_of(lengths[chosen], chunk_size)
    plan = []
    for bucket in bucket_lengths(chunk_size).tolist():
        members = chosen[buckets == bucket]
        plan += [(bucket, members[at : at + CHUNKS_PER_STEP]) for at in range(0, len(members), CHUNKS_PER_STEP)]
    return [plan[at] for at in rng.permutation(len(plan))]


def make_batches(
    plan: Sequence[tuple[int, np.ndarray]], rows: Sequence[np.ndarray], label_ids: np.ndarray, class_weights: np.ndarray
) -> list[Callable[[], LabelledBatch]]:
    """Return a function for each step of `plan` that makes its batch.

    Args:
        plan: from `plan_epoch`.
        rows: the token ids of all N chunks, int32 (T_n,) each.
        label_ids: int32 (N,).
        class_weights: float32 (C,).
    """
    return [functools.partial(_make_batch, length, members, rows, label_ids, class_weights) for length, members in plan]


def _make_batch(
    length: int, members: np.ndarray, rows: Sequence[np.ndarray], label_ids: np.ndarray, class_weights: np.ndarray
) -> LabelledBatch:
    inputs = pad_tokens([rows[index] for index in members], CHUNKS_PER_STEP, length)
    labels, weights = np.zeros(CHUNKS_PER_STEP, np.int32), np.zeros(CHUNKS_PER_STEP, np.float32)
    labels[: len(members)] = label_ids[members]
    weights[: len(members)] = class_weights[label_ids[members]]
    return LabelledBatch(inputs, labels, weights)
