"""What a document classifier has to beat, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc.evaluation.baselines import average_probs, first_chunk_probs, majority_class, tfidf_svm
from hierdoc.sequences.grouping import DocumentVectors

# Documents of 3, 1 and 2 chunks; the first chunk, the majority of chunks and the average name different classes.
PROBS = np.float32(
    [
        [0.9, 0.1, 0.0],
        [0.0, 0.3, 0.7],
        [0.0, 0.4, 0.6],
        [0.2, 0.5, 0.3],
        [0.6, 0.4, 0.0],
        [0.0, 0.5, 0.5],
    ]
)
DOCUMENTS = DocumentVectors(["a", "b", "c"], np.zeros((6, 2), np.float32), PROBS, np.array([0, 3, 4, 6]))


def test_the_average_is_over_each_documents_own_chunks():
    found = average_probs(DOCUMENTS)
    wanted = [[0.9 / 3, 0.8 / 3, 1.3 / 3], [0.2, 0.5, 0.3], [0.3, 0.45, 0.25]]
    np.testing.assert_allclose(found, wanted, atol=1e-7)  # the probabilities typed above are rounded to float32
    assert found.argmax(axis=1).tolist() == [2, 1, 1]


def test_the_first_chunk_is_each_documents_own():
    np.testing.assert_array_equal(first_chunk_probs(DOCUMENTS), PROBS[[0, 3, 4]])


def test_the_majority_class_is_the_most_frequent_and_the_first_of_them_on_ties():
    assert majority_class(np.int32([2, 1, 2, 0])) == 2
    assert majority_class(np.int32([2, 1, 1, 2, 0])) == 1


TRAIN = ["the cat sat far", "a cat sat", "the dog ran far", "a dog ran", "the fish swam far", "a fish swam"]
LABELS = ["cats", "cats", "dogs", "dogs", "fish", "fish"]


def test_tfidf_svm_names_the_class_whose_words_a_text_has():
    assert tfidf_svm(TRAIN, LABELS, ["fish swam", "sat the cat", "far ran dog dog"]) == ["fish", "cats", "dogs"]


def test_tfidf_svm_does_not_read_a_word_of_one_training_document_as_long_as_others_are_left():
    train = [TRAIN[0], "a cat sat zebra zebra", *TRAIN[2:]]
    zebra, nothing = tfidf_svm(train, LABELS, ["zebra", ""])
    assert zebra == nothing != "cats"  # read, it would be a sure sign of cats


def test_where_no_word_stands_in_two_documents_every_word_counts():
    train, labels = ["red rose", "green grass", "blue sky"], ["red", "green", "blue"]
    assert tfidf_svm(train, labels, ["sky", "rose", "grass"]) == ["blue", "red", "green"]


@pytest.mark.parametrize("train", [["", "", ""], ["a", "I", "!"]])
def test_where_the_training_texts_have_no_word_the_majority_class_is_named(train: list[str]):
    """scikit-learn's words have two letters or more."""
    assert tfidf_svm(train, ["x", "y", "y"], ["word", ""]) == ["y", "y"]
