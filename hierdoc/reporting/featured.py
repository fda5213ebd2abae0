"""A report's sections on the featured arm: what it answers, class by class, what it reads, and where it is wrong."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hierdoc.comparison.results import Result
from hierdoc.comparison.summary import ArmSummary, DatasetSummary
from hierdoc.reporting import figures
from hierdoc.reporting.sections import Section, Table

NUM_MISTAKES = 20
TEXT_SHOWN = 300  # characters of a document


def classes(summary: DatasetSummary) -> Section:
    """Return the featured arm's answers by class, and its F1 beside the baseline's."""
    featured = summary.featured
    results = featured.results
    labels = sorted({label for result in results for label in result.facts["metrics"]["labels"]})
    arms = list(dict.fromkeys([featured.name, summary.baseline.name]))
    by_name = {arm.name: arm for arm in summary.arms}
    rows = []
    for label in labels:
        count = results[0].facts["metrics"]["per_class"].get(label, {}).get("num_documents", 0)
        rows.append([label, count, *(_f1(by_name[name], label) for name in arms)])
    header = ["class", "documents", *(f"F1 of {name}" for name in arms)]
    tables = [Table(header, rows)]
    if summary.has_label_lists:
        return Section(f"{summary.name}: labels", 3, tables=tables)
    caption = (
        f"{featured.name}: rows are true classes, the colour is the share of the row"
        + (f"; counts of {len(results)} seeds together" if len(results) > 1 else "") + "."
    )  # fmt: skip
    figure = figures.confusion(labels, _confused(results, labels))
    return Section(f"{summary.name}: classes", 3, figure=figure, caption=caption, tables=tables)


def _confused(results: Sequence[Result], labels: Sequence[str]) -> np.ndarray:
    """Return how many documents of each class (row) got each answer, int64 (C, C), over all seeds."""
    place = {label: at for at, label in enumerate(labels)}
    matrix = np.zeros((len(labels), len(labels)), np.int64)
    for result in results:
        table = result.predictions
        for true, answer in zip(table["true_label"].to_pylist(), table["label"].to_pylist(), strict=True):
            matrix[place[true], place[answer]] += 1
    return matrix


def coverage(summary: DatasetSummary) -> Section:
    """Return how much of each class's text the featured arm reads."""
    result = summary.featured.results[0]
    by_class = result.facts["parts"][0]["coverage"]
    rows = [[label, *_covered(counts)] for label, counts in by_class.items()]
    if not summary.has_label_lists:
        total = {
            key: sum(counts[key] for counts in by_class.values()) for key in ("documents", "tokens", "kept", "unknown")
        }
        rows.append(["all", *_covered(total)])
    paragraph = (
        f"Of all documents of {summary.name}, whatever their split, as they are cut for {summary.featured.name}."
    )
    if not summary.featured.has_chunks:
        paragraph = (
            f"Of all documents of {summary.name}, whatever their split, as they are cut into chunks; {summary.featured.name} "
            "reads the whole texts."
        )
    if summary.has_label_lists:
        paragraph += " A document counts for each of its labels; those without one are in no row."
    header = ["class", "documents", "tokens", "kept", "capped", "unknown"]
    return Section(f"{summary.name}: coverage", 3, paragraphs=[paragraph], tables=[Table(header, rows)])


def mistakes(summary: DatasetSummary, texts: Mapping[tuple[int, str], str]) -> Section:
    """Return the featured arm's surest wrong answers, with the beginnings of those `texts` that are given."""
    arm = summary.featured
    result = arm.results[0]
    if summary.has_label_lists:
        return _wrong_lists(summary, texts)
    rows = [row for row in result.predictions.to_pylist() if row["label"] != row["true_label"]]
    rows.sort(key=lambda row: (-(row["probability"] or 0), row["part"], row["doc_id"]))
    header = ["document", "true class", "answer", "probability", "of the true class", "chunks"]
    shown = []
    for row in rows[:NUM_MISTAKES]:
        probability, true_probability = row["probability"], row["true_probability"]
        cells = [
            row["doc_id"],
            row["true_label"],
            row["label"],
            _or_empty(probability),
            _or_empty(true_probability),
            row["num_chunks"],
        ]
        if texts:
            cells.append(_beginning(texts.get((row["part"], row["doc_id"]), "")))
        shown.append(cells)
    header += ["text"] if texts else []
    paragraph = (
        f"The {len(shown)} surest of {len(rows):,} wrong answers of {arm.name}, seed {result.facts['seed']}: where the "
        "labels, the classes or the model should be looked at first."
    )
    if not arm.values("log_loss"):
        paragraph = (
            f"{len(shown)} of {len(rows):,} wrong answers of {arm.name}, seed {result.facts['seed']}, which has no "
            "probabilities to sort them by."
        )
    return Section(f"{summary.name}: most confident mistakes", 3, paragraphs=[paragraph], tables=[Table(header, shown)])


def _wrong_lists(summary: DatasetSummary, texts: Mapping[tuple[int, str], str]) -> Section:
    """Return `mistakes` of documents with any number of labels: those that are the least likely by the arm's probabilities."""
    arm, result = summary.featured, summary.featured.results[0]
    rows = [row for row in result.predictions.to_pylist() if set(row["labels"]) != set(row["true_labels"])]
    rows.sort(key=lambda row: (-(row["log_loss"] or 0), row["part"], row["doc_id"]))
    shown = []
    for row in rows[:NUM_MISTAKES]:
        missed, too_many = (
            ", ".join(label for label in row[one] if label not in row[other])
            for one, other in (("true_labels", "labels"), ("labels", "true_labels"))
        )
        cells = [
            row["doc_id"],
            ", ".join(row["true_labels"]),
            missed,
            too_many,
            _or_empty(row["log_loss"]),
            row["num_chunks"],
        ]
        shown.append(cells + ([_beginning(texts.get((row["part"], row["doc_id"]), ""))] if texts else []))
    header = ["document", "its labels", "missed", "given too many", "log loss", "chunks", *(["text"] if texts else [])]
    paragraph = (
        f"{len(shown)} of {len(rows):,} answers of {arm.name}, seed {result.facts['seed']}, that are not quite right; first those whose "
        "labels it thought least likely, where it has probabilities."
    )
    return Section(f"{summary.name}: most confident mistakes", 3, paragraphs=[paragraph], tables=[Table(header, shown)])


def _f1(arm: ArmSummary, label: str) -> float:
    return statistics.mean(result.facts["metrics"]["per_class"].get(label, {"f1": 0.0})["f1"] for result in arm.results)


def _covered(counts: Mapping[str, int]) -> list[Any]:
    tokens = max(1, counts["tokens"])
    capped = counts["tokens"] - counts["kept"]
    return [
        counts["documents"],
        counts["tokens"],
        f"{counts['kept'] / tokens:.1%}" if counts["tokens"] else "",
        capped,
        f"{counts['unknown'] / tokens:.2%}" if counts["tokens"] else "",
    ]


def _beginning(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= TEXT_SHOWN else plain[: TEXT_SHOWN - 1] + "…"


def _or_empty(value: float | None) -> Any:
    return "" if value is None else float(value)
