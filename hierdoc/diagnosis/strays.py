"""Vectors that the chunk model did not make as it did at fine-tuning: by its classes for them, and by where they lie."""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.accuracies import HELD_OUT_ACCURACY, rate_of
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Training, Vectors
from hierdoc.diagnosis.findings import percent
from hierdoc.diagnosis.probes import lonely_region
from hierdoc.diagnosis.statistics import at_least, at_most
from hierdoc.diagnosis.thresholds import (
    FEWEST_TO_COMPARE,
    LONELY,
    LONELY_REGION,
    MANY_OTHER_ANSWERS,
    OTHER_ANSWERS,
    ROUNDED_ANSWERS,
    SIGNIFICANT,
)


def answered_otherwise(before: np.ndarray, stored: np.ndarray, owners: np.ndarray) -> tuple[list[str], bool]:
    """Return (lines about held-out chunks that get other classes by their stored vectors than at fine-tuning, whether they are many).

    Some are changed by what does no harm, such as vectors that were scaled to unit length on both sides.

    Args:
        before, stored: int (M,), the chunk model's class for the same chunks then, and for their vectors.
        owners: str (M,), their documents.
    """
    other = before != stored
    names, docs = np.unique(owners, return_inverse=True)
    touched = int((np.bincount(docs, other, len(names)) > 0).sum())
    rounded = min(1.0, ROUNDED_ANSWERS * len(other) / max(1, len(names)))
    if other.mean() < OTHER_ANSWERS or at_least(touched, len(names), rounded) >= SIGNIFICANT:
        return [], False
    lines = [
        f"the chunk model gives {percent(other.mean())} of the held-out chunks another class by their stored vectors than at "
        f"fine-tuning, in {touched:,} of {len(names):,} documents"
    ]
    return lines, bool(other.mean() >= MANY_OTHER_ANSWERS)


def may_be_an_earlier_epochs(training: Training | None) -> bool:
    """Return whether an epoch before the last was as good on held-out chunks, so that somebody may have gone back to it.

    In a run it is known whose weights were kept.
    """
    if training is None or training.kept_epoch is not None:
        return False
    readings = [
        [value for name in HELD_OUT_ACCURACY if isinstance(value := reading.get(name), (int, float))][:1]
        for reading in training.readings
    ]
    return bool(readings and readings[-1]) and any(one and one >= readings[-1] for one in readings[:-1])


def region_of_training_only(evidence: Evidence) -> list[str]:
    """Return lines about a part of training's vectors that lie where no held-out ones do, and that the chunk model can't name.

    Where it only lies apart it may be a kind of documents that was not held out.
    """
    if evidence.made is None or evidence.made.values is None:
        return []
    train, held_out = _known(evidence.made.train), _known(evidence.made.held_out)
    if min(len({*train.doc_ids}), len({*held_out.doc_ids})) < FEWEST_TO_COMPARE:
        return []
    inside, beside = lonely_region(train.values, held_out.values, LONELY)
    if inside.mean() < LONELY_REGION:
        return []
    num_held_out = len({*held_out.doc_ids})
    if at_most(round(float(beside.mean()) * num_held_out), num_held_out, float(inside.mean())) >= SIGNIFICANT:
        return []
    there, usual = train.of(inside), rate_of(held_out.predicted == held_out.label_ids, held_out.doc_ids, "held-out")
    rate = rate_of(there.predicted == there.label_ids, there.doc_ids, "region")
    if rate is None or usual is None or rate.below(usual.accuracy) >= SIGNIFICANT:
        return []
    return [
        f"{percent(inside.mean())} of training's vectors lie apart, where only {percent(beside.mean())} of the held-out ones lie",
        f"of the vectors there the chunk model is right on {percent(rate.accuracy)}, of held-out ones on {percent(usual.accuracy)}",
    ]


def _known(vectors: Vectors) -> Vectors:
    """Return the finite vectors whose label and chunk model's class are known."""
    finite = np.isfinite(vectors.values).all(axis=1)
    return vectors.of(finite & (vectors.predicted != UNKNOWN) & (vectors.label_ids != UNKNOWN))
