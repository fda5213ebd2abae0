"""Readable tables of numbers for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

OF_LABELS = {  # what is told of answers with any number of labels
    "document_f1": "F1 of a document",
    "exact_match": "exact match",
    "ranking_precision": "label ranking average precision",
}
WIDEST = 80  # characters of a cell; longer ones are cut, with …


def text_table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return the rows as columns of text: the first column to the left, numbers to the right, floats with 3 decimals."""
    cells = [[_shown(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "  ".join(
            cell.ljust(width) if at == 0 else cell.rjust(width) for at, (cell, width) in enumerate(zip(row, widths))
        )
        for row in cells
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _shown(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:.3f}"
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(cell))
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def preview(predictions: Any) -> str:
    """Return the documents of a predictions table (Arrow), each with its three most probable classes."""
    rows = []
    for row in predictions.to_pylist():
        probs = {
            name.removeprefix("probability:"): value for name, value in row.items() if name.startswith("probability:")
        }
        best = sorted(probs, key=lambda label: -probs[label])[:3]
        answer = ", ".join(row["labels"]) if "labels" in row else row["label"]
        rows.append(
            [row["doc_id"], answer, row["num_chunks"], ", ".join(f"{label} {probs[label]:.3f}" for label in best)]
        )
    several = "labels" in predictions.schema.names
    return text_table(["document", "labels" if several else "label", "chunks", "probabilities"], rows)


def metrics_text(metrics: dict[str, Any]) -> str:
    """Return evaluate's tables: a head beside its baselines, or a baseline alone; per class; by number of chunks."""
    measure = "micro_f1" if "document_micro_f1" in metrics else "accuracy"
    measured = measure.replace("_f1", " F1")
    beside = ", and words" if metrics.get("words") else ""
    answered = f"{metrics['head']} over the chunk vectors{beside}" if "head" in metrics else metrics["baseline"]
    names = {
        f"document_{measure}": answered,
        f"average_{measure}": "average of chunk probabilities",
        f"first_chunk_{measure}": "first chunk alone",
        f"tfidf_svm_{measure}": "TF-IDF + linear SVM",
        f"majority_{measure}": "majority class" if measure == "accuracy" else "labels by their frequency",
    }
    accuracy = text_table(
        [f"{measured} on {metrics['num_documents']} {metrics['split']} documents", measured],
        [[name, metrics[key]] for key, name in names.items() if key in metrics],
    )
    classes = text_table(
        ["class", "precision", "recall", "f1", "documents"],
        [[label, *row.values()] for label, row in metrics["per_class"].items()],
    )
    by_length = metrics["accuracy_by_chunks" if measure == "accuracy" else "f1_by_chunks"]
    lengths = text_table(
        ["chunks", "documents", "accuracy" if measure == "accuracy" else "F1 of a document"],
        [list(row.values()) for row in by_length],
    )
    if near_duplicates := metrics.get("num_near_duplicates_of_train"):
        accuracy += f"\n\n{_without_near_duplicates(metrics, near_duplicates, names, measured)}"
    more = [f"macro F1 {metrics['document_macro_f1']:.3f}"]
    if f"chunk_{measure}" in metrics:
        more.insert(0, f"single chunks: {metrics[f'chunk_{measure}']:.3f} of {metrics['num_chunks']}")
    more += [f"{name} {metrics[key]:.3f}" for key, name in OF_LABELS.items() if key in metrics]
    if "expected_calibration_error" in metrics:
        more.append(f"calibration error {metrics['expected_calibration_error']:.3f}")
    return f"{accuracy}\n\n{'; '.join(more)}\n\n{classes}\n\n{lengths}"


def _without_near_duplicates(metrics: dict[str, Any], count: int, names: dict[str, str], measured: str) -> str:
    """Return the line about the documents that are near-duplicates of training documents."""
    verb = "is a near-duplicate of a training document" if count == 1 else "are near-duplicates of training documents"
    found = [
        f"{name} {metrics[key]:.3f}"
        for short, name in names.items()
        if (key := f"{short}_without_near_duplicates") in metrics
    ]
    return f"{count} {verb}; {measured} without: {', '.join(found) or 'none are left'}"
