"""Dropout that follows from the step's seed alone."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc.encoders import compat
from hierdoc.encoders.dropout import dropout


def dropped(rate: float, seed: tuple[int, int] = (0, 0), place: int = 0, shape=(100_000,)) -> np.ndarray:
    """What is left of ones."""
    return dropout(np.ones(shape, np.float32), rate, seed, place).numpy()


@pytest.mark.parametrize(
    ("rate", "in_use"), [(0.1, 26 / 256), (0.2, 51 / 256), (0.5, 0.5), (1e-4, 1 / 256), (0.9999, 255 / 256)]
)
def test_about_the_rate_is_dropped_and_the_rest_is_scaled_up(rate: float, in_use: float):
    left = dropped(rate)
    survivors = left[left != 0]
    # a binomial count has a deviation of sqrt(100,000 * rate * (1 - rate)); the rate in use is a multiple of 2**-8
    assert abs(len(survivors) - 100_000 * (1 - in_use)) < 5 * (100_000 * in_use * (1 - in_use)) ** 0.5
    assert len(set(survivors.tolist())) == 1
    assert survivors[0] == pytest.approx(1 / (1 - in_use), rel=1e-6)


def test_the_same_step_and_place_have_the_same_mask_and_others_another():
    places = [((0, 0), 0), ((1, 0), 0), ((0, 1), 0), ((0, 0), 1), ((0, 1), 1), ((1, 1), 4095), ((0, 2**40), 0)]
    masks = [(dropped(0.5, seed, place, (64,)) != 0).tobytes() for seed, place in places]
    assert len(set(masks)) == len(places)
    assert [(dropped(0.5, seed, place, (64,)) != 0).tobytes() for seed, place in places] == masks


def test_neighbours_are_decided_independently():
    mask = dropped(0.5) != 0
    for distance in (1, 2, 3, 4, 5):  # four neighbours come from one draw
        agreeing = (mask[:-distance] == mask[distance:]).mean()
        assert abs(agreeing - 0.5) < 5 * 0.5 / len(mask) ** 0.5


@pytest.mark.parametrize("shape", [(0,), (1,), (3,), (2, 3, 5), (1, 1)])
def test_any_shape_is_kept(shape: tuple[int, ...]):
    assert dropped(0.1, shape=shape).shape == shape


def test_rate_0_changes_nothing():
    inputs = np.float32([[1.5, -2.0]])
    assert dropout(inputs, 0.0, (0, 0), 0) is inputs


def test_in_a_graph_the_mask_is_the_same_as_outside_and_gradients_pass_where_it_does():
    tf = compat.load_tensorflow()
    inputs = tf.Variable(tf.ones(1000))

    @tf.function
    def gradient(seed):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(dropout(inputs, 0.1, seed, 2))
        return tape.gradient(total, inputs)

    np.testing.assert_array_equal(gradient(tf.constant([4, 9], tf.int64)).numpy(), dropped(0.1, (4, 9), 2, (1000,)))
