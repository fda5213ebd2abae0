"""What is left when a document model is far worse than its vectors allow: in which part the fault must lie."""

from __future__ import annotations

from hierdoc.diagnosis.accuracies import (
    TRAIN_ACCURACY,
    chance,
    good_chunk_rate,
    held_out_rate,
    is_at_chance,
    is_far_below,
    label_entropy,
    last_reading,
    rate_of,
)
from hierdoc.diagnosis.evidence import Evidence, Training
from hierdoc.diagnosis.findings import CAUSE, INFERRED, MEASURED, Finding, percent
from hierdoc.diagnosis.losses import course_of, learned, still_falling
from hierdoc.diagnosis.pairs import Features, held_out_features, training_features, transfer
from hierdoc.diagnosis.predictions import below_chunks
from hierdoc.diagnosis.shown import shown_rate
from hierdoc.diagnosis.statistics import Rate
from hierdoc.diagnosis.thresholds import FAR_BELOW_CHUNKS, FEWEST_STEPS, HALF_LEARNED, SIGNIFICANT

OPTIMISATION = "the optimisation or the order"


def answers_astray(evidence: Evidence) -> Finding | None:
    """A document model that learned, and whose held-out answers are guesses where more was possible, or was shown while it trained."""
    training, rate = evidence.documents, held_out_rate(evidence.documents)
    course = course_of(training) if training is not None else None
    if training is None or rate is None or course is None or not is_at_chance(evidence, training):
        return None
    if course.last > HALF_LEARNED * label_entropy(training):
        return None
    guess = chance(evidence, training)
    lines = [
        f"{what} {percent(possible.accuracy)} of {possible.source}"
        for what, possible in (
            ("a linear classifier that learned the same vectors is right on", _possible(evidence)),
            ("after the last epoch it was shown to be right on", shown_rate(evidence, training)),
        )
        if possible is not None and possible.above(guess) < SIGNIFICANT and is_far_below(rate, guess, possible.accuracy)
    ]
    if not lines:
        return None
    first = f"document model: {percent(rate.accuracy)}, guessing {percent(guess)}, though its training loss fell"
    title = "The held-out answers are not those of the model that learned"
    return Finding("answers-astray", title, [first, *lines], CAUSE, MEASURED)


def _possible(evidence: Evidence) -> Rate | None:
    """Return what a linear classifier on training's vectors reaches on the held-out ones."""
    transferred = transfer(evidence)
    return None if transferred is None else rate_of(transferred[0] == transferred[1], None, "the same documents")


def unexplained(evidence: Evidence) -> Finding | None:
    """A document model at chance, or far below what its chunks or its vectors allow; unless its training was cut short."""
    training, chunk = evidence.documents, good_chunk_rate(evidence)
    rate = held_out_rate(training)
    if training is None or rate is None or _is_short(training):
        return None
    guess = chance(evidence, training)
    lost = chunk is not None and is_at_chance(evidence, training) and is_far_below(rate, guess, chunk.accuracy)
    if lost or (chunk is not None and below_chunks(evidence) is not None):
        part, reasons = _part(evidence, training)
    elif _learns_nothing(evidence, training, rate):
        part, reasons = _told_by_training(evidence)
    else:
        return None
    good = f"; chunk model: {percent(chunk.accuracy)}" if chunk is not None else ""
    lines = [f"document model: {percent(rate.accuracy)}, guessing {percent(guess)}{good}", *reasons]
    state = "at chance" if lost else f"far below its {'vectors' if below_chunks(evidence) is None else 'chunks'}"
    return Finding(
        "unexplained", f"The document model is {state}, and the fault lies in {part}", lines, CAUSE, INFERRED
    )


def _learns_nothing(evidence: Evidence, training: Training, rate: Rate) -> bool:
    """Return whether a training ends where it began, far below what a linear classifier makes of the very vectors."""
    course, features = course_of(training), training_features(evidence)
    if course is None or features is None or not course.by_step or learned(training) or still_falling(training):
        return False
    possible, _ = features.probe.interval()
    shown = last_reading(training, TRAIN_ACCURACY)  # a loss may hold a penalty that keeps it up
    answers_less = rate.accuracy < possible - FAR_BELOW_CHUNKS and rate.below(possible) < SIGNIFICANT
    return _says(features) and answers_less and (shown is None or shown < possible - FAR_BELOW_CHUNKS)


def _told_by_training(evidence: Evidence) -> tuple[str, list[str]]:
    """Return (the part at fault, why) where training alone says it."""
    train = training_features(evidence)
    reasons = [] if train is None else [_told("training", train)]
    return OPTIMISATION, [*reasons, "the training loss did not fall"]


def _is_short(training: Training) -> bool:
    """Return whether training ended long before it had learned its examples."""
    course = course_of(training)
    on_its_way = course is not None and course.last > HALF_LEARNED * label_entropy(training)
    return 0 < len(training.steps) < FEWEST_STEPS or (still_falling(training) and on_its_way)


def _part(evidence: Evidence, training: Training) -> tuple[str, list[str]]:
    """Return (the part that the fault must lie in, why)."""
    train, held_out, possible = training_features(evidence), held_out_features(evidence), _possible(evidence)
    has_learned = learned(training)
    reasons = []
    if train is not None:
        reasons.append(_told("training", train))
        if not _says(train):
            return "the training labels or their vectors", reasons
    if held_out is not None:
        reasons.append(_told("held-out", held_out))
        if train is not None and not _says(held_out) and len(held_out) >= len(train) / 4:
            return "the held-out labels or their vectors", reasons
    if possible is not None:
        reasons.append(
            f"one that learned training's vectors is right on {percent(possible.accuracy)} of the held-out documents"
        )
    reasons.append(f"the training loss {'fell' if has_learned else 'did not fall'}")
    return ("what is held out, or how it is predicted" if has_learned else OPTIMISATION), reasons


def _says(features: Features) -> bool:
    return features.probe.above(features.chance) < SIGNIFICANT


def _told(of: str, features: Features) -> str:
    return (
        f"a linear classifier on the {of} vectors is right on {percent(features.probe.accuracy)} "
        f"(guessing: {percent(features.chance)})"
    )
