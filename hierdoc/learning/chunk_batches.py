"""The order in which fine-tuning sees chunks: a step's are from one length bucket, and drawn anew each epoch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from hierdoc.engines.token_batches import bucket_lengths, pad_tokens, padded_lengths
from hierdoc.learning.arguments import CHUNKS_PER_STEP
from hierdoc.learning.loop import LabelledBatch
from hierdoc.learning.seeds import generator
from hierdoc.objectives.classification import row_weights
from hierdoc.sequences.reading import TrainingChunks

FurtherInputs = Callable[[np.ndarray, int], "tuple[np.ndarray, ...]"]


def plan_epoch(
    document_of: np.ndarray,
    lengths: np.ndarray,
    chunk_size: int,
    per_document: int | None,
    seed: int,
    epoch: int,
    batch_size: int = CHUNKS_PER_STEP,
) -> list[tuple[int, np.ndarray]]:
    """Return (padded length, indices of its chunks) of each step of one epoch.

    Args:
        document_of: int (N,), which document each chunk is of.
        lengths: int (N,), tokens of each chunk.
        chunk_size: what the padded lengths are made from.
        per_document: how many chunks of a document to draw, without replacement; None takes all.
        seed, epoch: the drawing depends on these alone.
        batch_size: chunks a step; the last step of each length may have fewer.
    """
    rng = generator(seed, "finetune epoch", epoch)
    chosen = rng.permutation(len(document_of))
    if per_document is not None:
        by_document = np.argsort(document_of[chosen], kind="stable")
        documents = document_of[chosen][by_document]
        rank = np.arange(len(documents)) - np.searchsorted(documents, documents)
        chosen = chosen[np.sort(by_document[rank < per_document])]
    buckets = padded_lengths(lengths[chosen], bucket_lengths(chunk_size))
    plan = []
    for bucket in bucket_lengths(chunk_size).tolist():
        members = chosen[buckets == bucket]
        plan += [(bucket, members[at : at + batch_size]) for at in range(0, len(members), batch_size)]
    return [plan[at] for at in rng.permutation(len(plan))]


def make_batches(
    plan: Sequence[tuple[int, np.ndarray]],
    chunks: TrainingChunks,
    class_weights: np.ndarray,
    accumulation: int = 1,
    further_inputs: FurtherInputs | None = None,
    batch_size: int = CHUNKS_PER_STEP,
) -> list[Callable[[], LabelledBatch]]:
    """Return a function for each step of `plan` that makes its batch.

    Args:
        plan: from `plan_epoch`.
        chunks: the N chunks that there are.
        class_weights: float32 (C,).
        accumulation: the weights change after so many steps, and after the last.
        further_inputs: what the model reads beside token ids and mask: a function of the batch's chunks and their padded
            length, whose arrays' first axis is `batch_size`.
        batch_size: rows of each batch, padded where a step has fewer chunks.
    """
    if further_inputs is None:
        further_inputs = _no_further_inputs
    return [
        functools.partial(
            _make_batch,
            length,
            members,
            chunks,
            class_weights,
            number % accumulation == 0 or number == len(plan),
            further_inputs,
            batch_size,
        )
        for number, (length, members) in enumerate(plan, start=1)
    ]


def num_updates(num_steps: int, accumulation: int) -> int:
    """Return how often the weights change in an epoch of so many steps; see `make_batches`."""
    return -(-num_steps // accumulation)


def _no_further_inputs(members: np.ndarray, length: int) -> tuple[np.ndarray, ...]:
    return ()


def _make_batch(
    length: int,
    members: np.ndarray,
    chunks: TrainingChunks,
    class_weights: np.ndarray,
    updates: bool,
    further_inputs: FurtherInputs,
    batch_size: int,
) -> LabelledBatch:
    inputs = pad_tokens([chunks.rows[index] for index in members], batch_size, length)
    inputs += further_inputs(members, length)
    labels = np.zeros((batch_size, *chunks.label_ids.shape[1:]), chunks.label_ids.dtype)
    labels[: len(members)] = chunks.label_ids[members]
    weights = np.zeros((batch_size, *chunks.label_ids.shape[1:]), np.float32)
    weights[: len(members)] = row_weights(chunks.label_ids[members], class_weights)
    doc_ids = [chunks.doc_ids[document] for document in chunks.document_of[members].tolist()]
    return LabelledBatch(inputs, labels, weights, doc_ids, list(chunks.chunk_index[members, None]), updates)
