"""The baselines where documents have any number of labels: scores of each label, and thresholds tuned on dev."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hierdoc.answers.thresholds import best_threshold, tune_thresholds
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.words.classifier import fit_words
from hierdoc.words.terms import fit_terms

Scores = tuple[np.ndarray, np.ndarray, "dict[str, Any]"]  # of dev and of the held-out documents, (B, C); what dev chose


def highest(documents: DocumentVectors) -> np.ndarray:
    """Return each label's highest probability in any chunk, float32 (B, C)."""
    return np.maximum.reduceat(documents.probs, documents.starts[:-1], axis=0)


def share_of_chunks(documents: DocumentVectors) -> np.ndarray:
    """Return the share of each document's chunks that have each label from 0.5 on, float64 (B, C)."""
    given = (documents.probs >= 0.5).astype(np.float64)
    return np.add.reduceat(given, documents.starts[:-1], axis=0) / documents.num_chunks[:, None]


def word_svm_scores(train: Any, dev: Any, held_out: Any) -> Scores | None:
    """Return the decision values of an SVM for each label on TF-IDF, or None without words; see `hierdoc.words.classifier.fit_words`."""
    words = fit_words(train.texts, train.label_ids, dev.texts, dev.label_ids, train.label_ids.shape[1])
    if not words.terms:
        return None
    return words.scores(dev.texts), words.scores(held_out.texts), {}


def word_logistic_scores(train: Any, dev: Any, held_out: Any, penalties: Sequence[float]) -> Scores | None:
    """Return the probabilities by a logistic regression for each label on TF-IDF, or None without words; one C for all by dev."""
    fitted = fit_terms(train.texts)
    if fitted is None:
        return None
    vectorizer, features = fitted
    return _by_dev(
        features, vectorizer.transform(dev.texts), vectorizer.transform(held_out.texts), train, dev, penalties
    )


def vector_logistic_scores(
    train: Any, dev: Any, held_out: Any, penalties: Sequence[float], means: Callable[[Any], np.ndarray]
) -> Scores:
    """Return the probabilities by a logistic regression for each label on documents' standardised `means`."""
    from sklearn.preprocessing import StandardScaler

    of_train, of_dev, of_held_out = (means(material) for material in (train, dev, held_out))
    scaler = StandardScaler().fit(of_train)
    return _by_dev(*map(scaler.transform, (of_train, of_dev, of_held_out)), train, dev, penalties)


def frequency_scores(train: Any, dev: Any, held_out: Any) -> Scores:
    """Return how frequent each label is among the training documents, whatever the document."""
    share = train.label_ids.mean(axis=0)
    return np.tile(share, (len(dev.label_ids), 1)), np.tile(share, (len(held_out.label_ids), 1)), {}


def thresholded(found: Scores, dev: Any) -> tuple[np.ndarray, dict[str, Any]]:
    """Return (which labels the held-out documents get, bool (B, C); what dev chose), by thresholds that dev tunes."""
    of_dev, of_held_out, chosen = found
    return of_held_out >= tune_thresholds(of_dev, dev.label_ids), chosen


def _by_dev(of_train: Any, of_dev: Any, of_held_out: Any, train: Any, dev: Any, penalties: Sequence[float]) -> Scores:
    from sklearn.linear_model import LogisticRegression

    learned = np.flatnonzero(train.label_ids.any(axis=0) & ~train.label_ids.all(axis=0))
    found = []
    for penalty in penalties:
        constant = train.label_ids.all(axis=0).astype(np.float64)
        probs = [np.tile(constant, (features.shape[0], 1)) for features in (of_dev, of_held_out)]
        for place in learned:
            model = LogisticRegression(C=penalty, max_iter=1000).fit(of_train, train.label_ids[:, place])
            for of_all, features in zip(probs, (of_dev, of_held_out), strict=True):
                of_all[:, place] = model.predict_proba(features)[:, 1]
        _, f1 = best_threshold(probs[0].reshape(-1), dev.label_ids.reshape(-1))
        found.append((*probs, {"penalty": penalty, "dev_micro_f1": f1}))
    return max(found, key=lambda one: one[2]["dev_micro_f1"])  # the first of equals
