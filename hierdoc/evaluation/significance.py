"""Whether one classifier is better than another on the same documents, or only luckier."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import bdtr

NUM_RESAMPLES = 10_000
ROUNDING = 1e-9  # what the sums of shares of seeds may differ by and be the same


@dataclass(frozen=True)
class Interval:
    """An estimate with its 95 % interval.

    Attributes:
        estimate: of all documents.
        low, high: the 2.5 and 97.5 percentiles of the resamples' estimates.
    """

    estimate: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > ROUNDING or self.high < -ROUNDING


def bootstrap_mean(
    values: np.ndarray, seed: int = 0, num_resamples: int = NUM_RESAMPLES, clusters: np.ndarray | None = None
) -> Interval:
    """Return the mean of one number for each document with its 95 % interval.

    The percentile bootstrap over documents (Efron and Tibshirani 1993, chapter 13). Given the differences of two
    classifiers' hits on the same documents, this is the paired bootstrap; given their means over several seeds, what
    varies from seed to seed is averaged and not part of the interval.

    Args:
        values: float (B,), one or more.
        seed: of the resamples.
        num_resamples: how many.
        clusters: (B,), equal for documents that belong together, such as the speeches of one country: whole clusters are
            drawn then, which of few is still a little too narrow (Cameron, Gelbach and Miller 2008).
    """
    rng = np.random.default_rng(seed)
    if clusters is not None:
        sums, sizes = by_cluster(values, clusters), by_cluster(np.ones(len(values)), clusters)
        draws = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=num_resamples)
        return _percentiles(float(np.mean(values)), (draws @ sums) / (draws @ sizes))
    # A resample's mean depends only on how often each distinct value is drawn, and there are few of them.
    distinct, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    draws = rng.multinomial(len(values), counts / len(values), size=num_resamples)
    return _percentiles(float(np.mean(values)), draws @ distinct / len(values))


def _percentiles(mean: float, means: np.ndarray) -> Interval:
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))  # of equal values but for rounding


def by_cluster(values: np.ndarray, clusters: np.ndarray | None) -> np.ndarray:
    """Return the sums of values, float (B,), over each cluster of `clusters`, (B,); without clusters the values themselves."""
    if clusters is None:
        return values
    _, members = np.unique(clusters, return_inverse=True)
    return np.bincount(members, weights=values)


def wilson(share: float, num_documents: int) -> Interval:
    """Return a share of documents with its 95 % interval, which is honest for few documents and for 0 and 1 (Wilson 1927)."""
    z = 1.959964  # of the normal distribution, two-sided 95 %
    middle = (share + z**2 / (2 * num_documents)) / (1 + z**2 / num_documents)
    spread = math.sqrt(share * (1 - share) / num_documents + (z / (2 * num_documents)) ** 2)
    half = z * spread / (1 + z**2 / num_documents)
    return Interval(share, min(share, middle - half), max(share, middle + half))  # at 0 and 1 but for rounding


@dataclass(frozen=True)
class SignTest:
    """The documents (or clusters) in which one of two classifiers is better.

    Attributes:
        only_first, only_second: in how many the one and the other is.
        p_value: two-sided and exact, of so uneven a division if either were as likely; 1 where there is none.
    """

    only_first: int
    only_second: int
    p_value: float


def sign_test(differences: np.ndarray) -> SignTest:
    """Return the exact sign test of a difference for each document, float (B,), such as of two arms' hits over seeds.

    Of two classifiers' hits, 1 or 0, it is McNemar's exact test (McNemar 1947). An interval of the bootstrap is too narrow where few
    documents differ; this test knows how few they are.
    """
    only_first, only_second = int((differences > ROUNDING).sum()), int((differences < -ROUNDING).sum())
    p_value = min(1.0, 2 * float(bdtr(min(only_first, only_second), only_first + only_second, 0.5)))
    return SignTest(only_first, only_second, p_value)
