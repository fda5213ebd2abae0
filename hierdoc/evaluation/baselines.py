"""What a document classifier has to beat: rules over the chunks' probabilities, and classifiers without a sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hierdoc.answers.thresholds import best_threshold
from hierdoc.errors import HierdocError
from hierdoc.evaluation import label_baselines
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.words.classifier import PENALTIES
from hierdoc.words.terms import fit_terms


def average(documents: DocumentVectors) -> np.ndarray:
    """Return the mean of each document's chunk probabilities, float64 (B, C)."""
    sums = np.add.reduceat(documents.probs.astype(np.float64), documents.starts[:-1], axis=0)
    return sums / documents.num_chunks[:, None]


def maximum(documents: DocumentVectors) -> np.ndarray:
    """Return each class' highest probability in any chunk, made to sum to 1, float64 (B, C)."""
    highest = np.maximum.reduceat(documents.probs.astype(np.float64), documents.starts[:-1], axis=0)
    return highest / highest.sum(axis=1, keepdims=True)


def vote(documents: DocumentVectors) -> np.ndarray:
    """Return the share of each document's chunks that name each class, float64 (B, C).

    Among classes of as many votes the higher average comes first; it is given a millionth of the weight.
    """
    votes = np.eye(documents.probs.shape[1])[documents.probs.argmax(axis=1)]
    shares = np.add.reduceat(votes, documents.starts[:-1], axis=0) / documents.num_chunks[:, None]
    return (1 - 1e-6) * shares + 1e-6 * average(documents)


def first_chunk(documents: DocumentVectors) -> np.ndarray:
    """Return the probabilities of each document's first chunk, float32 (B, C)."""
    return documents.probs[documents.starts[:-1]]


def last_chunk(documents: DocumentVectors) -> np.ndarray:
    """Return the probabilities of each document's last chunk, float32 (B, C)."""
    return documents.probs[documents.starts[1:] - 1]


def first_and_last_chunk(documents: DocumentVectors) -> np.ndarray:
    """Return the mean of the first and the last chunk's probabilities, float32 (B, C); one chunk is both."""
    return (first_chunk(documents) + last_chunk(documents)) / 2


# Head-only, tail-only and head+tail are Sun et al.'s (2019, How to Fine-Tune BERT, 5.3.1), with chunks of ours for their
# 510 tokens and an encoder that was trained on all chunks instead of on the part that it is asked about.
RULES: dict[str, Callable[[DocumentVectors], np.ndarray]] = {
    "average": average,
    "max": maximum,
    "vote": vote,
    "first_chunk": first_chunk,
    "last_chunk": last_chunk,
    "first_and_last_chunk": first_and_last_chunk,
}


@dataclass(frozen=True)
class Material:
    """B documents of one split, as far as a baseline reads them.

    Attributes:
        label_ids: int (B,); -1 for a class that train never saw; or of any number of labels bool (B, C).
        texts: their texts, or none.
        documents: their chunk vectors, or None.
    """

    label_ids: np.ndarray
    texts: Sequence[str] = ()
    documents: DocumentVectors | None = None


@dataclass(frozen=True)
class Answers:
    """What a baseline says of B documents.

    Attributes:
        label_ids: int (B,), or of any number of labels bool (B, C).
        probs: float (B, C); NaN where the baseline has no probabilities.
        chosen: what dev decided, as JSON values.
        training_seconds: what training took, shared parts and earlier calls included, where own code tells it.
    """

    label_ids: np.ndarray
    probs: np.ndarray
    chosen: dict[str, Any] = field(default_factory=dict)
    training_seconds: float | None = None


def majority(train: Material, dev: Material, held_out: Material, num_classes: int) -> Answers:
    """Return the most frequent class of the training documents, the first of them on ties, with the classes' shares."""
    counts = np.bincount(train.label_ids, minlength=num_classes)
    probs = np.tile(counts / counts.sum(), (len(held_out.label_ids), 1))
    return Answers(np.full(len(probs), counts.argmax()), probs)


# scikit-learn's C, from which dev chooses; higher fits train more closely
LOGISTIC_PENALTIES = (1.0, 10.0, 100.0)  # of words
MEAN_PENALTIES = (0.001, 0.01, 0.1)  # of standardised vectors


def tfidf_svm(train: Material, dev: Material, held_out: Material, num_classes: int) -> Answers:
    """Return what TF-IDF (1-2 grams, sublinear, min_df 2) and a linear SVM say; C by dev accuracy, the lower on ties.

    Where no word stands in two training documents, every word counts; where there is no word at all (see
    `hierdoc.words.terms.fit_terms`), everything gets the majority class. The SVM has no probabilities.
    """
    from sklearn.svm import LinearSVC

    models = [LinearSVC(C=penalty, random_state=0) for penalty in PENALTIES]
    return _by_words(train, dev, held_out, num_classes, models)


def tfidf_logistic(train: Material, dev: Material, held_out: Material, num_classes: int) -> Answers:
    """Return what the words of `tfidf_svm` and a logistic regression (multinomial) say; C by dev in the same way."""
    from sklearn.linear_model import LogisticRegression

    models = [LogisticRegression(C=penalty, max_iter=1000) for penalty in LOGISTIC_PENALTIES]
    return _by_words(train, dev, held_out, num_classes, models)


