"""Random numbers that depend on the seed and the place they are used, not on what ran before."""

from __future__ import annotations

import zlib

import numpy as np

from hierdoc.encoders import compat
from hierdoc.errors import HierdocError


def check_seed(seed: int) -> None:
    """Check a seed.

    Raises:
        HierdocError: it is not between 0 and 2**32 - 1, which is what NumPy's older generator takes.
    """
    if not 0 <= seed < 2**32:
        raise HierdocError(f"`seed` must be between 0 and 4294967295, but is {seed} instead")


def generator(seed: int, purpose: str, *numbers: int) -> np.random.Generator:
    """Return a generator for one purpose, such as an epoch's order."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode()), *numbers])


def seed_tensorflow(seed: int) -> None:
    """Seed initial weights and dropout, as if TensorFlow had just started."""
    compat.load_tensorflow().keras.utils.set_random_seed(seed)
