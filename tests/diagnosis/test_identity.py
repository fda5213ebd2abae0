"""Vectors and the documents they were made for, by hashes typed by hand."""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.evidence import UNKNOWN, Ragged, Vectors
from hierdoc.diagnosis.identity import NONE, SEVERAL, place


def ragged(rows: list[list[int]]) -> Ragged:
    return Ragged(
        np.asarray([value for row in rows for value in row], np.uint64),
        np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64),
    )


def objects(*values: str | None) -> np.ndarray:
    found = np.empty(len(values), object)
    found[:] = values
    return found


MADE = Vectors(
    doc_ids=objects("a", "a", "b", "b", "c"),
    splits=objects(*["train"] * 5),
    chunk_index=np.array([0, 1, 0, 1, 0]),
    label_ids=np.array([0, 0, 1, 1, 1]),
    predicted=np.full(5, UNKNOWN),
    hashes=np.array([11, 12, 21, 12, 31], np.uint64),  # chunk 1 of a and of b are the same
    values=None,
)


def test_an_example_that_says_its_document_is_held_to_it():
    placed = place(ragged([[11, 12], [21, 31], [99]]), objects("a", "b", "c"), MADE)
    assert placed.names.tolist() == ["a", "b", "c"] and placed.docs.tolist() == [0, 1, 2] and placed.says.all()
    assert placed.piece_docs.tolist() == [0, SEVERAL, 1, 2, NONE]
    assert placed.misplaced(np.array([0, 0, 1, 1, 2])).tolist() == [False, False, False, True, False]
    assert placed.rows.tolist() == [0, 1, 2, 4, NONE]
    assert placed.labels.tolist() == [0, 1, 1]


def test_an_example_that_does_not_is_taken_for_what_most_of_it_is():
    placed = place(ragged([[11], [21, 31, 31], [12], []]), objects(None, None, None, "unheard of"), MADE)
    assert placed.docs.tolist() == [0, 2, NONE, NONE] and not placed.says.any()
    assert placed.misplaced(np.array([0, 1, 1, 1, 2])).tolist() == [False, True, False, False, False]
    assert placed.labels.tolist() == [0, 1, UNKNOWN, UNKNOWN]  # 12 was made with labels 0 and 1
