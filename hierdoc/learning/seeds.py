"""Random numbers that depend on the seed and the place they are used, not on what ran before."""

from __future__ import annotations

import zlib

import numpy as np

from hierdoc.encoders import compat


def generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return a generator for one purpose, such as an epoch's order."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *numbers])


def seed_tensorflow(seed: int) -> None:
    """Seed initial weights and dropout, as if TensorFlow had just started."""
    compat.load_tensorflow().keras.utils.set_random_seed(seed)
