"""What is counted on a split, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sklearn_metrics

from hierdoc.evaluation.metrics import accuracy_by_chunks, confusion_matrix, macro_f1, per_class

LABELS = ["ant", "bee", "cow", "dog"]
CASES = {
    "plain": ([0, 1, 2, 3, 0, 1, 2, 3, 0], [0, 1, 2, 3, 1, 1, 3, 0, 0]),
    "never predicted": ([0, 1, 2, 3, 0, 3], [0, 1, 2, 0, 1, 2]),
    "never true": ([0, 1, 2, 0, 1, 2], [0, 1, 3, 3, 1, 2]),
    "neither true nor predicted": ([0, 1, 0, 1], [0, 1, 1, 1]),
    "all wrong": ([0, 1, 2, 3], [1, 2, 3, 0]),
    "unseen class": ([0, -1, 2, 3, -1, 1, 0], [0, 0, 2, 3, 1, 1, 2]),
    "unseen class, and one predicted for it alone": ([0, -1, 1], [0, 2, 1]),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
def ids(request: pytest.FixtureRequest) -> tuple[np.ndarray, np.ndarray]:
    true_ids, predicted_ids = request.param
    return np.int32(true_ids), np.int64(predicted_ids)


def test_precision_recall_and_f1_of_each_class_are_scikit_learns(ids: tuple[np.ndarray, np.ndarray]):
    true_ids, predicted_ids = ids
    precision, recall, f1, support = sklearn_metrics.precision_recall_fscore_support(
        true_ids, predicted_ids, labels=range(4), zero_division=0
    )
    found = per_class(true_ids, predicted_ids, LABELS)
    assert list(found) == LABELS
    for at, label in enumerate(LABELS):
        assert found[label] == {
            "precision": pytest.approx(precision[at]),
            "recall": pytest.approx(recall[at]),
            "f1": pytest.approx(f1[at]),
            "num_documents": support[at],
        }


def test_the_confusion_matrix_is_scikit_learns_without_the_unseen_classes(ids: tuple[np.ndarray, np.ndarray]):
    true_ids, predicted_ids = ids
    wanted = sklearn_metrics.confusion_matrix(true_ids, predicted_ids, labels=range(4))  # it leaves out -1 itself
    np.testing.assert_array_equal(confusion_matrix(true_ids, predicted_ids, 4), wanted)


def test_macro_f1_is_scikit_learns_over_the_classes_that_are_there(ids: tuple[np.ndarray, np.ndarray]):
    true_ids, predicted_ids = ids
    present = sorted({*true_ids.tolist(), *predicted_ids.tolist()} - {-1})
    wanted = sklearn_metrics.f1_score(true_ids, predicted_ids, labels=present, average="macro", zero_division=0)
    assert macro_f1(true_ids, predicted_ids, LABELS) == pytest.approx(wanted)


def test_a_document_of_an_unseen_class_counts_against_the_precision_of_what_was_predicted():
    found = per_class(np.int32([0, 0, -1]), np.int64([0, 0, 0]), LABELS)
    assert found["ant"] == {"precision": 2 / 3, "recall": 1.0, "f1": 4 / 5, "num_documents": 2}


def test_rows_of_the_confusion_matrix_are_true_classes():
    found = confusion_matrix(np.int32([0, 0, 1, -1]), np.int64([1, 1, 1, 0]), 2)
    assert found.tolist() == [[0, 2], [0, 1]] and found.dtype == np.int64


def test_accuracy_is_counted_in_bins_of_chunks_that_have_documents():
    num_chunks = np.array([1, 2, 3, 3, 4, 7, 16, 200, 1, 1])
    correct = np.array([1, 1, 0, 0, 1, 1, 0, 1, 1, 0], bool)
    assert accuracy_by_chunks(correct, num_chunks) == [
        {"chunks": "1", "num_documents": 3, "accuracy": pytest.approx(2 / 3)},
        {"chunks": "2-3", "num_documents": 3, "accuracy": pytest.approx(1 / 3)},
        {"chunks": "4-7", "num_documents": 2, "accuracy": 1.0},
        {"chunks": "16+", "num_documents": 2, "accuracy": 0.5},
    ]


def test_each_number_of_chunks_is_in_exactly_one_bin():
    found = accuracy_by_chunks(np.ones(40, bool), np.arange(1, 41))
    assert [(row["chunks"], row["num_documents"]) for row in found] == [
        ("1", 1),
        ("2-3", 2),
        ("4-7", 4),
        ("8-15", 8),
        ("16+", 25),
    ]
