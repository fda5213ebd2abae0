"""Any number of labels for a document: a sigmoid for each, its loss, and how dev is read."""

from __future__ import annotations

from typing import Any

import numpy as np

from hierdoc.answers.thresholds import best_threshold
from hierdoc.encoders import compat

LEAST = 1e-12  # a probability's distance from 0 and 1, before a logarithm


def weighted_loss(logits: Any, label_ids: Any, weights: Any) -> Any:
    """Return the batch's binary cross-entropy: the weighted sum over labels, and its mean over the rows with a weight above 0.

    Args:
        logits: float32 (N, C).
        label_ids: bool (N, C).
        weights: float32 (N,), or of each label (N, C); 0 for rows that only fill up the batch.
    """
    tf = compat.load_tensorflow()
    losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=tf.cast(label_ids, tf.float32), logits=logits)  # (N, C)
    if len(weights.shape) == 1:
        weights = weights[:, None]
    num_rows = tf.reduce_sum(tf.cast(tf.reduce_max(weights, axis=1) > 0, tf.float32))
    return tf.reduce_sum(weights * losses) / num_rows


def log_odds(label_ids: np.ndarray) -> np.ndarray:
    """Return the logarithm of each label's odds among N rows, bool (N, C), as float32 (C,).

    A sigmoid that begins there has not to learn first that most labels are rare (Lin et al. 2017, Focal Loss, section 3.3).
    """
    share = (label_ids.sum(axis=0) + 1) / (len(label_ids) + 2)
    return np.log(share / (1 - share)).astype(np.float32)


def micro_f1_and_loss(probs: np.ndarray, label_ids: np.ndarray) -> tuple[float, float]:
    """Return the micro-F1 at the one threshold that makes it highest, and the mean over rows of their binary cross-entropy.

    Args:
        probs, label_ids: float and bool (N, C). Without rows both are NaN.
    """
    if not len(label_ids):
        return float("nan"), float("nan")
    clipped = np.clip(probs.astype(np.float64), LEAST, 1 - LEAST)
    losses = -np.where(label_ids, np.log(clipped), np.log1p(-clipped))
    _, f1 = best_threshold(probs.reshape(-1), label_ids.reshape(-1))
    return f1, float(losses.sum(axis=1).mean())
