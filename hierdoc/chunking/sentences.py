"""Where sentences end, simply: good enough to choose a place to cut, not to count sentences."""

from __future__ import annotations

import re

import numpy as np

_CLOSERS = "\"'”’»›)\\]}」』）】》"
_END = re.compile(
    rf"(?<![.!?…])(?:(?<!\b[^\W\d_])\.|[!?…])[.!?…]*[{_CLOSERS}]*(?=\s|$)"  # after a single letter a dot is no end
    rf"|[。！？][。！？]*[{_CLOSERS}]*"
    r"|\n[^\S\n]*\n",
    re.MULTILINE,
)


def sentence_ends(text: str, char_starts: np.ndarray, char_ends: np.ndarray) -> np.ndarray:
    """Return bool (T,): whether a sentence ends after the token, for the T tokens at these places of `text`.

    A sentence ends at . ! ? or … with closing quotes and brackets when white space or the end follows, at 。！？ with the
    same whatever follows, and at a blank line. The dot in 3.14 is none, nor is that after a single letter (J. Smith,
    e.g.); that of an abbreviation such as Dr. is taken for one.
    """
    ends = np.zeros(len(char_ends), bool)
    if not len(ends):
        return ends
    places = np.fromiter((found.end() for found in _END.finditer(text)), np.int64)
    before = np.searchsorted(char_ends, places, "right") - 1
    inside = (before + 1 < len(char_starts)) & (char_starts[np.minimum(before + 1, len(char_starts) - 1)] < places)
    ends[before[(before >= 0) & ~inside]] = True
    return ends
