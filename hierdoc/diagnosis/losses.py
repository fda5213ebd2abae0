"""The course of a training's loss: where it began, where it ended, how it went between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.accuracies import TRAIN_ACCURACY, label_entropy, last_reading
from hierdoc.diagnosis.evidence import Training
from hierdoc.diagnosis.thresholds import MEMORISED, NOT_LEARNED, STEADY

TRAIN_LOSS = ("loss", "train_loss")


@dataclass(frozen=True)
class Course:
    """A training's finite losses, smoothed.

    Attributes:
        num: of steps; of epochs where only those are known.
        by_step: whether steps are known.
        began: the very first loss.
        first, last: the mean of the first tenth and of the last quarter.
        tenths: float64 (at most 10,), the means of the tenths.
    """

    num: int
    by_step: bool
    began: float
    first: float
    last: float
    tenths: np.ndarray


def course_of(training: Training) -> Course | None:
    """Return the course of a training's loss; None where no finite loss is known."""
    steps = training.steps
    losses = steps.losses[steps.loss_known & np.isfinite(steps.losses)]
    by_step = len(losses) > 0
    if not by_step:
        read = [reading.get(name) for reading in training.readings for name in TRAIN_LOSS if name in reading]
        losses = np.asarray([value for value in read if isinstance(value, (int, float)) and np.isfinite(value)], float)
    if not len(losses):
        return None
    tenths = np.asarray([part.mean() for part in np.array_split(losses, min(10, len(losses)))])
    last = float(losses[-max(1, len(losses) // 4) :].mean())
    return Course(len(losses), by_step, float(losses[0]), float(tenths[0]), last, tenths)


def broke(training: Training) -> bool:
    """Return whether a loss of the training was no number."""
    steps = training.steps
    by_epoch = any(name in reading and reading[name] is None for reading in training.readings for name in TRAIN_LOSS)
    return by_epoch or bool((steps.loss_known & ~np.isfinite(steps.losses)).any())


def still_falling(training: Training) -> bool:
    """Return whether the loss was still falling when training ended: to where it had not been, and no swing back."""
    course = course_of(training)
    if course is None or len(course.tenths) < 10 or course.tenths[-2:].min() > course.tenths[:-2].min():
        return False
    ended = course.tenths[-2:].mean()
    fell, in_all = course.tenths[-4:-2].mean() - ended, course.first - ended
    return min(fell, in_all) > STEADY * label_entropy(training)


def learned(training: Training) -> bool:
    """Return whether the training loss ended below that of knowing the labels' frequencies only."""
    course = course_of(training)
    return course is not None and course.last < NOT_LEARNED * label_entropy(training)


def memorised(training: Training) -> bool:
    """Return whether the training loss ended near 0, or training accuracy near 1."""
    course = course_of(training)
    accuracy = last_reading(training, TRAIN_ACCURACY)
    by_loss = course is not None and course.last < MEMORISED * label_entropy(training)
    return by_loss or (accuracy is not None and accuracy > 1 - MEMORISED / 4)