def mean_logistic(train: Material, dev: Material, held_out: Material, num_classes: int) -> Answers:
    """Return what a logistic regression on the mean of each document's vectors says; C by dev as in `tfidf_svm`.

    The means are standardised by train's.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    means = [_mean_vectors(material) for material in (train, dev, held_out)]
    scaler = StandardScaler().fit(means[0])
    features = [scaler.transform(matrix) for matrix in means]
    models = [LogisticRegression(C=penalty, max_iter=1000) for penalty in MEAN_PENALTIES]
    return _by_dev(features, train, dev, num_classes, models)


BASELINES: dict[str, Callable[[Material, Material, Material, int], Answers]] = {
    "majority": majority,
    "tfidf_svm": tfidf_svm,
    "tfidf_logistic": tfidf_logistic,
    "mean_logistic": mean_logistic,
}
OF_VECTORS = {"mean_logistic", *RULES}  # the others read texts and need no encoder


def chooses_by_dev(baseline: str, multi_label: bool) -> bool:
    """Return whether a baseline needs dev's documents: for its C, or, of any number of labels, for its thresholds."""
    return multi_label or baseline in ("tfidf_svm", "tfidf_logistic", "mean_logistic")


def check_baseline(baseline: str) -> None:
    """Check the name of a baseline.

    Raises:
        HierdocError: there is no such baseline; the message lists those there are.
    """
    names = sorted({*RULES, *BASELINES})
    if baseline not in names:
        raise HierdocError(f"`baseline` must be one of {', '.join(names)}, but is {baseline!r} instead")


def answer(baseline: str, train: Material, dev: Material, held_out: Material, num_classes: int) -> Answers:
    """Return what the baseline of that name says of `held_out`.

    Of any number of labels, the probabilities (of the SVM, its scores) are held against thresholds that dev tunes, of
    `majority` against one for all labels; rules then read dev's vectors, too.
    """
    if train.label_ids.ndim == 2:
        return _answer_with_labels(baseline, train, dev, held_out)
    if baseline in RULES:
        probs = RULES[baseline](held_out.documents)
        return Answers(probs.argmax(axis=1), probs)
    return BASELINES[baseline](train, dev, held_out, num_classes)


def _answer_with_labels(baseline: str, train: Material, dev: Material, held_out: Material) -> Answers:
    """Return what a baseline says of documents with any number of labels."""
    rules = {**RULES, "max": label_baselines.highest, "vote": label_baselines.share_of_chunks}
    if baseline in rules:
        found = rules[baseline](dev.documents), rules[baseline](held_out.documents), {}
    elif baseline == "tfidf_svm":
        found = label_baselines.word_svm_scores(train, dev, held_out)
    elif baseline == "tfidf_logistic":
        found = label_baselines.word_logistic_scores(train, dev, held_out, LOGISTIC_PENALTIES)
    elif baseline == "mean_logistic":
        found = label_baselines.vector_logistic_scores(train, dev, held_out, MEAN_PENALTIES, _mean_vectors)
    else:
        found = None
    if found is None:  # it is `majority`, or train has no words
        return _most_frequent(train, dev, held_out)
    given, chosen = label_baselines.thresholded(found, dev)
    probs = np.full(given.shape, np.nan) if baseline == "tfidf_svm" else found[1]
    return Answers(given, probs, chosen)


def _most_frequent(train: Material, dev: Material, held_out: Material) -> Answers:
    """Return the labels that are frequent enough in train, for every document: from which share on, dev's micro-F1 decides.

    With a threshold for each label, as others have, every document would get every label that has one: of scores that are the same
    for all documents "yes" has the best F1.
    """
    of_dev, of_held_out, _ = label_baselines.frequency_scores(train, dev, held_out)
    least, _ = best_threshold(of_dev.reshape(-1), dev.label_ids.reshape(-1))
    return Answers(of_held_out >= least, of_held_out)


def _mean_vectors(material: Material) -> np.ndarray:
    documents = material.documents
    sums = np.add.reduceat(documents.vectors.astype(np.float64), documents.starts[:-1], axis=0)
    return sums / documents.num_chunks[:, None]


def _by_words(train: Material, dev: Material, held_out: Material, num_classes: int, models: Sequence[Any]) -> Answers:
    fitted = fit_terms(train.texts)
    if fitted is None:
        return majority(train, dev, held_out, num_classes)
    vectorizer, of_train = fitted
    features = [of_train, vectorizer.transform(dev.texts), vectorizer.transform(held_out.texts)]
    return _by_dev(features, train, dev, num_classes, models)


def _by_dev(
    features: Sequence[Any], train: Material, dev: Material, num_classes: int, models: Sequence[Any]
) -> Answers:
    """Return the answers, for the last of `features`, of the model that is best on the second, the first on ties."""
    best, best_accuracy = models[0], -1.0
    for model in models:
        model.fit(features[0], train.label_ids)
        accuracy = float((model.predict(features[1]) == dev.label_ids).mean())
        if accuracy > best_accuracy:
            best, best_accuracy = model, accuracy
    probs = np.full((features[2].shape[0], num_classes), np.nan)
    if hasattr(best, "predict_proba"):
        probs[:] = 0
        probs[:, best.classes_] = best.predict_proba(features[2])
    return Answers(best.predict(features[2]), probs, {"penalty": best.C, "dev_accuracy": best_accuracy})
