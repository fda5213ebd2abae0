"""Characters that the `tokenizers` package treats otherwise than Google's original tokenizer does."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

IDEOGRAPHS = (  # each is a word of its own; for a character class
    "\u4e00-\u9fff\u3400-\u4dbf\U00020000-\U0002a6df\U0002a700-\U0002b73f\U0002b740-\U0002b81f\U0002b820-\U0002ceaf"
    "\uf900-\ufaff\U0002f800-\U0002fa1f"
)
_IDEOGRAPH = re.compile(f"[{IDEOGRAPHS}]")


class StandIns(dict[int, str]):
    """For `str.translate`: each character, or one that the `tokenizers` package treats as Google's code treats it.

    The package (0.23) has Unicode tables of 2015, drops private-use characters and leaves 256 ideographs (U+2B820 on) in
    their words; Google's code asks `unicodedata`.
    """

    def __init__(self, tokenizer: Any, vocab: Mapping[str, int], lower_case: bool):
        super().__init__()
        self._normalize = tokenizer.normalizer.normalize_str
        self._split = tokenizer.pre_tokenizer.pre_tokenize_str
        self._lower_case = lower_case
        used = set("".join(vocab))
        self._letter = next(char for char in map(chr, range(0x13000, 0x13430)) if char not in used)  # hieroglyphs
        self._mark = next(char for char in "⸘⁂‴‱⁗⸎⸙" if char not in used)

    def __missing__(self, code: int) -> str:
        char = chr(code)
        words = self._words(char)
        theirs = [word for word, _ in self._split(self._normalize(f"a{char}b"))]
        if words == theirs:
            stand_in = char
        elif words == ["ab"]:
            stand_in = "\u00ad"  # a soft hyphen is dropped
        else:
            stand_in = self._letter if len(words) == 1 else self._mark
        self[code] = stand_in
        return stand_in

    def _words(self, char: str) -> list[str]:
        """Return the words that Google's BasicTokenizer makes of a, `char`, b."""
        category = unicodedata.category(char)
        if char in "\t\n\r" or category in ("Zs", "Zl", "Zp"):
            return ["a", "b"]
        if char in "\0\ufffd" or category in ("Cc", "Cf"):
            return ["ab"]
        known = char
        if self._lower_case:
            parts = unicodedata.normalize("NFD", char.lower())
            known = "".join(part for part in parts if unicodedata.category(part) != "Mn")
        if _IDEOGRAPH.match(char) or _is_punctuation(known):  # a letter may lose a mark and be punctuation: ≠ is =
            return ["a", known, "b"]
        return [f"a{known}b"]


def _is_punctuation(char: str) -> bool:
    return len(char) == 1 and (
        unicodedata.category(char).startswith("P") or (char.isascii() and char.isprintable() and not char.isalnum())
    )
