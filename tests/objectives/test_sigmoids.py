"""The sigmoid objective: its loss, dev's reading, weights and first bias, each by another way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, log_loss

from hierdoc.objectives import ANY_LABELS, ONE_LABEL, objective_of
from hierdoc.objectives.classification import class_weights, row_weights
from hierdoc.objectives.multi_label import log_odds, micro_f1_and_loss, weighted_loss

LOGITS = np.float32([[2.0, -1.0], [0.5, 0.0], [9.0, 9.0]])
TRUTH = np.array([[True, False], [False, True], [False, False]])


def entropy(logit: float, truth: bool) -> float:
    return math.log1p(math.exp(-logit if truth else logit))


def test_the_loss_is_the_sum_over_labels_and_the_mean_over_the_rows_that_count():
    by_hand = [sum(entropy(float(logit), bool(truth)) for logit, truth in zip(*rows)) for rows in zip(LOGITS, TRUTH)]
    found = float(weighted_loss(LOGITS, TRUTH, np.float32([1, 1, 0])))
    assert found == pytest.approx(sum(by_hand[:2]) / 2, rel=1e-6)
    each = np.float32([[3, 1], [1, 0.5], [0, 0]])
    wanted = 3 * entropy(2, True) + entropy(-1, False) + entropy(0.5, False) + 0.5 * entropy(0, True)
    assert float(weighted_loss(LOGITS, TRUTH, each)) == pytest.approx(wanted / 2, rel=1e-6)


def test_dev_is_read_by_the_micro_f1_of_the_best_single_threshold_and_the_summed_log_loss():
    probs = np.float32([[0.4, 0.1], [0.35, 0.3], [0.2, 0.1]])
    truth = np.array([[True, False], [True, True], [False, False]])
    found, loss = micro_f1_and_loss(probs, truth)
    assert found == f1_score(truth, probs >= 0.25, average="micro") == 1.0
    assert loss == pytest.approx(sum(log_loss(truth[:, at], probs[:, at].astype(float)) for at in range(2)), rel=1e-6)
    assert all(map(math.isnan, micro_f1_and_loss(probs[:0], truth[:0])))


def test_balanced_weighs_rows_with_a_label_as_much_as_rows_without_it():
    truth = np.array([[1, 1], [0, 1], [0, 1], [0, 0]], bool)
    weights = class_weights(truth, 2, balanced=True)
    np.testing.assert_allclose(weights, [3, 1 / 3])
    np.testing.assert_allclose(row_weights(truth, weights), [[3, 1 / 3], [1, 1 / 3], [1, 1 / 3], [1, 1]])
    assert class_weights(truth, 2, balanced=False).tolist() == [1, 1]
    assert class_weights(np.ones((3, 2), bool), 2, balanced=True).tolist() == [1, 1]  # or no label would count


def test_a_sigmoid_begins_at_the_labels_odds():
    truth = np.zeros((98, 2), bool)
    truth[:49, 0] = True
    bias = log_odds(truth)
    assert bias.dtype == np.float32 and bias[0] == 0
    assert ANY_LABELS.probs_of(bias.astype(float))[1] == pytest.approx(1 / 100)
    assert ANY_LABELS.first_bias(truth).tolist() == bias.tolist()
    assert ONE_LABEL.first_bias(np.array([0, 1])) is None


def test_labels_are_given_from_their_thresholds_on_and_a_class_by_its_probability():
    probs = np.array([[0.5, 0.2, 0.1], [0.1, 0.3, 0.2]])
    assert objective_of(True).answers(probs, np.array([0.5, 0.3, 0.2])).tolist() == [[1, 0, 0], [0, 1, 1]]
    assert objective_of(False).answers(probs).tolist() == [0, 1]


def test_sigmoids_of_large_logits_do_not_overflow():
    with np.errstate(all="raise"):
        assert ANY_LABELS.probs_of(np.array([1000.0, 0.0, -700.0])) == pytest.approx([1, 0.5, 0])
