"""Whether a probability means what it says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NUM_BINS = 15
LEAST = float(np.exp(-16.0))  # a lower probability counts as this, or one that float32 calls 0 would cost without end


@dataclass(frozen=True)
class Reliability:
    """Documents by the probability of the class that was named.

    Attributes:
        lows: float64 (15,), where each bin begins; a bin holds what is above its beginning and up to its end.
        counts: int64 (15,), documents in it.
        confidence, accuracy: float64 (15,), the means in it; NaN where it is empty.
        error: the expected calibration error: the mean over documents of their bin's |accuracy - confidence|.
    """

    lows: np.ndarray
    counts: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray
    error: float


def reliability(confidence: np.ndarray, correct: np.ndarray) -> Reliability:
    """Return the reliability of B answers, in 15 bins of one width (Guo et al. 2017, On Calibration, section 2).

    Args:
        confidence: float (B,), the named class' probability.
        correct: bool (B,).
    """
    lows = np.arange(NUM_BINS) / NUM_BINS
    bins = np.clip(np.ceil(np.asarray(confidence, np.float64) * NUM_BINS).astype(np.int64) - 1, 0, NUM_BINS - 1)
    counts = np.bincount(bins, minlength=NUM_BINS)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(bins, confidence, NUM_BINS) / counts
        mean_accuracy = np.bincount(bins, correct, NUM_BINS) / counts
    gaps = np.abs(mean_accuracy - mean_confidence)[counts > 0]
    error = float(gaps @ counts[counts > 0] / counts.sum())
    return Reliability(lows, counts, mean_confidence, mean_accuracy, error)


def log_loss(true_probability: np.ndarray) -> float:
    """Return the mean negative logarithm of the true class' probability, float (B,), in nats; at most 16 a document.

    See `LEAST` for the bound.
    """
    return float(-np.log(np.maximum(np.asarray(true_probability, np.float64), LEAST)).mean())
