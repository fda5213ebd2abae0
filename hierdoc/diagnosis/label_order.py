"""Do the held-out labels name the classes in another order than the training labels?"""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.accuracies import chunk_rate, has_class
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Predictions, Training
from hierdoc.diagnosis.findings import MEASURED, PROVEN, Finding, few, percent, share
from hierdoc.diagnosis.identity import placed_held_out, placed_training
from hierdoc.diagnosis.losses import learned
from hierdoc.diagnosis.pairs import training_features, transfer
from hierdoc.diagnosis.renaming import find_renaming, renaming_of
from hierdoc.diagnosis.statistics import at_least
from hierdoc.diagnosis.thresholds import RENAMED_RIGHT, SIGNIFICANT


def held_out_order(evidence: Evidence) -> Finding | None:
    """Held-out labels in another order: by the labels noted with the vectors, else by what predictions fit."""
    return _by_identity(evidence) or _by_predictions(evidence)


def _by_identity(evidence: Evidence) -> Finding | None:
    training, held_out = placed_training(evidence), placed_held_out(evidence)
    if held_out is None or evidence.documents is None:
        return None
    said = evidence.documents.held_out.label_ids
    both = (said != UNKNOWN) & (held_out.labels != UNKNOWN)
    table = renaming_of(held_out.labels[both], said[both])
    if not table:
        return None
    if training is not None:
        learned_ids = evidence.documents.examples.label_ids
        known = (learned_ids != UNKNOWN) & (training.labels != UNKNOWN)
        if renaming_of(training.labels[known], learned_ids[known]) == table:
            return None  # renamed on both sides alike
    differs = int((held_out.labels[both] != said[both]).sum())
    lines = [
        f"{evidence.documents.name}: {share(differs, int(both.sum()), 'held-out labels')} differ from those noted with "
        "their vectors, by one renaming",
        few([f"{old} became {new}" for old, new in sorted(table.items())], 5),
    ]
    return Finding(
        "held-out-label-order", "Held-out labels name the classes in another order", lines, directness=PROVEN
    )


def _by_predictions(evidence: Evidence) -> Finding | None:
    for source, truth, predicted in sources(evidence):
        found = find_renaming(truth, predicted)
        p = at_least(found.gained, found.gained + found.lost, 0.5)
        if found.table and p < SIGNIFICANT and found.after >= should_be(evidence):
            lines = [
                f"{source}: accuracy {percent(found.before)} as named, {percent(found.after)} after one renaming of classes",
                f"tested on documents it was not found on: {found.gained} gained, {found.lost} lost (p = {p:.0e})",
                "called so in the held-out labels: "
                + few([f"{old} is {new}" for old, new in sorted(found.table.items())], 5),
            ]
            title = "Held-out labels and answers name the classes in two orders"
            return Finding("held-out-label-order", title, lines, directness=MEASURED)
    return None


def should_be(evidence: Evidence) -> float:
    """Return the accuracy that a renaming must lead to: near what the chunk model, or the vectors themselves, give."""
    chunk, features = chunk_rate(evidence), training_features(evidence)
    good = max(
        [rate.accuracy for rate in (chunk, features.probe if features else None) if rate is not None], default=0.0
    )
    training = evidence.trainings[-1]
    guess = 1 / training.num_classes
    return guess + RENAMED_RIGHT * (good - guess)


def sources(evidence: Evidence) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return (what predicted, true and predicted classes of held-out documents) of what has learned from training labels."""
    features, transferred, found = training_features(evidence), transfer(evidence), []
    is_sound = features is not None and features.probe.above(features.chance) < SIGNIFICANT
    if is_sound and transferred is not None:  # needs no trained head, whose answers may be wrong for other reasons
        found.append(("a linear classifier on the vectors", *transferred))
    for training in reversed(evidence.trainings):
        doubtful = training.kind == "documents" and features is not None and not is_sound
        if len(training.held_out) and learned(training) and not doubtful:
            pair = votes(training.held_out, training)
            if pair is not None:
                found.append((training.name, *pair))
    return found


def votes(predictions: Predictions, training: Training) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (true, most often predicted class) of each held-out document, in their order; None where chunks can't be told apart by document.

    A document's chunks err together, so that they are one answer.
    """
    known = has_class(predictions)
    truth, predicted, doc_ids = predictions.label_ids[known], predictions.predicted[known], predictions.doc_ids[known]
    if training.kind == "documents":
        return truth, predicted
    if any(doc_id is None for doc_id in doc_ids):
        return None
    names, first, docs = np.unique(doc_ids.astype(str), return_index=True, return_inverse=True)
    counts = np.zeros((len(names), predictions.probs.shape[1]))
    np.add.at(counts, (docs, predicted), 1)
    in_order = np.argsort(first)
    return truth[first[in_order]], counts[in_order].argmax(axis=1)
