"""What a check hands back, and in which order people read it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

CAUSE, SYMPTOM, NOTE = "cause", "symptom", "note"
PROVEN, MEASURED, INFERRED = 0, 1, 2  # an identity; a test of significance; what is left when both are silent


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: its name in `hierdoc.diagnosis.catalogue.CATALOGUE`, which also holds the mend.
        title: one line.
        evidence: the numbers, a line each.
        weight: cause (it is wrong and must be mended), symptom (it follows from a cause) or note (it does no harm here).
        directness: PROVEN, MEASURED or INFERRED.
    """

    code: str
    title: str
    evidence: Sequence[str]
    weight: str = CAUSE
    directness: int = PROVEN


def share(part: int, whole: int, of: str) -> str:
    """Return "12 of 340 documents (3.5 %)"."""
    return f"{part:,} of {whole:,} {of} ({percent(part / max(1, whole))})"


def percent(rate: float) -> str:
    """Return a rate as people read it: 3.5 %, 42 %."""
    digits = f"{100 * rate:.1f}" if 0 < rate < 0.1 or 0.9 < rate < 1 else f"{100 * rate:.0f}"
    return f"{digits.removesuffix('.0')} %"


def few(names: Sequence[object], most: int = 3) -> str:
    """Return the first names, and how many more there are."""
    shown = ", ".join(str(name) if len(str(name)) <= 40 else f"{str(name)[:39]}…" for name in names[:most])
    return shown + (f" and {len(names) - most:,} more" if len(names) > most else "")
