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

from hierdoc.answers.thresholds import best_threshold
from hierdoc.stages import tables
from hierdoc.words.terms import TOKENS, WORDS_ONLY, fit_terms, make_vectorizer

PENALTIES = (0.1, 0.3, 1.0, 3.0, 10.0)  # the SVM's C, from which dev chooses; higher fits train more closely
FILE = "words.parquet"
LEAST = 1e-12  # a probability that has a logarithm
MOST = 1 - 2**-24  # and the largest below 1 that a head's float32 can be: where it says 1, it means no more than this
ABSENT = -10.0  # the score of a class that train does not have; an SVM's are around -1 and 1


@dataclass(frozen=True)
class WordClassifier:
    """V terms and what each says for each of C classes.

    Attributes:
        terms: V words and pairs of words.
        idf: float32 (V,).
        weights: float32 (V, C).
        bias: float32 (C,).
        multi_label: whether documents have any number of labels.
        tokens: the regular expression of a word.
        head_share, words_share: what a head's log-probabilities and these scores are multiplied by before they are added.
    """

    terms: list[str]
    idf: np.ndarray
    weights: np.ndarray
    bias: np.ndarray
    head_share: float = 1.0
    words_share: float = 0.0
    multi_label: bool = False
    tokens: str = TOKENS

    def scores(self, texts: Sequence[str]) -> np.ndarray:
        """Return the SVM's decision values of B texts, float64 (B, C); a text's do not depend on the others."""
        if not self.terms:
            return np.tile(self.bias.astype(np.float64), (len(texts), 1))
        return np.asarray(self._vectorizer.transform(texts) @ self.weights, np.float64) + self.bias

    @functools.cached_property
    def _vectorizer(self) -> Any:
        vectorizer = make_vectorizer(
            vocabulary={term: place for place, term in enumerate(self.terms)}, tokens=self.tokens
        )
        vectorizer.idf_ = self.idf
        return vectorizer

    def join(self, probs: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Return the probabilities of B documents, float32 (B, C), by a head's, float32 (B, C), and their `scores`."""
        return self.joined(probs, scores, self.head_share, self.words_share).astype(np.float32)

    def joined(self, probs: np.ndarray, scores: np.ndarray, head_share: float, words_share: float) -> np.ndarray:
        """Return softmax(head_share log(probs) + words_share scores), float64 (B, C).

        Of any number of labels it is each one's sigmoid, of its log-odds for the logarithm.
        """
        from scipy.special import expit, logit, softmax

        probs = np.clip(probs.astype(np.float64), LEAST, None)
        if self.multi_label:
            return expit(head_share * logit(np.minimum(probs, MOST)) + words_share * scores)
        return softmax(head_share * np.log(probs) + words_share * scores, axis=1)


def fit_words(
    texts: Sequence[str],
    label_ids: np.ndarray,
    dev_texts: Sequence[str],
    dev_label_ids: np.ndarray,
    num_classes: int,
) -> WordClassifier:
    """Return the SVM (scikit-learn's LinearSVC, one class against the others) with the C that is best on dev, the lower on ties.

    Args:
        texts, label_ids: of train; of any number of labels, bool (B, C).
        dev_texts, dev_label_ids: to choose by; -1 is a class that train never saw.
        num_classes: C; classes of which train has no document score far below all others.
    """
    from sklearn.svm import LinearSVC

    if label_ids.ndim == 2:
        return _fit_labels(texts, label_ids, dev_texts, dev_label_ids)
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


def _fit_labels(
    texts: Sequence[str], truth: np.ndarray, dev_texts: Sequence[str], dev_truth: np.ndarray
) -> WordClassifier:
    """Return `fit_words` of documents with any number of labels, bool (B, C): an SVM for each, one C for all by dev's micro-F1."""
    from sklearn.svm import LinearSVC

    fitted, num_labels = fit_terms(texts), truth.shape[1]
    constant = np.where(truth.all(axis=0), -ABSENT, ABSENT).astype(
        np.float32
    )  # the score of a label that all have, or none
    if fitted is None:
        varies = truth.any(axis=0) & ~truth.all(axis=0)
        bias = np.where(varies, 0, constant).astype(np.float32)
        return WordClassifier(
            [], np.zeros(0, np.float32), np.zeros((0, num_labels), np.float32), bias, multi_label=True
        )
    vectorizer, features = fitted
    terms, idf = vectorizer.get_feature_names_out().tolist(), vectorizer.idf_.astype(np.float32)

    def fitted_with(penalty: float) -> WordClassifier:
        weights, bias = np.zeros((len(terms), num_labels), np.float32), constant.copy()
        for place in np.flatnonzero(truth.any(axis=0) & ~truth.all(axis=0)):
            model = LinearSVC(C=penalty, random_state=0).fit(features, truth[:, place])
            weights[:, place], bias[place] = model.coef_[0], model.intercept_[0]
        return WordClassifier(terms, idf, weights, bias, multi_label=True)

    def micro_f1(words: WordClassifier) -> float:
        return best_threshold(words.scores(dev_texts).reshape(-1), dev_truth.reshape(-1))[1]

    return max(map(fitted_with, PENALTIES), key=micro_f1)  # the first of equals


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
        label_ids: theirs; -1 is a class that train never saw, and is left out; of any number of labels, bool (B, C).
    """
    from scipy.optimize import minimize

    known = np.full(len(label_ids), True) if words.multi_label else label_ids >= 0
    probs, scores, truth = probs[known], scores[known], label_ids[known]

    def loss(logs: np.ndarray) -> float:
        found = words.joined(probs, scores, *np.exp(logs))
        of_truth = np.where(truth, found, 1 - found) if words.multi_label else found[np.arange(len(truth)), truth]
        likelihood = np.log(np.maximum(of_truth, LEAST)).mean()
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
    about |= {"multi_label": True} if words.multi_label else {}
    about["tokens"] = words.tokens
    tables.write_table(folder / FILE, table.replace_schema_metadata({"words": json.dumps(about)}))


def load_words(folder: Path) -> WordClassifier:
    """Return the classifier that `save_words` wrote."""
    table = tables.read_tables([folder / FILE])
    about = json.loads(table.schema.metadata[b"words"])
    return WordClassifier(
        table["term"].to_pylist(), table["idf"].to_numpy(), tables.matrix_of(table["weights"]),
        np.asarray(about["bias"], np.float32), about["head_share"], about["words_share"], about.get("multi_label", False), about.get("tokens", WORDS_ONLY),
    )  # fmt: skip
