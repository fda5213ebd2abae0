"""What an encoder or a head is trained to say, and how dev is read: one class for each document, or any number of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from hierdoc.objectives import classification, multi_label


@dataclass(frozen=True)
class Objective:
    """One of the two kinds of answers.

    Attributes:
        multi_label: whether a document has any number of labels.
        measure: what dev's reading is called, such as "accuracy".
        probs_of: logits, float (N, C), to probabilities, float64 (N, C).
        loss: TensorFlow's, of logits (N, C), label_ids, int32 (N,) or bool (N, C), and weights; see `weighted_loss`.
        read: probabilities and label_ids to (`measure`, the mean loss), of dev.
        first_bias: label_ids of train to what the last layer's bias begins with, float32 (C,); None where with zeros.
    """

    multi_label: bool
    measure: str
    probs_of: Callable[[np.ndarray], np.ndarray]
    loss: Callable[[Any, Any, Any], Any]
    read: Callable[[np.ndarray, np.ndarray], tuple[float, float]]
    first_bias: Callable[[np.ndarray], np.ndarray | None]

    def chunk_probs(self, vectors: np.ndarray, head: dict[str, np.ndarray]) -> np.ndarray:
        """Return the chunk head's probabilities, float32 (N, C), of vectors (N, D); see `classification.chunk_probs`."""
        return self.probs_of(classification.chunk_logits(vectors, head)).astype(np.float32)

    def answers(self, probs: np.ndarray, thresholds: np.ndarray | float = 0.5) -> np.ndarray:
        """Return the answers to B documents by their probabilities (B, C): int64 (B,), or of any number of labels bool (B, C).

        Labels are given from their thresholds on, (C,) or one for all; the most probable class needs none.
        """
        return probs >= thresholds if self.multi_label else probs.argmax(axis=1)


ONE_LABEL = Objective(
    False,
    "accuracy",
    classification.softmax,
    classification.weighted_loss,
    classification.accuracy_and_loss,
    lambda label_ids: None,
)
ANY_LABELS = Objective(
    True, "micro_f1", expit, multi_label.weighted_loss, multi_label.micro_f1_and_loss, multi_label.log_odds
)


def objective_of(multi_label: bool) -> Objective:
    """Return the objective of documents with any number of labels, or with one."""
    return ANY_LABELS if multi_label else ONE_LABEL
