"""From chunk vectors, in any order, back to documents, in order."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierdoc.errors import HierdocError


@dataclass(frozen=True)
class DocumentVectors:
    """The chunk vectors of B documents, N in all.

    Attributes:
        doc_ids: B distinct ids; of `group_by_document` sorted.
        vectors: float32 (N, D), document after document, each in chunk order.
        probs: float32 (N, C), the chunk head's, in the same order.
        starts: int64 (B + 1,); document b's chunks are `starts[b]:starts[b + 1]`.
    """

    doc_ids: list[str]
    vectors: np.ndarray
    probs: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.doc_ids)

    @property
    def num_chunks(self) -> np.ndarray:
        """int64 (B,)."""
        return np.diff(self.starts)


INPUTS = ("vectors", "probs", "both")  # what a head reads of each chunk


def with_inputs(documents: DocumentVectors, inputs: str) -> DocumentVectors:
    """Return the documents whose `vectors` are what a head reads (see `inputs_of`)."""
    return dataclasses.replace(documents, vectors=inputs_of(documents.vectors, documents.probs, inputs))


def inputs_of(vectors: np.ndarray, probs: np.ndarray, inputs: str) -> np.ndarray:
    """Return what a head reads of N chunks, float32 (N, …), of their vectors (N, D) and probs (N, C), by one of `INPUTS`."""
    return {
        "vectors": lambda: vectors,
        "probs": lambda: probs,
        "both": lambda: np.concatenate([vectors, probs], axis=1),
    }[inputs]()


def inputs_size(inputs: str, dim: int, num_classes: int) -> int:
    """Return how many numbers a chunk has in `inputs_of`."""
    return {"vectors": dim, "probs": num_classes, "both": dim + num_classes}[inputs]


def group_by_document(
    doc_ids: Sequence[str], chunk_index: np.ndarray, vectors: np.ndarray, probs: np.ndarray
) -> DocumentVectors:
    """Return the vectors of N chunks by document; the order of the rows does not matter.

    Args:
        doc_ids: N ids.
        chunk_index: int (N,).
        vectors: float32 (N, D).
        probs: float32 (N, C).

    Raises:
        HierdocError: as `order_of_chunks`.
    """
    distinct, order, starts = order_of_chunks(doc_ids, chunk_index)
    return DocumentVectors(distinct, vectors[order], probs[order], starts)


def order_of_chunks(doc_ids: Sequence[str], chunk_index: np.ndarray) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return (the B documents' ids, sorted; int64 (N,), the rows document after document, each in chunk order; `starts`).

    Args:
        doc_ids: N ids.
        chunk_index: int (N,).

    Raises:
        HierdocError: a document's chunks are not numbered 0, 1, 2, … without gaps.
    """
    distinct = sorted(set(doc_ids))
    number = {doc_id: place for place, doc_id in enumerate(distinct)}
    owners = np.asarray([number[doc_id] for doc_id in doc_ids], np.int64)
    order = np.lexsort((chunk_index, owners))
    starts = np.searchsorted(owners[order], np.arange(len(distinct) + 1))
    expected = np.arange(len(order)) - starts[owners[order]]
    wrong = np.flatnonzero(np.asarray(chunk_index)[order] != expected)
    if len(wrong):
        at = order[wrong[0]]
        raise HierdocError(
            f"document {doc_ids[at]!r}: its chunks must be numbered from 0 without gaps, but there is chunk "
            f"{int(chunk_index[at])} where chunk {int(expected[wrong[0]])} should be"
        )
    return distinct, order, starts
