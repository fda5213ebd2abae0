"""A long text in segments that make the same tokens as the whole."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from hierdoc.chunking.stand_ins import IDEOGRAPHS

SEGMENT_CHARS = 50_000
# Each is a token of its own or none, and what stands before it does not change what becomes of what stands after it. The
# dot, the colon, the apostrophe, ^ and ` are not among them: they are looked past to see whether a Σ ends its word.
_BREAK = re.compile(rf"[ \n!\"#$%&()*+,\-/;<=>?@\[\\\]_{{|}}~、。，{IDEOGRAPHS}]")
_KEPT = 1000  # letters kept of a longer run: more than a word may have that is not [UNK]
_RUN = re.compile("[0-9A-Za-z]+")


def cut_segments(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (begin, end) of pieces of about 50,000 characters that end before a space, a line end or the like."""
    begin = 0
    while begin < len(text):
        end = begin + SEGMENT_CHARS
        if end < len(text):
            found = _BREAK.search(text, end)
            end = found.start() if found else len(text)
        yield begin, min(end, len(text))
        begin = end


def shorten(segment: str) -> tuple[str, np.ndarray]:
    """Return (the segment, what was left out of it): of a segment that has grown long, long runs of letters and digits
    lose their middle. Such a run is (part of) one word, which is [UNK] either way.

    What was left out is int64 (K, 2): where in the shortened segment, and how many characters.
    """
    if len(segment) <= 2 * SEGMENT_CHARS:
        return segment, np.zeros((0, 2), np.int64)
    parts, left_out, begin, length = [], [], 0, 0
    for run in _RUN.finditer(segment):
        first, last = run.start() + _KEPT, run.end() - 1
        if first < last:
            parts.append(segment[begin:first])
            length += first - begin
            left_out.append((length, last - first))
            begin = last
    return "".join([*parts, segment[begin:]]), np.asarray(left_out, np.int64).reshape(-1, 2)


def original_offsets(offsets: np.ndarray, left_out: np.ndarray) -> np.ndarray:
    """Return offsets (any shape) into a shortened segment as offsets into the segment itself."""
    if not len(left_out):
        return offsets
    total = np.concatenate([[0], left_out[:, 1].cumsum()])
    return (offsets + total[np.searchsorted(left_out[:, 0], offsets)]).astype(offsets.dtype)
