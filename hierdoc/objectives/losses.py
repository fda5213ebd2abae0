"""Losses beside the plain cross-entropy: focal, with smoothed labels, and of two passes that are to agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.objectives import Objective


def make_loss(objective: Objective, focal_gamma: float = 0.0, label_smoothing: float = 0.0) -> Callable[..., Any]:
    """Return the loss of logits (N, C), label_ids and weights (see `Objective.loss`), which is the objective's own for 0 and 0.

    With p a probability and t its target, 1 for the class that is right and 0 for the others (of any number of labels, for each
    that a row has), it is the sum over classes of -t (1 - p)^gamma log p, and for labels also -(1 - t) p^gamma log(1 - p): Lin et al.
    2017 (Focal Loss), whose alpha is what class weights are here. Smoothing by e makes t 1 - e plus e / C, or of labels e / 2 (Szegedy et
    al. 2016, Rethinking the Inception Architecture, section 7).
    """
    if not focal_gamma and not label_smoothing:
        return objective.loss
    tf = compat.load_tensorflow()

    def of_classes(logits: Any, label_ids: Any) -> Any:  # (N,)
        num_classes = logits.shape[-1]
        targets = tf.one_hot(label_ids, num_classes) * (1 - label_smoothing) + label_smoothing / num_classes
        return tf.reduce_sum(targets * _focal(tf.nn.log_softmax(logits), focal_gamma), axis=1)

    def of_labels(logits: Any, label_ids: Any) -> Any:  # (N, C)
        targets = tf.cast(label_ids, tf.float32) * (1 - label_smoothing) + label_smoothing / 2
        yes, no = (_focal(tf.math.log_sigmoid(sign * logits), focal_gamma) for sign in (1, -1))
        return targets * yes + (1 - targets) * no

    def loss_of(logits: Any, label_ids: Any, weights: Any) -> Any:
        if not objective.multi_label:
            return _mean_of_rows(weights * of_classes(logits, label_ids), weights)
        by_label = weights if len(weights.shape) == 2 else weights[:, None]
        return _mean_of_rows(tf.reduce_sum(by_label * of_labels(logits, label_ids), axis=1), weights)

    return loss_of


def uninformed_loss(
    label_ids: np.ndarray, class_weights: np.ndarray, focal_gamma: float = 0.0, label_smoothing: float = 0.0
) -> float:
    """Return the loss (see `make_loss`) on N rows of who knows only how frequent their classes are, as they are weighed.

    Args:
        label_ids: int (N,).
        class_weights: float32 (C,).

    With `focal_gamma` a constant answer of other probabilities may have a loss a little lower.
    """
    masses = np.bincount(label_ids, minlength=len(class_weights)) / len(label_ids) * class_weights
    masses = masses * (1 - label_smoothing) + masses.sum() * label_smoothing / len(masses)
    some = masses > 0
    probs = masses[some] / masses.sum()
    return float(-(masses[some] * (1 - probs) ** focal_gamma * np.log(probs)).sum())


def _focal(log_probs: Any, gamma: float) -> Any:
    """Return -(1 - p)^gamma log p."""
    tf = compat.load_tensorflow()
    if not gamma:
        return -log_probs
    # 1 - p of a p that rounds to 1 is 0, whose power has no gradient below gamma 1
    return -tf.pow(tf.maximum(-tf.math.expm1(log_probs), 1e-7), gamma) * log_probs


def disagreement(objective: Objective, one: Any, other: Any, weights: Any) -> Any:
    """Return how far two passes' logits (N, C) are apart: the mean over rows that count of half of KL(p, q) + KL(q, p), in nats.

    Of any number of labels it is the sum over labels of that of yes and no. Liang et al. 2021 (R-Drop), equation 2.
    """
    tf = compat.load_tensorflow()
    if objective.multi_label:  # (p - q) (log-odds of p - log-odds of q) is KL(p, q) + KL(q, p) of yes and no
        apart = (tf.sigmoid(one) - tf.sigmoid(other)) * (one - other)
    else:
        apart = (tf.nn.softmax(one) - tf.nn.softmax(other)) * (tf.nn.log_softmax(one) - tf.nn.log_softmax(other))
    counts = tf.cast(_rows(weights) > 0, tf.float32)
    return _mean_of_rows(counts * tf.reduce_sum(apart, axis=1) / 2, weights)


def _rows(weights: Any) -> Any:
    """Return one weight for each row, of weights (N,) or (N, C)."""
    tf = compat.load_tensorflow()
    return weights if len(weights.shape) == 1 else tf.reduce_max(weights, axis=1)


def _mean_of_rows(values: Any, weights: Any) -> Any:
    """Return the sum of values (N,) over the number of rows with a weight above 0."""
    tf = compat.load_tensorflow()
    return tf.reduce_sum(values) / tf.reduce_sum(tf.cast(_rows(weights) > 0, tf.float32))
