"""Random numbers that depend on the seed and the place they are used."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc import HierdocError
from hierdoc.learning.seeds import check_seed, generator, seed_tensorflow


def draws(*arguments) -> list[int]:
    return generator(*arguments).integers(0, 1_000_000, 5).tolist()


def test_the_same_place_draws_the_same_whatever_was_drawn_before():
    first = draws(0, "finetune epoch", 3)
    np.random.default_rng(0).random(100)
    draws(0, "something else")
    assert draws(0, "finetune epoch", 3) == first


def test_seed_purpose_and_epoch_each_make_other_numbers():
    places = [(0, "finetune epoch", 0), (1, "finetune epoch", 0), (0, "head epoch", 0), (0, "finetune epoch", 1)]
    assert len({tuple(draws(*place)) for place in places}) == len(places)


def test_seed_and_epoch_are_not_added_up():
    assert draws(1, "epoch", 2) != draws(2, "epoch", 1)


def test_seed_tensorflow_repeats_weights_and_dropout():
    from hierdoc.encoders import compat

    tf = compat.load_tensorflow()
    seen = []
    for seed in (7, 7, 8):
        seed_tensorflow(seed)
        kernel = tf.keras.layers.Dense(4)
        kernel.build((None, 3))
        seen.append((kernel.kernel.numpy().tobytes(), tf.nn.dropout(tf.ones(64), 0.5).numpy().tobytes()))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[2][0] and seen[0][1] != seen[2][1]


@pytest.mark.parametrize("seed", [0, 1, 2**32 - 1])
def test_a_seed_that_is_let_through_can_be_used(seed: int):
    check_seed(seed)
    seed_tensorflow(seed)
    draws(seed, "epoch", 0)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int):
    with pytest.raises(HierdocError) as error:
        check_seed(seed)
    assert str(error.value) == f"`seed` must be between 0 and 4294967295, but is {seed} instead"
