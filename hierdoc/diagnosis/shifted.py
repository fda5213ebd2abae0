"""Do the held-out labels stand some places off from the documents that they are of?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.evidence import Evidence
from hierdoc.diagnosis.findings import MEASURED, Finding, percent
from hierdoc.diagnosis.label_order import should_be, sources
from hierdoc.diagnosis.pairs import MOST_DOCUMENTS
from hierdoc.diagnosis.statistics import at_least
from hierdoc.diagnosis.thresholds import FEWEST_TO_COMPARE, SIGNIFICANT


@dataclass(frozen=True)
class Shift:
    """Labels of other places that fit the answers better than a place's own.

    Attributes:
        places: how many places further down a document's label stands, around the end if need be; 0 for the order turned round.
        begin: the first document of which that is true.
        gained, lost: answers that only the shift, and only the labels as they stand, make right.
        before, after: accuracy from `begin` on without and with it.
        p: how likely chance does that, times the number of shifts that were tried.
    """

    places: int
    begin: int
    gained: int
    lost: int
    before: float
    after: float
    p: float


def held_out_labels_shifted(evidence: Evidence) -> Finding | None:
    """Held-out labels that fit the documents some places before or after them, in the order in which they were noted."""
    for source, truth, predicted in sources(evidence):
        truth, predicted = truth[:MOST_DOCUMENTS], predicted[:MOST_DOCUMENTS]
        found = find_shift(truth, predicted) if len(truth) >= FEWEST_TO_COMPARE else None
        if found is None or found.p >= SIGNIFICANT or found.after < should_be(evidence):
            continue
        where = f"from document {found.begin + 1:,} of {len(truth):,} on" if found.begin else "of all documents"
        how = (
            f"{abs(found.places)} {'below' if found.places > 0 else 'above'}" if found.places else "as far from the end"
        )
        lines = [
            f"{source}: right on {percent(found.before)} by the labels {where}, on {percent(found.after)} by those {how}",
            f"{found.gained} gained, {found.lost} lost (p = {found.p:.0e} with all that was tried)",
        ]
        title = "Held-out labels stand in another place than their documents"
        return Finding("held-out-labels-shifted", title, lines, directness=MEASURED)
    return None


def find_shift(truth: np.ndarray, predicted: np.ndarray) -> Shift:
    """Return the surest shift: of all labels by any number of places or turned round, or by one place from a document on.

    Args:
        truth, predicted: int (B,), at least one, in the order of the documents.
    """
    num, as_it_is = len(truth), predicted == truth
    whole = [(places, np.roll(truth, -places)) for places in range(1, num)] + [(0, truth[::-1])]
    tried = [_shift(places, 0, as_it_is, predicted == moved, num) for places, moved in whole]
    for places in (1, -1):
        right = predicted == np.roll(truth, -places)
        tried += [_shift(places, begin, as_it_is, right, 2 * num) for begin in range(1, num)]
    return min(tried, key=lambda shift: shift.p)


def _shift(places: int, begin: int, as_it_is: np.ndarray, right: np.ndarray, num_tried: int) -> Shift:
    own, other = as_it_is[begin:], right[begin:]
    gained, lost = int((other & ~own).sum()), int((own & ~other).sum())
    nearest = places - len(right) if places > len(right) // 2 else places
    p = min(1.0, at_least(gained, gained + lost, 0.5) * num_tried)
    return Shift(nearest, begin, gained, lost, float(own.mean()), float(other.mean()), p)
