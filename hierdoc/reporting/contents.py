"""All sections of a report, in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hierdoc.comparison.summary import DatasetSummary
from hierdoc.reporting import comparing, featured, making
from hierdoc.reporting.sections import Section


def report_sections(
    summaries: Sequence[DatasetSummary], texts: Mapping[str, Mapping[tuple[int, str], str]]
) -> list[Section]:
    """Return the sections of a report, in their order.

    Args:
        summaries: of the datasets, in order.
        texts: for datasets whose texts may be shown, {(part, doc_id): text}.
    """
    sections = [comparing.headline(summaries)]
    for summary in summaries:
        sections += [
            comparing.overview(summary),
            comparing.differences(summary),
            *comparing.pairs(summary),
            *comparing.by_fold(summary),
            comparing.by_length(summary),
            featured.classes(summary),
            *making.curves(summary),
            *comparing.calibration(summary),
            featured.coverage(summary),
            featured.mistakes(summary, texts.get(summary.name, {})),
            making.costs(summary),
            making.provenance(summary),
        ]
    return sections
