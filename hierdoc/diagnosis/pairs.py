"""Vectors paired with documents and labels: what the vectors of a document, taken together, say of its label."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Vectors
from hierdoc.diagnosis.identity import placed_held_out, training_vectors
from hierdoc.diagnosis.probes import classify, cross_classify, document_means
from hierdoc.diagnosis.statistics import Rate

MOST_DOCUMENTS = 5_000  # are probed; drawn, so that no corpus is too large


@dataclass(frozen=True)
class Features:
    """B documents with a vector for each, and how well a linear classifier tells their labels.

    Attributes:
        means: float64 (B, K), the mean of each document's vectors.
        label_ids: int64 (B,).
        values: (P, K), the vectors.
        owners: int64 (P,), places in `means`.
        probe: the cross-validated accuracy of linear discriminant analysis.
        chance: the share of the most frequent label.
    """

    means: np.ndarray
    label_ids: np.ndarray
    values: np.ndarray
    owners: np.ndarray
    probe: Rate
    chance: float

    def __len__(self) -> int:
        return len(self.label_ids)


def training_features(evidence: Evidence) -> Features | None:
    """Return the vectors and labels that the document model learned from, else those made for training; or None."""
    return evidence.once("training features", _training_features)


def held_out_features(evidence: Evidence) -> Features | None:
    """Return the vectors and labels that the document model was measured on, else those made for held-out documents; or None."""
    return evidence.once("held-out features", _held_out_features)


def _training_features(evidence: Evidence) -> Features | None:
    vectors = training_vectors(evidence)
    if vectors is not None and evidence.documents is not None:
        examples = evidence.documents.examples
        return make_features(vectors, examples.hashes.rows, examples.label_ids)
    return _of_made(evidence.made.train) if evidence.made is not None else None


def _held_out_features(evidence: Evidence) -> Features | None:
    answered = evidence.documents.held_out if evidence.documents is not None else None
    if answered is not None and answered.vectors is not None:
        return make_features(answered.vectors, answered.hashes.rows, answered.label_ids)
    if evidence.made is None:
        return None
    placed = placed_held_out(evidence)
    if placed is None or answered is None:
        return _of_made(evidence.made.held_out)
    if evidence.made.held_out.values is None:
        return None
    vectors = np.where((placed.rows >= 0)[:, None], evidence.made.held_out.values[placed.rows], np.nan)
    return make_features(vectors, answered.hashes.rows, answered.label_ids)


def _of_made(made: Vectors) -> Features | None:
    known = np.asarray([doc_id is not None for doc_id in made.doc_ids], bool)
    if made.values is None or not known.any():
        return None
    names, owners = np.unique(made.doc_ids[known].astype(str), return_inverse=True)
    labels = np.full(len(names), UNKNOWN, np.int64)
    labels[owners] = made.label_ids[known]
    return make_features(made.values[known], owners, labels)


def transfer(evidence: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (true, predicted) classes of held-out documents by a linear classifier that learned training's vectors; or None."""
    return evidence.once("transfer", _transfer)


def _transfer(evidence: Evidence) -> tuple[np.ndarray, np.ndarray] | None:
    train, held_out = training_features(evidence), held_out_features(evidence)
    if train is None or held_out is None:
        return None
    return held_out.label_ids, classify(train.means, train.label_ids, held_out.means)


def make_features(values: np.ndarray, owners: np.ndarray, label_ids: np.ndarray) -> Features | None:
    """Return the documents with finite vectors and a known label; None where they are fewer than two, or of one class.

    Args:
        values: float (P, K).
        owners: int (P,), places in `label_ids`.
        label_ids: int (B,).
    """
    usable = np.isfinite(values).all(axis=1) & (label_ids[owners] >= 0)
    kept = np.unique(owners[usable])
    if len(kept) > MOST_DOCUMENTS:
        kept = np.sort(np.random.default_rng(0).choice(kept, MOST_DOCUMENTS, replace=False))
    place = np.full(len(label_ids), -1, np.int64)
    place[kept] = np.arange(len(kept))
    usable &= place[owners] >= 0
    labels = label_ids[kept]
    if len(np.unique(labels)) < 2:
        return None
    values, owners = values[usable], place[owners[usable]]
    means = document_means(values, owners, len(kept))
    right = cross_classify(means, labels) == labels
    probe = Rate(float(right.mean()), len(right), len(right), "a linear classifier on the vectors")
    return Features(means, labels, values, owners, probe, float(np.bincount(labels).max() / len(labels)))
