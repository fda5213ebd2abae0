"""All that is counted of answers with any number of labels for a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hierdoc.evaluation.calibration import LEAST, reliability
from hierdoc.evaluation.metrics import by_chunks, f1_table


def multi_label_scores(
    truth: np.ndarray,
    given: np.ndarray,
    probs: np.ndarray,
    num_chunks: np.ndarray,
    labels: Sequence[str],
    num_unseen: np.ndarray,
    num_unseen_classes: int = 0,
) -> dict[str, Any]:
    """Return F1s, exact match, ranking metrics, calibration, and the tables per label and by number of chunks, as JSON values.

    document_micro_f1 is over all pairs of document and label; document_f1 the mean over documents of theirs, which is 1 where there is
    nothing to give and nothing is given; document_macro_f1 the mean over the labels that occur, as truth or as answer, where those that train never saw have 0. ranking_precision is
    the label ranking average precision and ranking_loss the share of wrongly ordered pairs (Tsoumakas et al. 2010, Mining
    Multi-label Data), of documents with a label that is not all labels; log_loss is the binary cross-entropy summed over labels, in nats, and
    expected_calibration_error that of all decisions (15 bins of the probability that a label is right). A label that train never saw is missed by the F1s and exact match; the metrics of
    probabilities are about the labels that have one.

    Args:
        truth, given: bool (B, C), the labels that the documents have and get.
        probs: float (B, C); where they are NaN, nothing is said of ranking and calibration.
        num_chunks: int (B,).
        labels: the C classes.
        num_unseen: int (B,), how many labels outside `labels` each document has.
        num_unseen_classes: how many different ones these are.
    """
    hits, needed = (truth & given).sum(), truth.sum() + num_unseen.sum()
    document_f1 = f1_of_documents(truth, given, num_unseen)
    per_class = f1_table(truth, given, labels)
    present = (truth | given).any(axis=0)
    f1s = [row["f1"] for row, is_there in zip(per_class.values(), present, strict=True) if is_there]
    return {
        "document_micro_f1": micro_f1(truth, given, num_unseen),
        "document_f1": float(document_f1.mean()),
        "document_macro_f1": float(sum(f1s) / max(1, len(f1s) + num_unseen_classes)),
        "exact_match": float(((truth == given).all(axis=1) & (num_unseen == 0)).mean()),
        "micro_precision": float(hits / max(1, given.sum())),
        "micro_recall": float(hits / max(1, needed)),
        **_of_probabilities(truth, probs),
        "num_documents": len(truth),
        "num_without_label": int((~truth.any(axis=1) & (num_unseen == 0)).sum()),
        "num_unseen_labels": int(num_unseen.sum()),
        "labels": list(labels),
        "per_class": per_class,
        "f1_by_chunks": by_chunks(document_f1, num_chunks, "document_f1"),
    }


def micro_f1(truth: np.ndarray, given: np.ndarray, num_unseen: np.ndarray) -> float:
    """Return the F1 over all pairs of document and label; see `multi_label_scores`."""
    return float(2 * (truth & given).sum() / max(1, truth.sum() + num_unseen.sum() + given.sum()))


def f1_of_documents(truth: np.ndarray, given: np.ndarray, num_unseen: np.ndarray) -> np.ndarray:
    """Return each document's F1, float64 (B,): 1 where it has no label and gets none; see `multi_label_scores`."""
    total = truth.sum(axis=1) + num_unseen + given.sum(axis=1)
    return np.where(total > 0, 2 * (truth & given).sum(axis=1) / np.maximum(total, 1), 1.0)


def ranking_precision_of_documents(truth: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Return each document's label ranking average precision, float64 (B,); NaN where it has no label, or all."""
    from sklearn.metrics import label_ranking_average_precision_score

    tells = truth.any(axis=1) & ~truth.all(axis=1)
    found = np.full(len(truth), np.nan)
    for row in np.flatnonzero(tells):
        found[row] = label_ranking_average_precision_score(truth[row : row + 1], probs[row : row + 1])
    return found


def log_loss_of_documents(truth: np.ndarray, probs: np.ndarray) -> np.ndarray:
    """Return each document's binary cross-entropy, summed over labels, float64 (B,), in nats."""
    return -np.log(np.maximum(np.where(truth, probs, 1 - probs).astype(np.float64), LEAST)).sum(axis=1)


def _of_probabilities(truth: np.ndarray, probs: np.ndarray) -> dict[str, float]:
    from sklearn.metrics import label_ranking_loss

    if np.isnan(probs).any():
        return {}
    precision = ranking_precision_of_documents(truth, probs)
    tells = ~np.isnan(precision)
    ranking = (
        {
            "ranking_precision": float(precision[tells].mean()),
            "ranking_loss": float(label_ranking_loss(truth[tells], probs[tells])),
        }
        if tells.any()
        else {}
    )
    return {
        **ranking,
        "expected_calibration_error": reliability(probs.reshape(-1), truth.reshape(-1)).error,
        "log_loss": float(log_loss_of_documents(truth, probs).mean()),
    }
