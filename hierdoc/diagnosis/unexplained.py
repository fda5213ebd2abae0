"""What is left when a document model is at chance beside a good chunk model: in which part the fault must lie."""

from __future__ import annotations

from hierdoc.diagnosis.accuracies import chance, good_chunk_rate, held_out_rate, is_at_chance, is_far_below
from hierdoc.diagnosis.evidence import Evidence
from hierdoc.diagnosis.findings import CAUSE, INFERRED, Finding, percent
from hierdoc.diagnosis.losses import learned
from hierdoc.diagnosis.pairs import Features, held_out_features, training_features
from hierdoc.diagnosis.thresholds import FEWEST_STEPS, SIGNIFICANT


def unexplained(evidence: Evidence) -> Finding | None:
    """A document model at chance beside a good chunk model."""
    training, chunk = evidence.documents, good_chunk_rate(evidence)
    rate = held_out_rate(training)
    if training is None or chunk is None or rate is None or 0 < len(training.steps) < FEWEST_STEPS:
        return None
    guess = chance(evidence, training)
    if not is_at_chance(evidence, training) or not is_far_below(rate, guess, chunk.accuracy):
        return None
    part, reasons = _part(evidence)
    lines = [
        f"document model: {percent(rate.accuracy)}, guessing {percent(guess)}; chunk model: {percent(chunk.accuracy)}",
        *reasons,
    ]
    title = f"The document model is at chance, and the fault lies in {part}"
    return Finding("unexplained", title, lines, CAUSE, INFERRED)


def _part(evidence: Evidence) -> tuple[str, list[str]]:
    """Return (the part that the fault must lie in, why)."""
    train, held_out = training_features(evidence), held_out_features(evidence)
    has_learned = evidence.documents is not None and learned(evidence.documents)
    reasons = []
    if train is not None:
        reasons.append(_told("training", train))
        if not _says(train):
            return "the training labels or their vectors", reasons
    if held_out is not None:
        reasons.append(_told("held-out", held_out))
        if train is not None and not _says(held_out) and len(held_out) >= len(train) / 4:
            return "the held-out labels or their vectors", reasons
    reasons.append(f"the training loss {'fell' if has_learned else 'did not fall'}")
    return ("what is held out, or how it is predicted" if has_learned else "the optimisation or the order"), reasons


def _says(features: Features) -> bool:
    return features.probe.above(features.chance) < SIGNIFICANT


def _told(of: str, features: Features) -> str:
    return (
        f"a linear classifier on the {of} vectors is right on {percent(features.probe.accuracy)} "
        f"(guessing: {percent(features.chance)})"
    )
