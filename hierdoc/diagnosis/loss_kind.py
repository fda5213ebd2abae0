"""Is the loss that is minimised the crossentropy of the answers?"""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.evidence import Evidence
from hierdoc.diagnosis.findings import CAUSE, INFERRED, NOTE, Finding
from hierdoc.diagnosis.losses import course_of
from hierdoc.diagnosis.optimisation import learning_rate_too_large
from hierdoc.diagnosis.thresholds import OTHER_LOSS
from hierdoc.diagnosis.unexplained import unexplained


def loss_of_another_kind(evidence: Evidence) -> Finding | None:
    """A document model's loss that begins far from where a fresh softmax begins; a cause where nothing else is to blame."""
    training = evidence.documents
    course = course_of(training) if training is not None else None
    if training is None or course is None or not course.by_step or training.num_classes < 2:
        return None
    usual = float(np.log(training.num_classes))
    high = course.first > OTHER_LOSS * usual
    if not (high or course.began < usual / OTHER_LOSS) or learning_rate_too_large(evidence) is not None:
        return None
    begins = f"{course.first:.3f} in the first tenth of the steps" if high else f"{course.began:.3f} in the first step"
    lines = [
        f"{training.name}: the loss is {begins}, where the crossentropy of a fresh softmax "
        f"over {training.num_classes} classes is {usual:.3f}"
    ]
    weight = CAUSE if unexplained(evidence) is not None else NOTE
    return Finding("loss-of-another-kind", "The loss is not the crossentropy of the answers", lines, weight, INFERRED)
