"""From chunk vectors, in any order, back to documents, in order (law 3)."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc import HierdocError
from hierdoc.sequences.grouping import DocumentVectors, group_by_document

# Each vector says whose it is and which: document number, chunk index.
DOC_IDS = ["b", "b", "b", "a", "10", "10", "9", "9", "9", "9"]
CHUNK_INDEX = np.array([0, 1, 2, 0, 0, 1, 0, 1, 2, 3])
VECTORS = np.float32([[4, 0], [4, 1], [4, 2], [3, 0], [1, 0], [1, 1], [2, 0], [2, 1], [2, 2], [2, 3]])
PROBS = VECTORS[:, ::-1] / 10


def grouped(order: list[int] | np.ndarray) -> DocumentVectors:
    """What comes of the rows in another order."""
    return group_by_document([DOC_IDS[at] for at in order], CHUNK_INDEX[order], VECTORS[order], PROBS[order])


def test_documents_are_sorted_by_id_and_their_chunks_by_index():
    documents = grouped(list(range(10)))
    assert documents.doc_ids == ["10", "9", "a", "b"]  # as strings
    assert documents.starts.tolist() == [0, 2, 6, 7, 10]
    assert documents.num_chunks.tolist() == [2, 4, 1, 3] and len(documents) == 4
    assert documents.vectors.tolist() == [
        [1, 0],
        [1, 1],
        [2, 0],
        [2, 1],
        [2, 2],
        [2, 3],
        [3, 0],
        [4, 0],
        [4, 1],
        [4, 2],
    ]
    np.testing.assert_array_equal(documents.probs, documents.vectors[:, ::-1] / 10)
    assert documents.vectors.dtype == documents.probs.dtype == np.float32


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_the_rows_does_not_matter(seed: int):
    documents, shuffled = grouped(list(range(10))), grouped(np.random.default_rng(seed).permutation(10))
    assert shuffled.doc_ids == documents.doc_ids
    for name in ("vectors", "probs", "starts"):
        np.testing.assert_array_equal(getattr(shuffled, name), getattr(documents, name))


def test_chunks_are_ordered_by_number_and_not_as_text():
    order = np.random.default_rng(0).permutation(12)
    documents = group_by_document(["x"] * 12, order, order[:, None].astype(np.float32), np.zeros((12, 1), np.float32))
    assert documents.vectors[:, 0].tolist() == list(range(12))


@pytest.mark.parametrize(
    ("doc_ids", "chunk_index", "message"),
    [
        (
            ["a", "a", "b", "b"],
            [0, 1, 0, 2],
            "document 'b': its chunks must be numbered from 0 without gaps, but there is chunk 2 where chunk 1",
        ),
        (
            ["a", "a", "b"],
            [0, 1, 1],
            "document 'b': its chunks must be numbered from 0 without gaps, but there is chunk 1 where chunk 0",
        ),
        (
            ["a", "b", "a", "a"],
            [0, 0, 1, 1],
            "document 'a': its chunks must be numbered from 0 without gaps, but there is chunk 1 where chunk 2",
        ),
        (
            ["a", "a"],
            [0, 0],
            "document 'a': its chunks must be numbered from 0 without gaps, but there is chunk 0 where chunk 1",
        ),
        (
            ["a", "a"],
            [-1, 0],
            "document 'a': its chunks must be numbered from 0 without gaps, but there is chunk -1 where chunk 0",
        ),
    ],
    ids=["gap", "first missing", "duplicate", "duplicate of the first", "negative"],
)
def test_a_gap_and_a_duplicate_name_the_document_and_the_chunk(
    doc_ids: list[str], chunk_index: list[int], message: str
):
    rows = np.zeros((len(doc_ids), 2), np.float32)
    with pytest.raises(HierdocError) as error:
        group_by_document(doc_ids, np.array(chunk_index), rows, rows)
    assert str(error.value).startswith(message)


def test_no_rows_are_no_documents():
    documents = group_by_document([], np.zeros(0, np.int64), np.zeros((0, 3), np.float32), np.zeros((0, 2), np.float32))
    assert len(documents) == 0 and documents.num_chunks.tolist() == []
