"""Calibration by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hierdoc.evaluation.calibration import log_loss, reliability
from hierdoc.evaluation.scores import scores


def test_the_error_is_the_gap_of_each_bin_weighted_by_its_documents():
    # 15 bins: (0, 1/15] ... (14/15, 1]; 0.5 and 0.52 are in the 8th, 0.95 and 1.0 in the 15th
    found = reliability(np.array([0.5, 0.52, 0.95, 1.0, 1.0]), np.array([True, False, True, True, False]))
    assert found.counts.tolist() == [0] * 7 + [2] + [0] * 6 + [3]
    assert found.confidence[7] == pytest.approx(0.51) and found.accuracy[7] == 0.5
    assert found.confidence[14] == pytest.approx(2.95 / 3) and found.accuracy[14] == pytest.approx(2 / 3)
    assert np.isnan(found.accuracy[0])
    assert found.error == pytest.approx(0.4 * 0.01 + 0.6 * (2.95 - 2) / 3)


def test_a_bins_end_belongs_to_it():
    assert reliability(np.array([1 / 15, 2 / 15, 0.0]), np.ones(3, bool)).counts[:3].tolist() == [2, 1, 0]


def test_who_is_always_sure_and_right_has_no_error():
    assert reliability(np.ones(4), np.ones(4, bool)).error == 0
    assert reliability(np.ones(4), np.zeros(4, bool)).error == 1


def test_the_log_loss_is_in_nats_and_bounded():
    assert log_loss(np.array([1.0, 0.5])) == pytest.approx(math.log(2) / 2)
    assert log_loss(np.array([0.0])) == pytest.approx(16)


def test_scores_say_nothing_of_calibration_where_there_are_no_probabilities():
    truth, chunks = np.array([0, 1, -1]), np.array([1, 2, 3])
    probs = np.array([[0.75, 0.25], [0.25, 0.75], [0.5, 0.5]])
    found = scores(truth, np.array([0, 0, 1]), probs, chunks, ["a", "b"])
    assert found["document_accuracy"] == pytest.approx(1 / 3)
    # the named classes have 0.75, 0.25 and 0.5; right is the first alone
    assert found["expected_calibration_error"] == pytest.approx((0.25 + 0.25 + 0.5) / 3)
    assert found["log_loss"] == pytest.approx((-math.log(0.75) - math.log(0.75) + 16) / 3)
    without = scores(truth, np.array([0, 0, 1]), np.full((3, 2), np.nan), chunks, ["a", "b"])
    assert {**found, **without} == found and "log_loss" not in without
