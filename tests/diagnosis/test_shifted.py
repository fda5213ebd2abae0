"""Labels some places off, on answers made by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc.diagnosis.shifted import find_shift

ANSWERS = np.random.default_rng(0).integers(0, 4, 60)


@pytest.mark.parametrize(
    ("labels", "places", "begin"),
    [
        (np.roll(ANSWERS, 1), 1, 0),
        (np.roll(ANSWERS, -2), -2, 0),
        (ANSWERS[::-1], 0, 0),
        (np.concatenate([ANSWERS[:20], np.roll(ANSWERS[20:], 1)]), 1, 20),
    ],
)
def test_a_shift_is_found_with_where_it_begins(labels: np.ndarray, places: int, begin: int):
    found = find_shift(labels, ANSWERS)
    assert (found.places, found.p < 1e-4) == (places, True) and abs(found.begin - begin) <= 2
    assert found.after > 0.95 and found.gained > 20 and found.lost <= 1


@pytest.mark.parametrize(
    "labels", [ANSWERS, np.random.default_rng(1).integers(0, 4, 60), np.sort(ANSWERS)], ids=["right", "any", "sorted"]
)
def test_labels_in_their_places_and_labels_without_one_have_no_shift(labels: np.ndarray):
    answers = np.sort(ANSWERS) if (labels == np.sort(ANSWERS)).all() else ANSWERS
    assert find_shift(labels, answers).p > 0.01
