"""Windows cover every token, in order, and none is in vain."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc.chunking.windows import check_window, cut_windows
from hierdoc.errors import HierdocError


@pytest.mark.parametrize(
    ("num_tokens", "chunk_size", "overlap", "expected"),
    [
        (0, 6, 0, [(0, 0)]),
        (1, 6, 0, [(0, 1)]),
        (4, 6, 0, [(0, 4)]),
        (5, 6, 0, [(0, 4), (4, 5)]),
        (8, 6, 0, [(0, 4), (4, 8)]),
        (9, 6, 0, [(0, 4), (4, 8), (8, 9)]),
        (4, 6, 1, [(0, 4)]),
        (5, 6, 1, [(0, 4), (3, 5)]),
        (7, 6, 1, [(0, 4), (3, 7)]),
        (8, 6, 1, [(0, 4), (3, 7), (6, 8)]),
        (6, 6, 3, [(0, 4), (1, 5), (2, 6)]),
        (2, 3, 0, [(0, 1), (1, 2)]),
        (500, 200, 0, [(0, 198), (198, 396), (396, 500)]),
        (500, 200, 50, [(0, 198), (148, 346), (296, 494), (444, 500)]),
        (198, 200, 50, [(0, 198)]),
        (199, 200, 50, [(0, 198), (148, 199)]),
    ],
)
def test_windows_by_hand(num_tokens: int, chunk_size: int, overlap: int, expected: list[tuple[int, int]]):
    assert cut_windows(num_tokens, chunk_size, overlap) == expected


@pytest.mark.parametrize(
    ("chunk_size", "overlap"),
    [
        (3, 0),
        (4, 0),
        (4, 1),
        (7, 0),
        (7, 2),
        (7, 4),
        (12, 3),
        (34, 16),
        (200, 0),
        (200, 50),
        (200, 197),
        (512, 0),
        (512, 100),
    ],
)
def test_for_every_length_windows_rebuild_the_tokens_and_none_is_in_vain(chunk_size: int, overlap: int):
    for num_tokens in range(501):
        tokens = [7 * place + 3 for place in range(num_tokens)]
        windows = cut_windows(num_tokens, chunk_size, overlap)
        pieces = [tokens[start:end] for start, end in windows]
        rebuilt = pieces[0] + [token for piece in pieces[1:] for token in piece[overlap:]]
        assert rebuilt == tokens
        assert windows[0][0] == 0 and windows[-1][1] == num_tokens
        assert all(len(piece) == chunk_size - 2 for piece in pieces[:-1]) and len(pieces[-1]) <= chunk_size - 2
        for (start, end), (next_start, next_end) in zip(windows, windows[1:]):
            assert start < next_start and end < next_end, "a window is contained in its neighbour"
            assert end - next_start == overlap
        count, reached = 1, chunk_size - 2  # a naive count: go on while tokens are left
        while reached < num_tokens:
            count, reached = count + 1, reached + chunk_size - 2 - overlap
        assert len(windows) == count


def ends_after(num_tokens: int, *ends: int) -> np.ndarray:
    """True for the last token of the sentences that end before token `ends`."""
    found = np.zeros(num_tokens, bool)
    found[[end - 1 for end in ends]] = True
    return found


@pytest.mark.parametrize(
    ("num_tokens", "overlap", "ends", "expected"),
    [  # of 8 content tokens, so that the last quarter is 2
        (20, 0, [], [(0, 8), (8, 16), (16, 20)]),
        (20, 0, [8, 16], [(0, 8), (8, 16), (16, 20)]),
        (20, 0, [7], [(0, 7), (7, 15), (15, 20)]),
        (20, 0, [6, 14], [(0, 6), (6, 14), (14, 20)]),
        (20, 0, [5, 9], [(0, 8), (8, 16), (16, 20)]),
        (20, 0, [6, 7, 14, 15], [(0, 7), (7, 15), (15, 20)]),
        (20, 3, [7, 11, 19], [(0, 7), (4, 11), (8, 16), (13, 20)]),
        (20, 6, [6, 7], [(0, 7), (1, 9), (3, 11), (5, 13), (7, 15), (9, 17), (11, 19), (13, 20)]),
        (10, 7, [6, 7], [(0, 8), (1, 9), (2, 10)]),  # a cut at 7 would begin again at 0
        (8, 0, [7], [(0, 8)]),
        (0, 0, [], [(0, 0)]),
    ],
)
def test_windows_end_at_the_last_sentence_end_in_their_last_quarter(num_tokens, overlap, ends, expected):
    assert cut_windows(num_tokens, 10, overlap, ends_after(num_tokens, *ends)) == expected


@pytest.mark.parametrize("density", [0.0, 0.05, 0.3, 1.0])
def test_windows_that_respect_sentences_rebuild_the_tokens_and_end_where_a_naive_search_does(density: float):
    rng = np.random.default_rng(int(density * 100))
    for _ in range(300):
        chunk_size = int(rng.integers(3, 40))
        overlap, num_tokens = int(rng.integers(0, chunk_size - 2)), int(rng.integers(0, 300))
        ends = rng.random(num_tokens) < density
        windows = cut_windows(num_tokens, chunk_size, overlap, ends)
        if not density:
            assert windows == cut_windows(num_tokens, chunk_size, overlap)
        body = chunk_size - 2
        covered = list(range(*windows[0]))
        for (start, end), (next_start, next_end) in zip(windows, windows[1:]):
            assert next_start == end - overlap > start and next_end > end
            covered += range(end, next_end)
            possible = [at for at in range(start + body, start + body - body // 4 - 1, -1) if at - overlap > start]
            assert end == next((at for at in possible if ends[at - 1]), start + body)
        assert covered == list(range(num_tokens))
        assert all(end - start <= body for start, end in windows)


@pytest.mark.parametrize(
    ("chunk_size", "overlap", "max_chunks", "message"),
    [
        (2, 0, None, "`chunk_size` must be between 3 and 512 (the encoder's positions), but is 2 instead"),
        (-1, 0, None, "`chunk_size` must be between 3 and 512 (the encoder's positions), but is -1 instead"),
        (513, 0, None, "`chunk_size` must be between 3 and 512 (the encoder's positions), but is 513 instead"),
        (200, 198, None, "`overlap` must be at least 0 and less than `chunk_size` - 2 (198), but is 198 instead"),
        (200, 200, None, "`overlap` must be at least 0 and less than `chunk_size` - 2 (198), but is 200 instead"),
        (200, -1, None, "`overlap` must be at least 0 and less than `chunk_size` - 2 (198), but is -1 instead"),
        (3, 1, None, "`overlap` must be at least 0 and less than `chunk_size` - 2 (1), but is 1 instead"),
        (200, 0, 0, "`max_chunks` must be at least 1, but is 0 instead"),
        (200, 0, -3, "`max_chunks` must be at least 1, but is -3 instead"),
    ],
)
def test_a_window_out_of_range_is_refused_with_the_value(chunk_size, overlap, max_chunks, message: str):
    with pytest.raises(HierdocError) as error:
        check_window(chunk_size, overlap, max_chunks, max_positions=512)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("chunk_size", "overlap", "max_chunks"), [(3, 0, None), (512, 509, 1), (200, 197, 7), (200, 0, None)]
)
def test_the_last_values_in_range_are_taken(chunk_size: int, overlap: int, max_chunks: int | None):
    check_window(chunk_size, overlap, max_chunks, max_positions=512)
