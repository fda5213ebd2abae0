"""Near-duplicate documents: Jaccard similarity over 0.5 on 8-word shingles, verified exactly."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

SHINGLE_WORDS = 8
THRESHOLD = 0.5
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(f"[{_CJK}]|[^\\W{_CJK}]+")


def near_duplicate_groups(texts: Sequence[str]) -> np.ndarray:
    """Return int64 (B,): documents with the same number are near-duplicates, directly or through others.

    Words are lower-cased runs of letters and digits; a CJK character is a word. A text of fewer than 8 words is one
    shingle; a text without words is nobody's duplicate. The number is the index of the group's first document.

    Pairs to verify come from prefix filtering (Bayardo et al. 2007, Scaling Up All Pairs Similarity Search): two sets
    with a Jaccard similarity of at least t share one of the rarest `|x| - ceil(t |x|) + 1` members of each.
    """
    shingles = _shingle_hashes(texts)
    parent = np.arange(len(texts))

    def find(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    def join(one: int, other: int) -> None:
        one, other = find(one), find(other)
        parent[max(one, other)] = min(one, other)

    first_with: dict[bytes, int] = {}
    distinct = []
    for index, hashes in enumerate(shingles):
        if not len(hashes):
            continue
        first = first_with.setdefault(hashes.tobytes(), index)
        if first == index:
            distinct.append(index)
        else:
            join(first, index)
    seen, counts = np.unique(
        np.concatenate([shingles[i] for i in distinct] or [np.zeros(0, np.uint64)]), return_counts=True
    )
    holders: dict[int, list[int]] = defaultdict(list)
    for index in distinct:
        hashes = shingles[index]
        frequency = counts[np.searchsorted(seen, hashes)]
        prefix = len(hashes) - int(np.ceil(THRESHOLD * len(hashes))) + 1
        rarest = np.lexsort((hashes, frequency))[:prefix]
        candidates: set[int] = set()
        for shingle in hashes[rarest[frequency[rarest] > 1]].tolist():
            candidates.update(holders[shingle])
            holders[shingle].append(index)
        for other in candidates:
            if find(other) != find(index) and _jaccard(hashes, shingles[other]) > THRESHOLD:
                join(other, index)
    return np.asarray([find(index) for index in range(len(texts))])


def _shingle_hashes(texts: Sequence[str]) -> list[np.ndarray]:
    """Return each text's shingles as sorted distinct uint64 hashes (64 bits: collisions are not to be expected)."""
    numbers: dict[str, int] = {}
    odd = np.random.default_rng(0).integers(1, 2**63, SHINGLE_WORDS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = []
    for text in texts:
        words = np.asarray(
            [numbers.setdefault(word, len(numbers) + 1) for word in _WORD.findall(text.lower())], np.uint64
        )
        mixed = (words + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        mixed ^= mixed >> np.uint64(29)
        if not len(words):
            hashes.append(mixed)
            continue
        mixed = np.concatenate([mixed, np.zeros(max(0, SHINGLE_WORDS - len(words)), np.uint64)])
        num_shingles = len(mixed) - SHINGLE_WORDS + 1
        value = np.zeros(num_shingles, np.uint64)
        for offset, factor in enumerate(odd):
            value += mixed[offset : offset + num_shingles] * factor
        value ^= value >> np.uint64(32)
        hashes.append(np.unique(value))
    return hashes


def _jaccard(one: np.ndarray, other: np.ndarray) -> float:
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)
