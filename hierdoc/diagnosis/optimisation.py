"""Did the loss go where a loss goes, and did the weights move as far as weights move?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.accuracies import held_out_rate, label_entropy
from hierdoc.diagnosis.evidence import Evidence, Training
from hierdoc.diagnosis.findings import CAUSE, INFERRED, MEASURED, PROVEN, SYMPTOM, Finding, few, percent, share
from hierdoc.diagnosis.losses import TRAIN_LOSS, Course, course_of, learned
from hierdoc.diagnosis.pairs import training_features
from hierdoc.diagnosis.thresholds import (
    ABOVE_FREQUENCIES,
    DEEP,
    FEWEST_STEPS,
    HARDLY_MOVED,
    JUMPED,
    MOVED_FAR,
    MOVED_FAR_DEEP,
    MOVED_FAR_LOADED,
    MOVED_TOO_FAR,
    NOT_LEARNED,
    SIGNIFICANT,
    SLOW_ENCODER,
    SLOW_HEAD,
    SLOWLY_MOVED,
    SPENT,
    STILL_FALLING,
    STILL_SHARE,
    TYPICAL_WEIGHT,
    VANISHED,
)

RECURRENT = "recurrent"  # in the name of an array of weights between one chunk and the next


@dataclass(frozen=True)
class Movement:
    """How far the trained arrays moved, each in units of its norm, or of the norm of typical weights if that is larger.

    Attributes:
        most: of the arrays.
        whole: of all arrays taken as one, in units of their norm alone.
        still, numbers: numbers in arrays that did not change, and in all.
        arrays: how many there are.
        growth: the norm of all of them afterwards, over the norm before.
    """

    most: float
    whole: float
    still: int
    numbers: int
    arrays: int
    growth: float


def movement_of(training: Training) -> Movement | None:
    """Return how far a training's weights moved; None where that is not known, or not finite.

    Documents of one chunk leave an LSTM's recurrent weights without a gradient: they do not count then.
    """
    only_one = training.kind == "documents" and training.examples.mask_sums.max(initial=0) <= 1
    rows = [
        (weight["size"], weight["norm_before"], weight["norm_after"], weight["norm_of_change"])
        for weight in training.weights
        if not (only_one and RECURRENT in weight.get("name", ""))
        and all(_is_number(weight.get(key)) for key in ("norm_before", "norm_after", "norm_of_change"))
    ]
    if not rows or any(not _is_number(weight.get("norm_of_change")) for weight in training.weights):
        return None
    sizes, before, after, change = np.asarray(rows, float).T
    moved = change / np.maximum(before, TYPICAL_WEIGHT * np.sqrt(sizes))
    norm = max(1e-12, float(np.sqrt((before**2).sum())))
    whole, growth = float(np.sqrt((change**2).sum())) / norm, float(np.sqrt((after**2).sum())) / norm
    still = int(sizes[change == 0].sum())
    return Movement(float(moved.max()), whole, still, int(sizes.sum()), len(rows), growth)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and bool(np.isfinite(value))


def loss_not_finite(evidence: Evidence) -> Finding | None:
    """A loss, or weights, that are no number."""
    lines = []
    for training in evidence.trainings:
        steps = training.steps
        wrong = np.flatnonzero(steps.loss_known & ~np.isfinite(steps.losses))
        if len(wrong):
            lines.append(f"{training.name}: the loss is no number from step {wrong[0]:,} of {len(steps):,} on")
        epochs = [
            at
            for at, reading in enumerate(training.readings, 1)
            if any(name in reading and not _is_number(reading[name]) for name in TRAIN_LOSS)
        ]
        if epochs and not len(wrong):
            lines.append(f"{training.name}: the loss is no number in epoch {epochs[0]} of {len(training.readings)}")
        lost = [weight["name"] for weight in training.weights if not _is_number(weight.get("norm_after"))]
        if lost:
            lines.append(f"{training.name}: weights are no numbers after training: {few(lost)}")
        if len(training.held_out) and not np.isfinite(training.held_out.probs).all():
            wrong = ~np.isfinite(training.held_out.probs).all(axis=1)
            lines.append(f"{training.name}: {share(int(wrong.sum()), len(wrong), 'held-out answers')} are no numbers")
    return Finding("loss-not-finite", "Training left the numbers behind", lines) if lines else None


def weights_did_not_move(evidence: Evidence) -> Finding | None:
    """Weights that are the same after training as before, all or most of them."""
    for training in evidence.trainings:
        if training.trains_nothing and len(training.steps):
            line = f"{training.name}: the model had no weight to train in {len(training.steps):,} steps"
            return Finding("weights-did-not-move", "No weight is trained", [line])
        movement = movement_of(training)
        if movement is None or len(training.steps) == 0 or movement.still <= STILL_SHARE * movement.numbers:
            continue
        kind = "No weight changed" if movement.still == movement.numbers else "Most weights did not change"
        line = (
            f"{training.name}: {share(movement.still, movement.numbers, 'trained numbers')} did not change in "
            f"{len(training.steps):,} steps"
        )
        return Finding("weights-did-not-move", f"{kind} in training", [line])
    return None


def weights_not_loaded(evidence: Evidence) -> Finding | None:
    """A chunk model that began without its pretrained weights."""
    training = evidence.chunks
    if training is None:
        return None
    loaded, expected = training.weights_loaded, training.weights_expected
    if loaded is not None and expected is not None:
        if loaded >= expected:
            return None
        line = f"{training.name}: {loaded:,} of {expected:,} weights were loaded"
        return Finding("weights-not-loaded", "Pretrained weights were not loaded", [line])
    norms = [weight for weight in training.weights if "norm" in weight.get("name", "").lower()]
    fresh = [weight for weight in norms if weight.get("is_constant_before")]
    if len(norms) < 2 or len(fresh) < len(norms):
        return None
    lines = [
        f"{training.name}: all {len(norms)} arrays of layer normalisation held one number each before training, as fresh ones do",
        "how many weights were loaded was not noted (0 expected says that random ones are meant)",
    ]
    return Finding("weights-not-loaded", "Pretrained weights were not loaded", lines, directness=MEASURED)


def learning_rate_too_small(evidence: Evidence) -> Finding | None:
    """Enough steps, and weights that hardly moved, or a loss that is still on its way."""
    for training in reversed(evidence.trainings):
        course, movement = course_of(training), movement_of(training)
        if course is None or movement is None or not course.by_step or movement.most == 0:
            continue
        if _steps_kept(training) < FEWEST_STEPS:
            continue
        still_there = course.last > NOT_LEARNED * min(course.first, label_entropy(training))
        moved = movement.most if training.kind == "chunks" else min(movement.most, movement.whole)
        hardly = moved < HARDLY_MOVED and still_there
        if hardly or _is_spent(evidence, training) or _is_slow(evidence, training, course, movement):
            return Finding(
                "learning-rate-too-small",
                "The weights hardly moved: the learning rate is too small",
                _lines(training, course, movement),
                CAUSE,
                INFERRED,
            )
    return None


def _is_spent(evidence: Evidence, training: Training) -> bool:
    """Return whether the learning rate was next to nothing in half of the steps, and there is more to learn."""
    rates = training.steps.learning_rates[np.isfinite(training.steps.learning_rates)]
    if not len(rates) or (np.abs(rates) <= SPENT * np.abs(rates).max()).mean() < 0.5:
        return False
    return (
        (rates == 0).mean() >= 0.5
        or not learned(training)
        or (training.kind == "documents" and _knows_less(evidence, training))
    )


def _is_slow(evidence: Evidence, training: Training, course: Course, movement: Movement) -> bool:
    """Return whether the weights move on too slowly, and there is more to learn."""
    per_step = movement.whole / _steps_kept(training)
    if training.kind == "chunks":
        return per_step < SLOW_ENCODER and not learned(training)
    slow = movement.whole < SLOWLY_MOVED and per_step < SLOW_HEAD
    return slow and _still_falling(course) and _knows_less(evidence, training)


def _steps_kept(training: Training) -> int:
    """Return how many steps led to the weights that were kept."""
    epochs = training.steps.epochs
    return len(epochs) if training.kept_epoch is None else int((epochs <= training.kept_epoch).sum())


def _still_falling(course: Course) -> bool:
    """Return whether the loss falls in the second half of training nearly as fast as in the first."""
    middle = len(course.tenths) // 2
    first, second = course.tenths[0] - course.tenths[middle], course.tenths[middle] - course.tenths[-1]
    return len(course.tenths) >= 10 and first > 0 and second > STILL_FALLING * first


def _knows_less(evidence: Evidence, training: Training) -> bool:
    """Return whether a linear classifier on the same vectors is surely better than the model on held-out documents."""
    rate, features = held_out_rate(training), training_features(evidence)
    if rate is None or features is None:
        return False
    return rate.below(features.probe.interval()[0]) < SIGNIFICANT


def learning_rate_too_large(evidence: Evidence) -> Finding | None:
    """A loss that jumped, or weights thrown far away with nothing learned."""
    for training in reversed(evidence.trainings):
        course, movement = course_of(training), movement_of(training)
        if course is None or not course.by_step:
            continue
        ended_high = course.num >= FEWEST_STEPS and course.last > JUMPED * max(
            course.began, float(np.log(training.num_classes))
        )
        ended_high = ended_high and (movement is None or movement.whole > MOVED_FAR_LOADED)
        moved = movement.whole if movement is not None else 0.0
        far, high = (
            MOVED_FAR_LOADED if training.weights_loaded else MOVED_FAR,
            ABOVE_FREQUENCIES * label_entropy(training),
        )
        if training.weights_loaded and movement is not None and movement.arrays >= DEEP:
            # others may end at the entropy for other reasons; what was loaded and is deep moves so far for this one only
            far, high = MOVED_FAR_DEEP, label_entropy(training)
        if ended_high or moved > MOVED_TOO_FAR or (moved > far and course.last > high):
            return Finding(
                "learning-rate-too-large",
                "The loss jumps and the weights are thrown far: the learning rate is too large",
                _lines(training, course, movement),
                CAUSE,
                INFERRED,
            )
    return None


def weights_vanished(evidence: Evidence) -> Finding | None:
    """Weights that shrank to nothing: a decay or a penalty stronger than the loss."""
    for training in evidence.trainings:
        movement = movement_of(training)
        if movement is not None and movement.growth < VANISHED:
            line = f"{training.name}: the weights' norm after training is {percent(movement.growth)} of that before"
            return Finding("weights-vanished", "Training shrank the weights to nothing", [line], CAUSE, PROVEN)
    return None


def loss_did_not_fall(evidence: Evidence) -> Finding | None:
    """A training loss that ends where knowing the labels' frequencies alone would end."""
    lines = []
    for training in evidence.trainings:
        course = course_of(training)
        if course is not None and course.num >= FEWEST_STEPS and not learned(training):
            lines.append(
                f"{training.name}: the loss begins at {course.first:.3f} and ends at {course.last:.3f}; knowing only how "
                f"frequent the labels are gives {label_entropy(training):.3f}"
            )
    return Finding("loss-did-not-fall", "The training loss did not fall", lines, SYMPTOM) if lines else None


def _lines(training: Training, course: Course, movement: Movement | None) -> list[str]:
    rates = training.steps.learning_rates[np.isfinite(training.steps.learning_rates)]
    name = (training.optimizer or {}).get("name")
    lines = [
        f"{training.name}: the loss begins at {course.first:.3f} and ends at {course.last:.3f} after {course.num:,} steps "
        f"(knowing only how frequent the labels are: {label_entropy(training):.3f})"
    ]
    if movement is not None:
        lines.append(
            f"{training.name}: the array that moved most moved by {percent(movement.most)} of its norm, all of them together by "
            f"{percent(movement.whole)}"
        )
    if len(rates):
        lines.append(
            f"{training.name}: learning rate {rates.min():.1e} … {rates.max():.1e}{f', {name}' if name else ''}"
        )
    return lines
