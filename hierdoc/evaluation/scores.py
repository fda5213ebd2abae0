"""All that is counted of one classifier's answers on one split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hierdoc.evaluation.calibration import log_loss, reliability
from hierdoc.evaluation.metrics import accuracy_by_chunks, confusion_matrix, macro_f1, per_class


def scores(
    true_ids: np.ndarray,
    label_ids: np.ndarray,
    probs: np.ndarray,
    num_chunks: np.ndarray,
    labels: Sequence[str],
    num_unseen_classes: int = 0,
) -> dict[str, Any]:
    """Return accuracy, macro F1, calibration, and the tables per class and by number of chunks, as JSON values.

    Args:
        true_ids: int (B,); -1 for a class that train never saw, whose documents are wrong and have no true probability.
        label_ids: int (B,), the answers.
        probs: float (B, C); NaN where the classifier has no probabilities, and then nothing is said of calibration.
        num_chunks: int (B,).
        labels: the C classes.
        num_unseen_classes: how many classes the documents with -1 are of.
    """
    correct = label_ids == true_ids
    return {
        "document_accuracy": float(correct.mean()),
        "document_macro_f1": macro_f1(true_ids, label_ids, labels, num_unseen_classes),
        **_calibration(true_ids, label_ids, probs),
        "num_documents": len(true_ids),
        "labels": list(labels),
        "per_class": per_class(true_ids, label_ids, labels),
        "confusion_matrix": confusion_matrix(true_ids, label_ids, len(labels)).tolist(),
        "accuracy_by_chunks": accuracy_by_chunks(correct, num_chunks),
    }


def _calibration(true_ids: np.ndarray, label_ids: np.ndarray, probs: np.ndarray) -> dict[str, float]:
    if np.isnan(probs).any():
        return {}
    rows = np.arange(len(probs))
    true_probability = np.where(true_ids >= 0, probs[rows, true_ids], 0.0)
    return {
        "expected_calibration_error": reliability(probs[rows, label_ids], label_ids == true_ids).error,
        "log_loss": log_loss(true_probability),
    }
