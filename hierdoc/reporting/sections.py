"""A report as data: sections of paragraphs, tables and figures, that a page is made of."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Table:
    """A table; cells are text or numbers, and every row is as long as the header."""

    header: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it, in this order: paragraphs, figure (SVG), tables, notes."""

    heading: str
    level: int = 2
    paragraphs: Sequence[str] = ()
    figure: str = ""
    caption: str = ""
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def mean_cell(values: Sequence[float], digits: int = 3) -> str:
    """Return the mean as it stands in a table, empty where there are no values."""
    return f"{statistics.mean(values):.{digits}f}" if values else ""
