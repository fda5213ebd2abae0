"""Is the accuracy that was shown while training that of the answers?"""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.accuracies import HELD_OUT_ACCURACY, held_out_rate, last_reading
from hierdoc.diagnosis.evidence import Evidence, Training
from hierdoc.diagnosis.findings import CAUSE, MEASURED, NOTE, Finding, percent
from hierdoc.diagnosis.statistics import at_least, at_most
from hierdoc.diagnosis.thresholds import ONE_ANSWER, SHOWN_APART, SIGNIFICANT


def accuracy_misread(evidence: Evidence) -> Finding | None:
    """A reading of held-out accuracy that is surely not the accuracy of the held-out answers."""
    for training in evidence.trainings:
        rate, shown = held_out_rate(training), last_reading(training, HELD_OUT_ACCURACY)
        if evidence.run is not None or rate is None or shown is None or not len(training.held_out):
            continue
        likely = min(at_least(rate.hits, rate.num_documents, shown), at_most(rate.hits, rate.num_documents, shown))
        if likely >= SIGNIFICANT or abs(rate.accuracy - shown) < SHOWN_APART:
            continue
        lines = [
            f"{training.name}: {percent(shown)} was shown after the last epoch; the answers are right on {percent(rate.accuracy)}"
        ]
        counted = _counts_one_class(training, shown)
        if counted is not None:
            lines.append(f"{training.name}: {percent(shown)} is how often class {counted} is answered")
        title = "The accuracy that is shown is not that of the answers"
        return Finding("accuracy-misread", title, lines, CAUSE if counted is not None else NOTE, MEASURED)
    return None


def _counts_one_class(training: Training, shown: float) -> int | None:
    """Return class 0 if what was shown is the share of its answers: labels (B, 1) read as one-hot are all class 0."""
    answered = float((training.held_out.predicted == 0).mean())
    return 0 if abs(answered - shown) <= ONE_ANSWER + 1 / len(training.held_out) and np.isfinite(shown) else None
