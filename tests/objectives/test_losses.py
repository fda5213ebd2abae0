"""Focal loss, smoothed labels and R-Drop's disagreement, one number at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hierdoc.encoders import compat
from hierdoc.objectives import ANY_LABELS, ONE_LABEL
from hierdoc.objectives.losses import disagreement, make_loss

LOGITS = np.float32([[2.0, 0.5, -1.0], [0.0, 0.3, 3.0], [-4.0, 1.0, 1.0], [9.0, 9.0, -9.0]])
CLASSES = np.int32([0, 1, 2, 0])
LABELS = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 0], [1, 1, 1]], bool)
WEIGHTS = np.float32([1.0, 2.5, 0.5, 0.0])


def softmax(row: list[float]) -> list[float]:
    return [math.exp(one) / sum(map(math.exp, row)) for one in row]


def sigmoid(one: float) -> float:
    return 1 / (1 + math.exp(-one))


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_classes_is_the_formula(gamma: float, smoothing: float):
    total = 0.0
    for row, true, weight in zip(LOGITS.tolist(), CLASSES, WEIGHTS.tolist()):
        for at, p in enumerate(softmax(row)):
            target = smoothing / 3 + (1 - smoothing) * (at == true)
            total -= weight * target * (1 - p) ** gamma * math.log(p)
    found = float(make_loss(ONE_LABEL, gamma, smoothing)(LOGITS, CLASSES, WEIGHTS))
    assert found == pytest.approx(total / 3, rel=1e-5)  # float32


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("by_label", [False, True])
def test_the_loss_of_labels_is_the_formula(gamma: float, smoothing: float, by_label: bool):
    weights = np.where(LABELS, 3, 1) * WEIGHTS[:, None] if by_label else np.tile(WEIGHTS[:, None], 3)
    total = 0.0
    for row, truth, its in zip(LOGITS.tolist(), LABELS, weights.tolist()):
        for logit, is_true, weight in zip(row, truth, its):
            p, target = sigmoid(logit), smoothing / 2 + (1 - smoothing) * bool(is_true)
            total -= weight * target * (1 - p) ** gamma * math.log(p)
            total -= weight * (1 - target) * p**gamma * math.log(1 - p)
    given = np.float32(weights) if by_label else WEIGHTS
    found = float(make_loss(ANY_LABELS, gamma, smoothing)(LOGITS, LABELS, given))
    assert found == pytest.approx(total / 3, rel=1e-5)


def test_without_either_it_is_the_objectives_own_loss():
    assert make_loss(ONE_LABEL) is ONE_LABEL.loss and make_loss(ANY_LABELS) is ANY_LABELS.loss


@pytest.mark.parametrize("objective", [ONE_LABEL, ANY_LABELS], ids=["classes", "labels"])
def test_an_answer_that_is_sure_has_a_loss_and_a_gradient_that_are_numbers(objective):
    tf = compat.load_tensorflow()
    logits = tf.Variable([[200.0, -200.0, 0.0]])
    truth = np.int32([0]) if objective is ONE_LABEL else np.array([[True, False, False]])
    with tf.GradientTape() as tape:
        loss = make_loss(objective, 0.5, 0.1)(logits, truth, np.float32([1]))
    assert np.isfinite(float(loss)) and np.isfinite(tape.gradient(loss, logits).numpy()).all()


def test_the_disagreement_is_half_of_both_divergences():
    other = LOGITS[::-1].copy()
    total = 0.0
    for one, two in zip(LOGITS[:3].tolist(), other[:3].tolist()):
        p, q = softmax(one), softmax(two)
        total += sum(a * math.log(a / b) + b * math.log(b / a) for a, b in zip(p, q)) / 2
    assert float(disagreement(ONE_LABEL, LOGITS, other, WEIGHTS)) == pytest.approx(total / 3, rel=1e-5)
    total = 0.0
    for one, two in zip(LOGITS[:3].tolist(), other[:3].tolist()):
        for a, b in ((sigmoid(x), sigmoid(y)) for x, y in zip(one, two)):
            for p, q in ((a, b), (1 - a, 1 - b)):
                total += (p * math.log(p / q) + q * math.log(q / p)) / 2
    assert float(disagreement(ANY_LABELS, LOGITS, other, WEIGHTS)) == pytest.approx(total / 3, rel=1e-4)
    assert float(disagreement(ONE_LABEL, LOGITS, LOGITS, WEIGHTS)) == 0
