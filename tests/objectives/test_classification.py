"""The chunk head, its loss, and the weights of rare classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from hierdoc.objectives import ANY_LABELS, ONE_LABEL
from hierdoc.objectives.classification import (
    ChunkHead,
    accuracy_and_loss,
    chunk_probs,
    class_weights,
    softmax,
    weighted_loss,
)

LOGITS = [[2.0, 0.5, -1.0], [0.0, 0.0, 3.0], [-4.0, 1.0, 1.0], [5.0, -5.0, 0.0]]


def cross_entropy(logits: list[float], label: int) -> float:
    """-log softmax, one number at a time."""
    return math.log(sum(math.exp(value) for value in logits)) - logits[label]


@pytest.mark.parametrize(
    ("labels", "weights"),
    [
        ([0, 1, 2, 0], [1.0, 1.0, 1.0, 1.0]),
        ([0, 1, 2, 0], [0.5, 2.0, 3.0, 0.25]),
        ([0, 1, 0, 0], [1.0, 1.0, 0.0, 0.0]),
        ([2, 0, 0, 0], [2.5, 0.0, 0.0, 0.0]),
    ],
)
def test_the_loss_is_the_weighted_sum_over_the_rows_that_count(labels: list[int], weights: list[float]):
    total = sum(weight * cross_entropy(row, label) for row, label, weight in zip(LOGITS, labels, weights, strict=True))
    wanted = total / sum(weight > 0 for weight in weights)
    found = float(weighted_loss(np.float32(LOGITS), np.int32(labels), np.float32(weights)))
    assert found == pytest.approx(wanted, rel=1e-6)  # float32


def test_rows_of_weight_0_change_neither_the_loss_nor_its_gradient():
    from hierdoc.encoders import compat

    tf = compat.load_tensorflow()
    results = []
    for filler in ([0.0, 0.0, 0.0], [1e4, -1e4, 7.0]):
        logits = tf.Variable([*LOGITS[:2], filler], dtype=tf.float32)
        with tf.GradientTape() as tape:
            loss = weighted_loss(logits, np.int32([0, 1, 0]), np.float32([1, 1, 0]))
        results.append((float(loss), tape.gradient(loss, logits).numpy()))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])
    assert (results[0][1][2] == 0).all() and (results[0][1][:2] != 0).all()


@pytest.mark.parametrize("labels", [[0, 0, 0, 1, 2, 2], [1, 0, 1, 1, 1, 1, 2, 0]])
def test_balanced_class_weights_are_scikit_learns(labels: list[int]):
    found = class_weights(np.int32(labels), 3, balanced=True)
    assert found.dtype == np.float32
    wanted = compute_class_weight("balanced", classes=np.arange(3), y=np.array(labels))
    np.testing.assert_allclose(found, wanted, rtol=1e-7)  # one rounding to float32


def test_class_weights_are_ones_unless_balanced_is_asked_for():
    assert class_weights(np.int32([0, 0, 0, 1]), 3, balanced=False).tolist() == [1, 1, 1]


def test_a_class_without_rows_has_weight_0():
    assert class_weights(np.int32([0, 0, 0, 2]), 3, balanced=True).tolist() == pytest.approx([4 / 9, 0, 4 / 3])


@pytest.mark.parametrize("probs_of", [chunk_probs, ONE_LABEL.chunk_probs])
def test_chunk_probs_is_the_softmax_of_a_dense_layer(probs_of):
    vectors = np.float32([[1.0, 2.0], [-1.0, 0.5]])
    head = {"kernel": np.float32([[1.0, 0.0, -1.0], [0.5, 1.0, 2.0]]), "bias": np.float32([0.1, -0.2, 0.3])}
    logits = [[2.1, 1.8, 3.3], [-0.65, 0.3, 2.3]]  # by hand
    wanted = [[math.exp(value) / sum(map(math.exp, row)) for value in row] for row in logits]
    found = probs_of(vectors, head)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, rtol=1e-6)  # inputs such as 0.1 are rounded to float32


@pytest.mark.parametrize("probs_of", [chunk_probs, ONE_LABEL.chunk_probs, ANY_LABELS.chunk_probs])
def test_a_chunks_probabilities_are_the_same_bits_in_any_company(probs_of):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(300, 384)).astype(np.float32)
    head = {"kernel": rng.normal(size=(384, 7)).astype(np.float32), "bias": rng.normal(size=7).astype(np.float32)}
    whole = probs_of(vectors, head)
    for rows in (slice(0, 1), slice(17, 18), slice(5, 8), slice(100, 300)):
        np.testing.assert_array_equal(probs_of(vectors[rows], head), whole[rows])


def test_softmax_of_large_logits_neither_overflows_nor_loses_its_sum():
    found = softmax(np.array([[1000.0, 999.0, -1000.0], [-1e30, 0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.7310585786, 0.2689414214, 0], [0, 0.5, 0.5]], rtol=1e-9)


PROBS = np.float32([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.3, 0.6, 0.1], [0.5, 0.4, 0.1]])


def test_accuracy_and_loss_by_hand():
    accuracy, loss = accuracy_and_loss(PROBS, np.int32([0, 2, 0, 1]))
    assert accuracy == 0.5
    assert loss == pytest.approx(-(math.log(0.7) + math.log(0.8) + math.log(0.3) + math.log(0.4)) / 4, rel=1e-6)


def test_a_row_of_an_unseen_class_is_wrong_and_not_in_the_loss():
    accuracy, loss = accuracy_and_loss(PROBS, np.int32([0, -1, 1, -1]))
    assert accuracy == 0.5
    assert loss == pytest.approx(-(math.log(0.7) + math.log(0.6)) / 2, rel=1e-6)


def test_rows_of_unseen_classes_alone_have_accuracy_0_and_a_loss_of_0():
    assert accuracy_and_loss(PROBS, np.int32([-1, -1, -1, -1])) == (0.0, 0.0)


def test_without_rows_there_is_neither_accuracy_nor_loss():
    assert all(map(math.isnan, accuracy_and_loss(np.zeros((0, 3), np.float32), np.zeros(0, np.int32))))


def test_a_probability_of_0_for_the_true_class_leaves_the_loss_finite():
    assert accuracy_and_loss(np.float32([[1, 0]]), np.int32([1])) == (0.0, pytest.approx(-math.log(1e-12)))


def test_the_chunk_heads_logits_are_a_dense_layers_and_its_dropout_acts_in_training_only():
    head = ChunkHead(dim=400, num_classes=3, dropout_rate=0.2, seed=1)
    vectors = np.ones((5, 400), np.float32)
    head.kernel.assign(np.random.default_rng(0).normal(size=(400, 3)))
    head.bias.assign([1.0, 2.0, 3.0])
    kernel = head.kernel.numpy().astype(np.float64)
    # float32 sums of 400 numbers of size 1
    np.testing.assert_allclose(head(vectors).numpy(), np.tile(kernel.sum(axis=0) + [1, 2, 3], (5, 1)), atol=1e-4)
    first, again, second = (head(vectors, dropout_seed=[1, step]).numpy() for step in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != second).any() and (first != head(vectors).numpy()).any()


def test_the_chunk_heads_dropout_rate_is_a_fifth():
    head = ChunkHead(dim=100_000, num_classes=1)
    head.kernel.assign(np.ones((100_000, 1)))
    (total,) = head(np.ones((1, 100_000), np.float32), dropout_seed=[0, 0]).numpy()[0]
    # each of 100,000 ones stays with chance 0.8 and is then 1.25: a deviation of 1.25 sqrt(100,000 * 0.16) = 158
    assert abs(total - 100_000) < 5 * 158 and total != 100_000


def test_the_chunk_head_starts_small_and_unbiased_and_depends_on_its_seed():
    first, same, other = (ChunkHead(300, 10, seed=seed).arrays() for seed in (3, 3, 4))
    np.testing.assert_array_equal(first["kernel"], same["kernel"])
    assert (first["kernel"] != other["kernel"]).any()
    assert (first["bias"] == 0).all() and first["bias"].shape == (10,)
    # a normal distribution of deviation 0.02 cut at 0.04 has 0.88 of its deviation
    assert np.abs(first["kernel"]).max() <= 0.04 and first["kernel"].std() == pytest.approx(0.0176, rel=0.05)
