"""Dropout whose mask follows from a step's seed alone, so that a training can go on from the middle.

Keras' own draws from a state inside TensorFlow's kernels, which can't be saved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from hierdoc.encoders import compat

_PLACES = 4096  # more than the places in one network where dropout acts
_LEVELS = 2**8


def dropout(inputs: Any, rate: float, seed: Any, place: int) -> Any:
    """Return `inputs` with about `rate` of the numbers set to 0 and the others scaled up (Srivastava et al. 2014).

    The rate is rounded to a multiple of 2**-8 between 0 and 1 (0.1 to 0.1016): four numbers are decided by one draw of 32 bits, since drawing
    is what takes the time.

    Args:
        inputs: float32, of any shape.
        rate: from 0 to below 1.
        seed: int64 (2,): the training's seed and the number of the step.
        place: where in the network this is, below 4096; each place has a mask of its own.
    """
    if rate == 0:
        return inputs
    tf = compat.load_tensorflow()
    dropped = min(max(round(rate * _LEVELS), 1), _LEVELS - 1)
    size = tf.size(inputs)
    draws = tf.random.stateless_uniform(
        [(size + 3) // 4], [seed[0], seed[1] * _PLACES + place], None, None, tf.int32, alg="philox"
    )
    levels = tf.reshape(tf.reshape(tf.bitcast(draws, tf.int8), [-1])[:size], tf.shape(inputs))
    kept = tf.cast(levels >= dropped - _LEVELS // 2, tf.float32)
    return inputs * (kept / (1 - dropped / _LEVELS))


class DropoutLayers:
    """What stands where bert-for-tf2 has Keras' dropout layers; outside of `by` nothing is dropped."""

    def __init__(self, layer: Any):
        """Put seeded dropout in the place of every Keras dropout layer under `layer`, a built bert-for-tf2 layer."""
        keras = compat.load_tensorflow().keras
        self._seed: Any = None
        self.num_places = 0
        for sublayer in list(layer._flatten_layers()):
            for name in ("dropout_layer", "dropout"):  # as bert-for-tf2 0.14.9 calls them
                if isinstance(getattr(sublayer, name, None), keras.layers.Dropout):
                    setattr(sublayer, name, self._at(getattr(sublayer, name).rate, self.num_places))
                    self.num_places += 1

    @contextlib.contextmanager
    def by(self, seed: Any) -> Iterator[None]:
        """Drop by this seed (see `dropout`) in what is traced inside the block; None drops nothing."""
        self._seed = seed
        try:
            yield
        finally:
            self._seed = None

    def _at(self, rate: float, place: int) -> Any:
        return lambda inputs, training=None: inputs if self._seed is None else dropout(inputs, rate, self._seed, place)
