"""What documents are, of one class or with any number of labels, and how right answers to them are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierdoc.evaluation.multi_label import micro_f1, multi_label_scores
from hierdoc.evaluation.scores import scores


@dataclass(frozen=True)
class Truth:
    """The labels of B documents.

    Attributes:
        label_ids: int (B,), -1 for a class that train never saw; or of any number of labels bool (B, C).
        labels: of each document, its class or a tuple of labels.
        order: the C classes.
    """

    label_ids: np.ndarray
    labels: Sequence[str | tuple[str, ...]]
    order: Sequence[str]

    @property
    def measure(self) -> str:
        """What answers are first of all judged by: "accuracy", or of any number of labels "micro_f1"."""
        return "accuracy" if self.label_ids.ndim == 1 else "micro_f1"

    def judge(self, answers: np.ndarray, members: np.ndarray | None = None) -> float:
        """Return the `measure` of answers, of the shape of `label_ids`, on all documents or on `members`, bool (B,)."""
        members = np.full(len(self.label_ids), True) if members is None else members
        if self.measure == "accuracy":
            return float((answers == self.label_ids)[members].mean())
        return micro_f1(self.label_ids[members], answers[members], self._num_unseen()[members])

    def scores(self, answers: np.ndarray, probs: np.ndarray, num_chunks: np.ndarray) -> dict[str, Any]:
        """Return all that is counted of answers and their probabilities (B, C); see `scores` and `multi_label_scores`."""
        if self.measure == "accuracy":
            unseen = {label for label, label_id in zip(self.labels, self.label_ids, strict=True) if label_id < 0}
            return scores(self.label_ids, answers, probs, num_chunks, self.order, len(unseen))
        unseen = {label for labels in self.labels for label in labels} - set(self.order)
        return multi_label_scores(
            self.label_ids, answers, probs, num_chunks, self.order, self._num_unseen(), len(unseen)
        )

    def _num_unseen(self) -> np.ndarray:
        known = set(self.order)
        return np.asarray([sum(label not in known for label in labels) for labels in self.labels], np.int64)
