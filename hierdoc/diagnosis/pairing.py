"""Do labels belong to their vectors, and vectors to their documents, where no hash can tell?

What the chunk model reaches on held-out chunks is what its vectors are worth. Where the pairs that the document model
learned from are worth far less, they were broken: between document and label, or between vector and document.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.accuracies import TRAIN_ACCURACY, good_chunk_rate, is_far_below, last_reading, rate_of
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence
from hierdoc.diagnosis.findings import MEASURED, Finding, percent
from hierdoc.diagnosis.identity import placed_training
from hierdoc.diagnosis.pairs import Features, held_out_features, training_features
from hierdoc.diagnosis.probes import coherence
from hierdoc.diagnosis.renaming import find_renaming
from hierdoc.diagnosis.statistics import Rate, at_most, shares, strays
from hierdoc.diagnosis.thresholds import (
    AT_CHANCE,
    FEWEST_TO_COMPARE,
    OTHER_CLASSES,
    OTHER_CLASSES_Z,
    PAIRING_GAP,
    PAIRING_HALF,
    PROBE_PER_CLASS,
    READING_GAP,
    SIGNIFICANT,
    SURE_Z,
)

LABELS, GROUPING, VECTORS = "labels", "grouping", "vectors"


@dataclass(frozen=True)
class Broken:
    """Pairs that are worth far less than they should be.

    Attributes:
        lines: the evidence.
        part: LABELS where documents lost their labels (or nobody can tell), GROUPING where vectors lost their documents,
            VECTORS where they are not what the chunk model makes.
    """

    lines: list[str]
    part: str


def labels_shuffled(evidence: Evidence) -> Finding | None:
    """Training labels that have nothing, or too little, to do with their documents' vectors."""
    title = "Training labels do not belong to their documents' vectors"
    return _where_broken(evidence, LABELS, "labels-shuffled", title)


def grouping_lost(evidence: Evidence) -> Finding | None:
    """Vectors that were dealt to the wrong documents."""
    title = "Vectors stand with documents that they are not of"
    return _where_broken(evidence, GROUPING, "grouping-lost", title)


def held_out_labels_shuffled(evidence: Evidence) -> Finding | None:
    """Held-out labels that have nothing to do with their documents' vectors, where training's have."""
    train, held_out, chunk = training_features(evidence), held_out_features(evidence), good_chunk_rate(evidence)
    if train is None or held_out is None or chunk is None or evidence.documents is None:
        return None
    sound = train.probe.above(train.chance) < SIGNIFICANT and not is_far_below(
        train.probe, train.chance, chunk.accuracy
    )
    if not sound or not _enough(held_out) or not _says_nothing(held_out, chunk.accuracy):
        return None
    lines = [
        _probe_line("training", train),
        _probe_line("held-out", held_out),
        f"chunk model on held-out chunks: {percent(chunk.accuracy)} ({chunk.source})",
    ]
    title = "Held-out labels do not belong to their documents' vectors"
    return Finding("held-out-labels-shuffled", title, lines, directness=MEASURED)


def broken_pairs(evidence: Evidence) -> Broken | None:
    """Return what is wrong with the pairs of vectors, documents and labels that the document model learned from."""
    return evidence.once("broken pairs", _broken_pairs)


def _where_broken(evidence: Evidence, part: str, code: str, title: str) -> Finding | None:
    broken = broken_pairs(evidence)
    if broken is None or broken.part != part:
        return None
    return Finding(code, title, broken.lines, directness=MEASURED)


def _broken_pairs(evidence: Evidence) -> Broken | None:
    chunk = good_chunk_rate(evidence)
    if chunk is None or evidence.documents is None:
        return None
    return _by_stored_predictions(evidence, chunk) or _by_probe(evidence, chunk)


