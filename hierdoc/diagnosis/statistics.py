"""How likely chance is: binomial tails and intervals, entropy, and the way back from a permutation test."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

from hierdoc.diagnosis.thresholds import NUM_PERMUTATIONS
from hierdoc.evaluation.significance import wilson


@dataclass(frozen=True)
class Rate:
    """A share of right answers.

    Attributes:
        accuracy: the share.
        num: of answers.
        num_documents: that they are about; tests count documents, because a document's chunks are right or wrong together.
        source: where it was read, for people.
    """

    accuracy: float
    num: int
    num_documents: int
    source: str = ""

    @property
    def hits(self) -> int:
        """Right documents, of `num_documents`."""
        return round(self.accuracy * self.num_documents)

    def above(self, rate: float) -> float:
        """Return how likely so many right answers or more are where the true rate is `rate`."""
        return at_least(self.hits, self.num_documents, rate)

    def below(self, rate: float) -> float:
        """Return how likely so few right answers or fewer are where the true rate is `rate`."""
        return at_most(self.hits, self.num_documents, rate)

    def interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the true rate (Wilson 1927)."""
        if not self.num_documents:
            return 0.0, 1.0
        found = wilson(self.accuracy, self.num_documents)
        return max(0.0, found.low), min(1.0, found.high)


def at_least(hits: int, num: int, rate: float) -> float:
    """Return the probability of `hits` or more of `num` at `rate`."""
    return at_most(num - hits, num, 1 - rate)


def at_most(hits: int, num: int, rate: float) -> float:
    """Return the probability of `hits` or fewer of `num` at `rate`."""
    if hits >= num or rate <= 0:
        return 1.0
    if hits < 0 or rate >= 1:
        return 0.0
    return float(bdtr(hits, num, rate))


def shares(ids: np.ndarray) -> np.ndarray:
    """Return the share of each distinct id, float64, in the order of the ids."""
    _, counts = np.unique(ids, return_counts=True)
    return counts / max(1, counts.sum())


def entropy(ids: np.ndarray) -> float:
    """Return the entropy of ids in nats: the loss of who knows how frequent each is, and nothing else."""
    found = shares(ids)
    return float(-(found * np.log(found)).sum())


def strays(counts: np.ndarray, usual: np.ndarray) -> float:
    """Return how many standard deviations the chi-square of counts is above what the usual shares give.

    By the cube root (Wilson and Hilferty 1931). Classes that are never usual are left out.

    Args:
        counts: float (C,).
        usual: float (C,), shares.
    """
    known = usual > 0
    expected = usual[known] * counts.sum()
    free = max(1, int(known.sum()) - 1)
    square = float(((counts[known] - expected) ** 2 / np.maximum(expected, 1e-12)).sum())
    return ((square / free) ** (1 / 3) - (1 - 2 / (9 * free))) / math.sqrt(2 / (9 * free))


def standing(observed: float, draw: Callable[[np.random.Generator], float]) -> tuple[float, float]:
    """Return (the mean of what chance gives, how many standard deviations `observed` is above it).

    Args:
        observed: a number.
        draw: makes the number anew from what chance gives.
    """
    rng = np.random.default_rng(0)
    drawn = np.asarray([draw(rng) for _ in range(NUM_PERMUTATIONS)])
    spread = max(float(drawn.std()), 1e-12)
    return float(drawn.mean()), (observed - float(drawn.mean())) / spread
