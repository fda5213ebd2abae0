"""How right the models are on held-out data, and what guessing gives there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Predictions, Training
from hierdoc.diagnosis.statistics import Rate, entropy
from hierdoc.diagnosis.thresholds import AT_CHANCE, GOOD_CHUNKS, PAIRING_HALF, SIGNIFICANT

TRAIN_ACCURACY = ("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy")
HELD_OUT_ACCURACY = (*(f"val_{name}" for name in TRAIN_ACCURACY), "dev_chunk_accuracy", "dev_accuracy")
FEW_DOCUMENTS = 50  # that a reading without its number of examples is counted as


def rate_of(right: np.ndarray, doc_ids: np.ndarray | None, source: str) -> Rate | None:
    """Return the share of `right`, bool (M,), about the documents `doc_ids`, object (M,); None of nothing.

    Where ids are not known, each answer counts as a document.
    """
    if not len(right):
        return None
    known = doc_ids is not None and all(doc_id is not None for doc_id in doc_ids)
    return Rate(float(right.mean()), len(right), len(set(doc_ids)) if known else len(right), source)


def last_reading(training: Training, names: Sequence[str]) -> float | None:
    """Return the accuracy of the first of these names that the last epoch has, or the one whose weights were kept.

    What is not from 0 to 1, such as one in percent, is passed over.
    """
    for reading in reversed(training.readings[: training.kept_epoch or None]):
        for name in names:
            if isinstance(value := reading.get(name), (int, float)) and 0 <= value <= 1:
                return float(value)
    return None


def held_out_rate(training: Training | None) -> Rate | None:
    """Return a model's accuracy on held-out data: by its predictions, else as its last epoch read it."""
    if training is None:
        return None
    held_out = training.held_out
    known = held_out.label_ids != UNKNOWN
    if known.any():
        splits = " and ".join(sorted(set(held_out.splits[known])))
        doc_ids = held_out.doc_ids[known]
        return rate_of((held_out.predicted == held_out.label_ids)[known], doc_ids, f"{training.name}, {splits}")
    reading = last_reading(training, HELD_OUT_ACCURACY)
    return None if reading is None else Rate(reading, 0, FEW_DOCUMENTS, f"{training.name}, last epoch's reading")


def chunk_rate(evidence: Evidence) -> Rate | None:
    """Return the chunk model's accuracy on held-out chunks: by its predictions, by those noted with the vectors, or as read."""
    return evidence.once("chunk rate", _chunk_rate)


def _chunk_rate(evidence: Evidence) -> Rate | None:
    if evidence.chunks is not None and len(evidence.chunks.held_out):
        return held_out_rate(evidence.chunks)
    if evidence.made is not None:
        held_out = evidence.made.held_out
        known = (held_out.predicted != UNKNOWN) & (held_out.label_ids != UNKNOWN)
        if known.any():
            right = (held_out.predicted == held_out.label_ids)[known]
            return rate_of(right, held_out.doc_ids[known], "predicted with the held-out vectors")
    return held_out_rate(evidence.chunks)


def train_labels(training: Training) -> np.ndarray:
    """Return the label of each example of a training that has one, int64."""
    return training.examples.label_ids[training.examples.label_ids != UNKNOWN]


def label_entropy(training: Training) -> float:
    """Return the loss of who knows only how frequent the training's labels are; that of C equal ones where no label is known.

    It is what the trace says, where a loss weighs classes or is not the cross-entropy.
    """
    if training.uninformed_loss is not None:
        return training.uninformed_loss
    known = train_labels(training)
    return entropy(known) if len(known) else float(np.log(training.num_classes))


def guessing_rates(evidence: Evidence, training: Training) -> dict[str, float]:
    """Return what guessing gives on the held-out labels: "uniform", and, where they are known, "majority" and "class 0".

    The majority class is that of training.
    """
    rates = {"uniform": 1 / training.num_classes}
    held_out = training.held_out.label_ids[training.held_out.label_ids != UNKNOWN]
    known = train_labels(training)
    if not len(known) and evidence.run is not None:
        known = evidence.run.label_ids[evidence.run.splits == "train"]
    if len(held_out):
        inside = known[(known >= 0) & (known < training.num_classes)]
        majority = int(np.bincount(inside).argmax()) if len(inside) else int(np.bincount(held_out.clip(0)).argmax())
        rates["majority"] = float((held_out == majority).mean())
        rates["class 0"] = float((held_out == 0).mean())
    return rates


def chance(evidence: Evidence, training: Training) -> float:
    """Return the best of what guessing gives without a look at the held-out labels: uniform, or the majority class."""
    rates = guessing_rates(evidence, training)
    return max(rates["uniform"], rates.get("majority", 0.0))


def is_at_chance(evidence: Evidence, training: Training | None) -> bool | None:
    """Return whether a model's held-out accuracy can't be told from guessing; None where it is not known."""
    rate = held_out_rate(training)
    if training is None or rate is None:
        return None
    return rate.above(chance(evidence, training)) > AT_CHANCE


def is_surely_poor(evidence: Evidence, training: Training | None) -> bool:
    """Return whether a model's held-out accuracy can't be told from guessing, and surely is no good one."""
    rate = held_out_rate(training)
    if training is None or rate is None or not is_at_chance(evidence, training):
        return False
    return is_far_below(rate, chance(evidence, training), 1.0)


def good_chunk_rate(evidence: Evidence) -> Rate | None:
    """Return the chunk model's accuracy if it is far enough above guessing to prove something by; else None."""
    rate = chunk_rate(evidence)
    training = evidence.chunks or evidence.documents
    if rate is None or training is None:
        return None
    guess = chunk_chance(evidence)
    good = rate.accuracy >= guess + GOOD_CHUNKS * (1 - guess) and rate.above(guess) < SIGNIFICANT
    return rate if good else None


def chunk_chance(evidence: Evidence) -> float:
    """Return what guessing gives on the chunks that the chunk model's accuracy is about."""
    training = evidence.chunks or evidence.documents
    if training is None:
        return 0.0
    if len(training.held_out) or evidence.made is None:
        return chance(evidence, training)
    labels = evidence.made.held_out.label_ids
    labels = labels[labels >= 0]
    return max(1 / training.num_classes, float(np.bincount(labels).max() / len(labels)) if len(labels) else 0.0)


def is_far_below(rate: Rate, guess: float, good: float) -> bool:
    """Return whether a rate is surely nearer to guessing than to `good`."""
    return rate.below(guess + PAIRING_HALF * (good - guess)) < SIGNIFICANT


def has_class(predictions: Predictions) -> np.ndarray:
    """Return bool (B,): the held-out examples whose label is known and one of the outputs."""
    return (predictions.label_ids >= 0) & (predictions.label_ids < predictions.probs.shape[1])
