"""Whether one classifier is better than another on the same documents, or only luckier."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

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


def bootstrap_mean(values: np.ndarray, seed: int = 0, num_resamples: int = NUM_RESAMPLES) -> Interval:
    """Return the mean of one number for each document with its 95 % interval.

    The percentile bootstrap over documents (Efron and Tibshirani 1993, chapter 13). Given the differences of two
    classifiers' hits on the same documents, this is the paired bootstrap; given their means over several seeds, what
    varies from seed to seed is averaged and not part of the interval.

    Args:
        values: float (B,), one or more.
        seed: of the resamples.
        num_resamples: how many.
    """
    rng = np.random.default_rng(seed)
    # A resample's mean depends only on how often each distinct value is drawn, and there are few of them.
    distinct, counts = np.unique(np.asarray(values, np.float64), return_counts=True)
    draws = rng.multinomial(len(values), counts / len(values), size=num_resamples)
    means = draws @ distinct / len(values)
    low, high = np.quantile(means, [0.025, 0.975])
    mean = float(np.mean(values))
    return Interval(mean, min(mean, float(low)), max(mean, float(high)))  # of equal values but for rounding


def wilson(share: float, num_documents: int) -> Interval:
    """Return a share of documents with its 95 % interval, which is honest for few documents and for 0 and 1 (Wilson 1927)."""
    z = 1.959964  # of the normal distribution, two-sided 95 %
    middle = (share + z**2 / (2 * num_documents)) / (1 + z**2 / num_documents)
    spread = math.sqrt(share * (1 - share) / num_documents + (z / (2 * num_documents)) ** 2)
    half = z * spread / (1 + z**2 / num_documents)
    return Interval(share, min(share, middle - half), max(share, middle + half))  # at 0 and 1 but for rounding


@dataclass(frozen=True)
class McNemar:
    """The documents that only one of two classifiers has right.

    Attributes:
        only_first, only_second: how many.
        p_value: two-sided and exact, of so uneven a division if either were as likely; 1 where there is none.
    """

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first_correct: np.ndarray, second_correct: np.ndarray) -> McNemar:
    """Return McNemar's exact test of two classifiers' hits, bool (B,), on the same documents (McNemar 1947)."""
    return _division(int((first_correct & ~second_correct).sum()), int((second_correct & ~first_correct).sum()))


def sign_test(differences: np.ndarray) -> McNemar:
    """Return McNemar's exact test of documents by the sign of a difference, float (B,), such as of two arms' hits over seeds.

    An interval of the bootstrap is too narrow where few documents differ; this test knows how few they are.
    """
    return _division(int((differences > ROUNDING).sum()), int((differences < -ROUNDING).sum()))


def _division(only_first: int, only_second: int) -> McNemar:
    num, fewer = only_first + only_second, min(only_first, only_second)
    logs = [_log_choose(num, k) - num * math.log(2) for k in range(fewer + 1)]
    p_value = min(1.0, 2 * math.fsum(math.exp(log) for log in logs))
    return McNemar(only_first, only_second, p_value)


def _log_choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
