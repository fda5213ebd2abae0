"""From a document's token ids to windows of a fixed size: pure arithmetic."""

from __future__ import annotations

import numpy as np

from hierdoc.errors import HierdocError

NUM_SPECIAL = 2  # [CLS] and [SEP] stand in every window


def check_window(chunk_size: int, overlap: int, max_chunks: int | None, max_positions: int) -> None:
    """Check what cuts a document.

    Args:
        chunk_size: tokens of a window, [CLS] and [SEP] included.
        overlap: tokens that neighbours share.
        max_chunks: windows kept of one document, the first ones; None keeps all.
        max_positions: the longest sequence that the encoder reads.

    Raises:
        HierdocError: one of them is out of range.
    """
    if not NUM_SPECIAL < chunk_size <= max_positions:
        raise HierdocError(
            f"`chunk_size` must be between {NUM_SPECIAL + 1} and {max_positions} (the encoder's positions), "
            f"but is {chunk_size} instead"
        )
    if not 0 <= overlap < chunk_size - NUM_SPECIAL:
        raise HierdocError(
            f"`overlap` must be at least 0 and less than `chunk_size` - {NUM_SPECIAL} ({chunk_size - NUM_SPECIAL}), "
            f"but is {overlap} instead"
        )
    if max_chunks is not None and max_chunks < 1:
        raise HierdocError(f"`max_chunks` must be at least 1, but is {max_chunks} instead")


def cut_windows(
    num_tokens: int, chunk_size: int, overlap: int, sentence_ends: np.ndarray | None = None
) -> list[tuple[int, int]]:
    """Return the (start, end) of each window over `num_tokens` content tokens, in order.

    A window holds up to `chunk_size` - 2 content tokens and starts `chunk_size` - 2 - `overlap` after the one before
    it. The last window ends at the last token, so no window repeats only what its neighbour has. No tokens make one
    empty window: every document has a chunk.

    With `sentence_ends`, bool (num_tokens,), True = a sentence ends after this token, a window ends at the last sentence
    end in its last quarter, if there is one; the next still starts `overlap` tokens before that.

    Pappagari et al. 2019 (Hierarchical Transformers for Long Document Classification) cut 200 tokens with an
    overlap of 50; hierdoc's default overlap is 0.
    """
    body = chunk_size - NUM_SPECIAL
    if sentence_ends is not None:
        return _cut_at_sentences(num_tokens, body, overlap, np.flatnonzero(sentence_ends) + 1)
    step = body - overlap
    num_windows = 1 if num_tokens <= body else 1 + -(-(num_tokens - body) // step)
    return [(index * step, min(index * step + body, num_tokens)) for index in range(num_windows)]


def _cut_at_sentences(num_tokens: int, body: int, overlap: int, ends: np.ndarray) -> list[tuple[int, int]]:
    windows = [(0, min(body, num_tokens))]
    while True:
        start, end = windows[-1]
        if end == num_tokens:
            return windows
        last = int(ends[np.searchsorted(ends, end, "right") - 1]) if len(ends) else 0
        if last >= end - body // 4 and last - overlap > start and last <= end:
            windows[-1] = start, last
        start = windows[-1][1] - overlap
        windows.append((start, min(start + body, num_tokens)))
