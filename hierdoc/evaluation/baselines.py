"""What a document classifier has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierdoc.sequences.grouping import DocumentVectors


def average_probs(documents: DocumentVectors) -> np.ndarray:
    """Return the mean of each document's chunk probabilities, float64 (B, C)."""
    sums = np.add.reduceat(documents.probs.astype(np.float64), documents.starts[:-1], axis=0)
    return sums / documents.num_chunks[:, None]


def first_chunk_probs(documents: DocumentVectors) -> np.ndarray:
    """Return the probabilities of each document's first chunk, float32 (B, C)."""
    return documents.probs[documents.starts[:-1]]


def majority_class(train_label_ids: np.ndarray) -> int:
    """Return the most frequent class of the training documents, the first of them on ties."""
    return int(np.bincount(train_label_ids).argmax())


def tfidf_svm(train_texts: Sequence[str], train_labels: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the labels that TF-IDF (1-2 grams, sublinear, min_df 2) and a linear SVM give to `texts`; untuned.

    Where no word stands in two training documents, every word counts; where there is no word at all (scikit-learn's
    have two letters or more), everything gets the majority class.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    for min_df in (2, 1):
        vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=min_df, dtype=np.float32)
        try:
            features = vectorizer.fit_transform(train_texts)
        except ValueError:  # scikit-learn's way to say that no term is left
            continue
        model = LinearSVC(random_state=0).fit(features, train_labels)
        return model.predict(vectorizer.transform(texts)).tolist()
    return [max(sorted(set(train_labels)), key=list(train_labels).count)] * len(texts)
