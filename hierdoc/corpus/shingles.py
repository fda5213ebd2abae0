"""Texts as sets of 8-word shingles, each a 64-bit hash (collisions are not to be expected)."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import count

import numpy as np

from hierdoc.progress import bar

SHINGLE_WORDS = 8
_WORDS_PER_BLOCK = 500_000  # shingles are hashed for many short texts at once
_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(f"[{_CJK}]|[^\\W{_CJK}]+")


def shingle_hashes(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return (hashes uint64 (N,), starts int64 (B + 1,)): text b's distinct shingles are `starts[b]:starts[b + 1]`, sorted.

    Words are lower-cased runs of letters and digits; a CJK character is a word. A text of fewer than 8 words is one
    shingle; a text without words has none.
    """
    parts, sizes = [], []
    for words in _blocks(texts):
        hashes, block_sizes = _distinct_shingles(words)
        parts.append(hashes)
        sizes.append(block_sizes)
    starts = np.concatenate([[0], *sizes]).cumsum()
    return np.concatenate([np.zeros(0, np.uint64), *parts]), starts


def _blocks(texts: Sequence[str]) -> Iterator[list[np.ndarray]]:
    """Yield the texts' words as numbers, uint64 (W,) for each text, many texts at a time."""
    numbers: dict[str, int] = defaultdict(count(1).__next__)
    block, num_words = [], 0
    with bar("shingles", "documents", len(texts)) as progress:
        for text in texts:
            words = map(numbers.__getitem__, map(re.Match.group, _WORD.finditer(text.lower())))
            block.append(np.fromiter(words, np.uint64))
            num_words += len(block[-1])
            if num_words >= _WORDS_PER_BLOCK:
                yield block
                block, num_words = [], 0
            progress.update()
    yield block


def _distinct_shingles(words: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return (each text's sorted distinct hashes, one text after the other; how many each text has)."""
    padded = [np.pad(some, (0, SHINGLE_WORDS - len(some))) if 0 < len(some) < SHINGLE_WORDS else some for some in words]
    owner = np.repeat(np.arange(len(words), dtype=np.int32), [len(some) for some in padded])
    mixed = np.concatenate([np.zeros(0, np.uint64), *padded])
    mixed += np.uint64(1)
    mixed *= np.uint64(0x9E3779B97F4A7C15)
    mixed ^= mixed >> np.uint64(29)
    num_shingles = max(0, len(mixed) - SHINGLE_WORDS + 1)
    hashes = np.zeros(num_shingles, np.uint64)
    odd = np.random.default_rng(0).integers(1, 2**63, SHINGLE_WORDS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    for offset, factor in enumerate(odd):
        hashes += mixed[offset : offset + num_shingles] * factor
    hashes ^= hashes >> np.uint64(32)
    inside = owner[:num_shingles] == owner[len(owner) - num_shingles :]  # a shingle's first and last word
    hashes, owner = hashes[inside], owner[:num_shingles][inside]
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    first = np.ones(len(hashes), bool)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    return hashes[first], np.bincount(owner[first], minlength=len(words))
