"""What is counted on a split once its predictions are there. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

CHUNK_BINS = ((1, 1), (2, 3), (4, 7), (8, 15), (16, None))


def confusion_matrix(true_ids: np.ndarray, predicted_ids: np.ndarray, num_classes: int) -> np.ndarray:
    """Return int64 (C, C): rows are true classes, columns predictions; documents of unseen classes (-1) are left out."""
    known = true_ids >= 0
    flat = true_ids[known].astype(np.int64) * num_classes + predicted_ids[known]
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class(true_ids: np.ndarray, predicted_ids: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return precision, recall, f1 and the number of documents of each class.

    A ratio with nothing below the line is 0. A document of an unseen class counts against the precision of what was
    predicted for it.
    """
    places = np.arange(len(labels))
    return f1_table(true_ids[:, None] == places, predicted_ids[:, None] == places, labels)


def f1_table(truth: np.ndarray, given: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return `per_class` of which labels documents have and get, bool (B, C)."""
    table = {}
    for label_id, label in enumerate(labels):
        is_true, is_predicted = truth[:, label_id], given[:, label_id]
        hits = int((is_true & is_predicted).sum())
        precision = hits / max(1, int(is_predicted.sum()))
        recall = hits / max(1, int(is_true.sum()))
        f1 = 2 * hits / max(1, int(is_true.sum()) + int(is_predicted.sum()))
        table[label] = {"precision": precision, "recall": recall, "f1": f1, "num_documents": int(is_true.sum())}
    return table


def macro_f1(
    true_ids: np.ndarray, predicted_ids: np.ndarray, labels: Sequence[str], num_unseen_classes: int = 0
) -> float:
    """Return the mean F1 of the classes that occur, as truth or as prediction; that of an unseen class is 0."""
    present = set(true_ids[true_ids >= 0].tolist()) | set(predicted_ids.tolist())
    table = per_class(true_ids, predicted_ids, labels)
    return sum(table[labels[label_id]]["f1"] for label_id in sorted(present)) / (len(present) + num_unseen_classes)


def accuracy_by_chunks(correct: np.ndarray, num_chunks: np.ndarray) -> list[dict[str, Any]]:
    """Return the accuracy of documents, bool (B,), by their number of chunks, int (B,); see `by_chunks`."""
    return by_chunks(correct, num_chunks, "accuracy")


def by_chunks(values: np.ndarray, num_chunks: np.ndarray, name: str) -> list[dict[str, Any]]:
    """Return the mean of one value for each document by its number of chunks, for the bins that have documents.

    Args:
        values: bool or float (B,).
        num_chunks: int (B,).
        name: of the value.
    """
    return [
        {"chunks": shown, "num_documents": int(inside.sum()), name: float(values[inside].mean())}
        for shown, inside in bins_of_chunks(num_chunks)
    ]


def bins_of_chunks(num_chunks: np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return (name, members as bool (B,)) of each range of numbers of chunks, int (B,), that has documents."""
    found = []
    for low, high in CHUNK_BINS:
        inside = (num_chunks >= low) & (num_chunks <= (high or np.inf))
        if inside.any():
            found.append((f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}", inside))
    return found
