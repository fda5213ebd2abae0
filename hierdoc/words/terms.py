"""Documents as TF-IDF of their words and pairs of words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

WORDS_ONLY = r"(?u)\b\w\w+\b"  # scikit-learn's: two letters, digits or _ and more
UNSPACED = (  # kana and Han characters, between which no spaces stand
    "\u3005-\u3007\u3040-\u309f\u30a1-\u30fa\u30fc-\u30ff\uff66-\uff9f\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
TOKENS = rf"(?u)[{UNSPACED}]|(?:(?![{UNSPACED}])\w){{2,}}"


def make_vectorizer(min_df: int = 1, vocabulary: dict[str, int] | None = None, tokens: str = TOKENS) -> Any:
    """Return scikit-learn's TF-IDF of words and pairs of words, with the logarithm of their counts.

    Words are scikit-learn's, but for Chinese and Japanese, where each character is one.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(
        ngram_range=(1, 2),
        sublinear_tf=True,
        min_df=min_df,
        vocabulary=vocabulary,
        dtype=np.float32,
        token_pattern=tokens,
    )


def fit_terms(texts: Sequence[str]) -> tuple[Any, Any] | None:
    """Return (the fitted vectorizer, the texts' features, sparse (B, V)); None where there is no word at all.

    Terms of at least two texts count; where no term is in two, all do. Words are scikit-learn's, of two letters or more, and single Chinese and Japanese characters.
    """
    for min_df in (2, 1):
        vectorizer = make_vectorizer(min_df)
        try:
            return vectorizer, vectorizer.fit_transform(texts)
        except ValueError:  # scikit-learn's way to say that no term is left
            continue
    return None
