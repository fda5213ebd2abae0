"""A linear SVM on a document's words, and its scores beside a head's probabilities."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.stages import tables
from hierdoc.words.terms import fit_terms, make_vectorizer

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)  # the SVM's C, from which dev chooses; higher fits train more closely
FILE = "words.parquet"
ABSENT = -10.0  # the score of a class that train does not have; an SVM's are around -1 and 1


@dataclass(frozen=True)
class WordClassifier:
    """V terms and what each says for each of C classes.

    Attributes:
        terms: V words and pairs of words.
        idf: float32 (V,).
        weights: float32 (V, C).
        bias: float32 (C,).
        head_share, words_share: what a head's log-probabilities and these scores are multiplied by before they are added.
    """

    terms: list[str]
    idf: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    head_share: float = 1.0
    words_share: float = 0.0

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return the SVM's decision values of B texts, float64 (B, C); a text's do not depend on the others."""
        if not self.terms:
            return np.tile(self.bias.astype(np.float64), (len(texts), 1))
        return np.asarray(self._vectorizer.transform(texts) @ self.weights, np.float64) + self.bias

    @functools.cached_property
    def _vectorizer(self) -> Any:
        vectorizer = make_vectorizer(vocabulary={term: place for place, term in enumerate(self.terms)})
        vectorizer.idf_ = self.idf
        return vectorizer

    def join(self, probs: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities of B documents, float32 (B, C), by a head's, float32 (B, C), and their `scores`."""
        return joined(probs, scores, self.head_share, self.words_share).astype(np.float32)


def joined(probs: np.ndarray, scores: np.ndarray, head_share: float, words_share: float) -> np.ndarray:
    """Return softmax(head_share log(probs) + words_share scores), float64 (B, C)."""
    from scipy.special import softmax

    logits = head_share * np.log(np.maximum(probs.astype(np.float64), 1e-12)) + words_share * scores
    return softmax(logits, axis=1)


def fit_words(
    texts: Sequence[str],
    label_ids: np.ndarray,
    dev_texts: Sequence[str],
    dev_label_ids: np.ndarray,
    num_classes: int,
) -> WordClassifier:
    """Return the SVM (scikit-learn's LinearSVC, one class against the others) with the C that is best on dev, the lower on ties.

    Args:
        texts, label_ids: of train.
        dev_texts, dev_label_ids: to choose by; -1 is a class that train never saw.
        num_classes: C; classes of which train has no document score far below all others.
    """
    from sklearn.svm import LinearSVC

    fitted, classes = fit_terms(texts), np.unique(label_ids)
    if fitted is None or len(classes) < 2:
        bias = np.where(np.isin(np.arange(num_classes), classes), 0.0, ABSENT).astype(np.float32)
        return WordClassifier([], np.zeros(0, np.float32), np.zeros((0, num_classes), np.float32), bias)
    vectorizer, features = fitted

    def fitted_with(penalty: float) -> WordClassifier:
        model = LinearSVC(C=penalty, random_state=0).fit(features, label_ids)
        return _classifier(model, vectorizer, num_classes)

    def right_on_dev(words: WordClassifier) -> int:
        return int((words.scores(dev_texts).argmax(axis=1) == dev_label_ids).sum())

    return max(map(fitted_with, PENALTIES), key=right_on_dev)  # the first of equals


def _classifier(model: Any, vectorizer: Any, num_classes: int) -> WordClassifier:
    coefficients, intercepts = model.coef_, model.intercept_
    if len(coefficients) == 1:  # scikit-learn has one row for two classes, for the second of them
        coefficients, intercepts = np.vstack([-coefficients, coefficients]), np.array([-intercepts[0], intercepts[0]])
    weights = np.zeros((coefficients.shape[1], num_classes), np.float32)
    bias = np.full(num_classes, ABSENT, np.float32)
    weights[:, model.classes_], bias[model.classes_] = coefficients.T, intercepts
    return WordClassifier(
        vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.astype(np.float32), weights, bias
    )


def with_shares(words: WordClassifier, probs: np.ndarray, scores: np.ndarray, label_ids: np.ndarray) -> WordClassifier:
    """Return the classifier with the shares of head and words that make dev's labels most likely.

    Shares near 1 are a little preferred: where dev is answered without a mistake, its likelihood alone would make them infinite.

    Args:
        words: the classifier.
        probs: float32 (B, C), a head's of dev's documents, none of which it has learned from.
        scores: float64 (B, C), the words' of the same documents.
        label_ids: theirs; -1 is a class that train never saw, and is left out.
    """
    from scipy.optimize import minimize

    known = label_ids >= 0
    truth = label_ids[known]

    def loss(logs: np.ndarray) -> float:
        found = joined(probs[known], scores[known], *np.exp(logs))
        likelihood = np.log(np.maximum(found[np.arange(len(truth)), truth], 1e-12)).mean()
        return float((logs**2).sum() / len(truth) - likelihood)

    begin = np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]])
    best = minimize(
        loss, begin[0], method="Nelder-Mead", options={"initial_simplex": begin, "xatol": 1e-4, "fatol": 1e-7}
    )
    head_share, words_share = np.exp(best.x).tolist()
    return dataclasses.replace(words, head_share=head_share, words_share=words_share)


def save_words(folder: Path, words: WordClassifier) -> None:
    """Write the classifier as `FILE`: a row for each term, the rest as the table's metadata."""
    table = pa.table(
        {"term": pa.array(words.terms, pa.string()), "idf": words.idf, "weights": tables.fixed_lists(words.weights)}
    )
    about = {"bias": words.bias.tolist(), "head_share": words.head_share, "words_share": words.words_share}
    tables.write_table(folder / FILE, table.replace_schema_metadata({"words": json.dumps(about)}))


def load_words(folder: Path) -> WordClassifier:
    """Return the classifier that `save_words` wrote."""
    table = tables.read_tables([folder / FILE])
    about = json.loads(table.schema.metadata[b"words"])
    return WordClassifier(
        table["term"].to_pylist(), table["idf"].to_numpy(), tables.matrix_of(table["weights"]),
        np.asarray(about["bias"], np.float32), about["head_share"], about["words_share"],
    )  # fmt: skip
