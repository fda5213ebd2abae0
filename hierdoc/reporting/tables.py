"""Readable tables of numbers for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
        rows.append(
            [row["doc_id"], row["label"], row["num_chunks"], ", ".join(f"{label} {probs[label]:.3f}" for label in best)]
        )
    return text_table(["document", "label", "chunks", "probabilities"], rows)


def metrics_text(metrics: dict[str, Any]) -> str:
    """Return evaluate's tables: a head beside its baselines, or a baseline alone; per class; by number of chunks."""
    beside = ", and words" if metrics.get("words") else ""
    answered = f"{metrics['head']} over the chunk vectors{beside}" if "head" in metrics else metrics["baseline"]
    names = {
        "document_accuracy": answered,
        "average_accuracy": "average of chunk probabilities",
        "first_chunk_accuracy": "first chunk alone",
        "tfidf_svm_accuracy": "TF-IDF + linear SVM",
        "majority_accuracy": "majority class",
    }
    accuracy = text_table(
        [f"accuracy on {metrics['num_documents']} {metrics['split']} documents", "accuracy"],
        [[name, metrics[key]] for key, name in names.items() if key in metrics],
    )
    classes = text_table(
        ["class", "precision", "recall", "f1", "documents"],
        [[label, *row.values()] for label, row in metrics["per_class"].items()],
    )
    lengths = text_table(
        ["chunks", "documents", "accuracy"],
        [[row["chunks"], row["num_documents"], row["accuracy"]] for row in metrics["accuracy_by_chunks"]],
    )
    if near_duplicates := metrics.get("num_near_duplicates_of_train"):
        accuracy += f"\n\n{_without_near_duplicates(metrics, near_duplicates, names)}"
    more = [f"macro F1 {metrics['document_macro_f1']:.3f}"]
    if "chunk_accuracy" in metrics:
        more.insert(0, f"single chunks: {metrics['chunk_accuracy']:.3f} of {metrics['num_chunks']}")
    if "expected_calibration_error" in metrics:
        more.append(f"calibration error {metrics['expected_calibration_error']:.3f}")
    return f"{accuracy}\n\n{'; '.join(more)}\n\n{classes}\n\n{lengths}"


def _without_near_duplicates(metrics: dict[str, Any], count: int, names: dict[str, str]) -> str:
    """Return the line about the documents that are near-duplicates of training documents."""
    verb = "is a near-duplicate of a training document" if count == 1 else "are near-duplicates of training documents"
    found = [
        f"{name} {metrics[key]:.3f}"
        for short, name in names.items()
        if (key := f"{short}_without_near_duplicates") in metrics
    ]
    return f"{count} {verb}; accuracy without: {', '.join(found) or 'none are left'}"