def _by_stored_predictions(evidence: Evidence, chunk: Rate) -> Broken | None:
    """The chunk model's classes for the vectors that were learned from, against the labels they were learned with."""
    placed = placed_training(evidence)
    if placed is None or evidence.documents is None or evidence.made is None:
        return None
    examples = evidence.documents.examples
    owners = examples.hashes.rows
    predicted = np.where(placed.rows >= 0, evidence.made.train.predicted[placed.rows], UNKNOWN)
    known = (predicted != UNKNOWN) & (examples.label_ids[owners] != UNKNOWN)
    if not known.any():
        return None
    predicted, owners = predicted[known], owners[known]
    doc_ids = np.asarray([str(owner) for owner in owners], object)
    stored = rate_of(predicted == examples.label_ids[owners], doc_ids, "stored vectors")
    if stored is None:
        return None
    reading = last_reading(evidence.chunks, TRAIN_ACCURACY) if evidence.chunks is not None else None
    # The reading is a mean over the epoch, with dropout, and so far too low: chunks may count one by one against it.
    below_reading = reading is not None and stored.accuracy < reading - READING_GAP
    below_reading = below_reading and at_most(round(stored.accuracy * stored.num), stored.num, reading) < SIGNIFICANT
    should_be = chunk.accuracy - PAIRING_GAP
    if not below_reading and stored.below(should_be) >= SIGNIFICANT:
        return None
    renamed = find_renaming(examples.label_ids[owners], predicted)
    if renamed.table and renamed.after >= (reading - READING_GAP if below_reading else should_be):
        return None  # sound pairs under other names
    lines = [
        f"chunk model on held-out chunks: {percent(chunk.accuracy)} ({chunk.source})",
        *([f"chunk model on its training chunks, as read in its last epoch: {percent(reading)}"] if reading else []),
        f"chunk model on the training vectors, by the labels learned: {percent(stored.accuracy)}",
    ]
    if answers_elsewhere(predicted, examples.label_ids[owners], owners):
        return Broken([*lines, OTHER_FREQUENCIES], VECTORS)
    agreement, sound, mixed = _agreement(predicted, owners, chunk.accuracy)
    if agreement is None:
        return Broken(lines, LABELS)
    lines.append(
        f"two chunks of a document get the same class in {percent(agreement)}; {percent(mixed)} if dealt at random"
    )
    return Broken(lines, GROUPING if agreement < mixed + PAIRING_HALF * (sound - mixed) else LABELS)


OTHER_FREQUENCIES = "its wrong answers are of few classes, not of all in their frequency: shuffling does not do that"


def answers_elsewhere(predicted: np.ndarray, label_ids: np.ndarray, owners: np.ndarray) -> bool:
    """Return whether wrong answers gather in few classes, where shuffled labels or vectors leave the classes' frequencies.

    Args:
        predicted, label_ids: int (M,), of chunks.
        owners: (M,), the document of each.
    """
    is_wrong = predicted != label_ids
    wrong, docs = predicted[is_wrong], len(np.unique(owners[is_wrong]))
    num = int(max(predicted.max(), label_ids.max())) + 1
    if len(wrong) < FEWEST_TO_COMPARE:
        return False
    counts, usual = (np.bincount(ids.clip(0), minlength=num) for ids in (wrong, label_ids))
    far = np.abs(counts / len(wrong) - usual / len(label_ids)).sum() / 2 > OTHER_CLASSES
    return bool(far) and strays(counts * docs / len(wrong), usual / len(label_ids)) > OTHER_CLASSES_Z


def _agreement(predicted: np.ndarray, owners: np.ndarray, accuracy: float) -> tuple[float | None, float, float]:
    """Return (how often two chunks of a document have one class; what independent errors would give; what chance would)."""
    num_classes = int(predicted.max()) + 1
    _, docs = np.unique(owners, return_inverse=True)
    counts = np.zeros((docs.max() + 1, num_classes))
    np.add.at(counts, (docs, predicted), 1)
    sizes = counts.sum(axis=1)
    several = sizes > 1
    if several.sum() < 2:
        return None, 0.0, 0.0
    pairs = (counts * (counts - 1)).sum(axis=1)[several] / (sizes * (sizes - 1))[several]
    mixed = float((shares(predicted) ** 2).sum())
    sound = accuracy**2 + (1 - accuracy) ** 2 / max(1, num_classes - 1)
    return float(pairs.mean()), sound, mixed


def _by_probe(evidence: Evidence, chunk: Rate) -> Broken | None:
    """A linear classifier on the vectors that were learned from."""
    features = training_features(evidence)
    if features is None or not _enough(features) or not _says_nothing(features, chunk.accuracy):
        return None
    lines = [
        f"chunk model on held-out chunks: {percent(chunk.accuracy)} ({chunk.source})",
        _probe_line("training", features),
    ]
    if np.bincount(features.owners).max(initial=0) < 2:
        return Broken(lines, LABELS)
    explained, z = coherence(features.values, features.owners)
    lines.append(
        f"documents explain {percent(max(0.0, explained))} more of the vectors' variance than random ones (z = {z:.1f})"
    )
    return Broken(lines, GROUPING if z < SURE_Z else LABELS)


def _enough(features: Features) -> bool:
    """Return whether a probe works on so few documents of so many classes."""
    return len(features) >= PROBE_PER_CLASS * len(np.unique(features.label_ids))


def _says_nothing(features: Features, good: float) -> bool:
    """Return whether the labels can't be told from the vectors, though they should be."""
    rate = features.probe
    return rate.above(features.chance) > AT_CHANCE and is_far_below(rate, features.chance, good)


def _probe_line(of: str, features: Features) -> str:
    return (
        f"a linear classifier on the {of} vectors tells the labels of {percent(features.probe.accuracy)} of "
        f"{len(features):,} documents (guessing: {percent(features.chance)})"
    )
