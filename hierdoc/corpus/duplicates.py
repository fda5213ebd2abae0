"""Near-duplicate documents: Jaccard similarity over 0.5 on 8-word shingles, exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from hierdoc.corpus.shared_shingles import share_shingles
from hierdoc.corpus.shingles import shingle_hashes
from hierdoc.corpus.similar_sets import group_similar_sets


def near_duplicate_groups(texts: Sequence[str]) -> np.ndarray:
    """Return int64 (B,): documents with the same number are near-duplicates, directly or through others.

    The number is the index of the group's first document. Documents are compared by the words that `shingle_hashes`
    tells of; a text without words is nobody's duplicate.
    """
    hashes, starts = shingle_hashes(texts)
    first_of = _first_with_the_same(hashes, starts)
    sizes = np.diff(starts)
    distinct = np.flatnonzero((first_of == np.arange(len(texts))) & (sizes > 0))
    distinct = distinct[np.argsort(sizes[distinct], kind="stable")]
    group = group_similar_sets(share_shingles(hashes, starts, distinct))
    first_in = np.full(len(distinct), len(texts))
    np.minimum.at(first_in, group, distinct)
    names = np.arange(len(texts))
    names[distinct] = first_in[group]
    return names[first_of]


def _first_with_the_same(hashes: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return int64 (B,): the first text with the same shingles; without shingles, the text itself."""
    first_with: dict[bytes, int] = {}
    first_of = np.arange(len(starts) - 1)
    for index, (start, end) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True)):
        if end > start:
            digest = hashlib.blake2b(hashes[start:end].data, digest_size=16).digest()
            first_of[index] = first_with.setdefault(digest, index)
    return first_of
