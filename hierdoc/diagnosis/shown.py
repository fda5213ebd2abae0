"""Is the accuracy that was shown while training that of the answers?"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hierdoc.diagnosis.accuracies import FEW_DOCUMENTS, HELD_OUT_ACCURACY, held_out_rate, last_reading
from hierdoc.diagnosis.evidence import Evidence, Training
from hierdoc.diagnosis.findings import CAUSE, MEASURED, NOTE, Finding, percent
from hierdoc.diagnosis.statistics import Rate
from hierdoc.diagnosis.thresholds import FAR_FROM_SHOWN, ONE_ANSWER, SHOWN_APART, SIGNIFICANT


def accuracy_misread(evidence: Evidence) -> Finding | None:
    """A reading of held-out accuracy that is surely not the accuracy of the held-out answers."""
    for training in evidence.trainings:
        rate, shown = held_out_rate(training), shown_rate(evidence, training)
        if rate is None or shown is None:
            continue
        likely = min(rate.above(shown.accuracy), rate.below(shown.accuracy))
        if likely >= SIGNIFICANT or abs(rate.accuracy - shown.accuracy) < SHOWN_APART:
            continue
        read = percent(shown.accuracy)
        lines = [
            f"{training.name}: {read} was shown after the last epoch; the answers are right on {percent(rate.accuracy)}"
        ]
        counted = _counts_one_class(training, shown.accuracy)
        if counted is not None:
            lines.append(f"{training.name}: {read} is how often class {counted} is answered")
        title = "The accuracy that is shown is not that of the answers"
        weight = CAUSE if counted is not None or _contradicts(training, rate, shown) else NOTE
        return Finding("accuracy-misread", title, lines, weight, MEASURED)
    return None


def shown_rate(evidence: Evidence, training: Training) -> Rate | None:
    """Return the held-out accuracy shown after the last epoch, as of so many documents as were answered.

    None where either is unknown, and in a run, whose readings are of the answers.
    """
    rate, shown = held_out_rate(training), last_reading(training, HELD_OUT_ACCURACY)
    if evidence.run is not None or rate is None or shown is None or not len(training.held_out):
        return None
    return replace(rate, accuracy=shown, source="what it was measured on")


def _contradicts(training: Training, rate: Rate, shown: Rate) -> bool:
    """Return whether the answers are far worse than what was shown last, or far better than all that ever was.

    How many documents were looked at is not known, and may be few. Weights of an earlier epoch that were put back may be
    better than the last ones.
    """
    low, _ = replace(shown, num_documents=FEW_DOCUMENTS).interval()
    if rate.accuracy < shown.accuracy - FAR_FROM_SHOWN and rate.below(low) < SIGNIFICANT:
        return True
    read = [last_reading(replace(training, readings=[reading]), HELD_OUT_ACCURACY) for reading in training.readings]
    best = replace(shown, accuracy=max(value or 0.0 for value in read), num_documents=FEW_DOCUMENTS)
    return rate.accuracy > best.accuracy + FAR_FROM_SHOWN and rate.above(best.interval()[1]) < SIGNIFICANT


def _counts_one_class(training: Training, shown: float) -> int | None:
    """Return class 0 if what was shown is the share of its answers: labels (B, 1) read as one-hot are all class 0."""
    answered = float((training.held_out.predicted == 0).mean())
    return 0 if abs(answered - shown) <= ONE_ANSWER + 1 / len(training.held_out) and np.isfinite(shown) else None
