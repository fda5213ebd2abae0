"""Are the labels such as the outputs can give, and the same wherever they are noted?"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import comb

import numpy as np

from hierdoc.diagnosis.accuracies import train_labels
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Examples, Predictions, Training
from hierdoc.diagnosis.findings import CAUSE, NOTE, Finding, few, percent, share
from hierdoc.diagnosis.identity import placed_held_out, placed_training
from hierdoc.diagnosis.merging import documents_merged
from hierdoc.diagnosis.renaming import renaming_of
from hierdoc.diagnosis.thresholds import (
    LACKING,
    SAME_CHUNK_BOUND,
    SAME_INPUT_BOUND,
    SIGNIFICANT,
    SOME_DOCUMENTS,
    UNSEEN_SHARE,
)


def labels_out_of_range(evidence: Evidence) -> Finding | None:
    """A label id that is none of 0 … C - 1."""
    lines = []
    for training in evidence.trainings:
        held_out = training.held_out.label_ids[training.held_out.label_ids != UNKNOWN]
        unseen = -1 if evidence.run is not None else 0  # hierdoc marks classes that train never saw with -1
        for name, labels, lowest in (("training", train_labels(training), 0), ("held-out", held_out, unseen)):
            wrong = (labels < lowest) | (labels >= training.num_classes)
            if wrong.any():
                lines.append(
                    f"{training.name}: {share(int(wrong.sum()), len(labels), f'{name} labels')} are not in 0 … "
                    f"{training.num_classes - 1}; they run from {labels.min()} to {labels.max()}"
                )
    return Finding("labels-out-of-range", "Labels lie outside the outputs", lines) if lines else None


def one_class_only(evidence: Evidence) -> Finding | None:
    """All training examples have one label."""
    for training in evidence.trainings:
        labels = train_labels(training)
        if len(labels) > 1 and (labels == labels[0]).all():
            line = f"{training.name}: all {len(labels):,} examples have label {labels[0]}, of {training.num_classes} classes"
            return Finding("one-class-only", "Every training example has the same label", [line])
    return None


def held_out_one_class(evidence: Evidence) -> Finding | None:
    """All held-out labels are one class, where training's frequencies make that all but impossible."""
    for training in evidence.trainings:
        lacking = _lacking(training)
        if lacking is not None and len(lacking.present) == 1:
            line = (
                f"{training.name}: all {lacking.num:,} held-out examples have label {lacking.present[0]}, which "
                f"{percent(1 - lacking.frequency)} of the training examples have"
            )
            return Finding("held-out-one-class", "Every held-out example has the same label", [line])
    return None


def held_out_lacks_classes(evidence: Evidence) -> Finding | None:
    """Held-out labels are of some classes only, where training's frequencies make that all but impossible."""
    for training in evidence.trainings:
        lacking = _lacking(training)
        if lacking is not None and len(lacking.present) > 1 and lacking.frequency >= LACKING:
            line = (
                f"{training.name}: the {lacking.num:,} held-out examples are of {len(lacking.present)} classes "
                f"({few(lacking.present)}); {percent(lacking.frequency)} of the training examples are of others"
            )
            return Finding("held-out-lacks-classes", "Held-out examples are of some classes only", [line])
    return None


@dataclass(frozen=True)
class _Lacking:
    """Classes of training that the held-out examples surely do not lack by chance.

    Attributes:
        present: the classes that are held out.
        frequency: the share of training's examples that are of others.
        num: of held-out examples.
    """

    present: list[int]
    frequency: float
    num: int


def _lacking(training: Training) -> _Lacking | None:
    known = training.held_out.label_ids != UNKNOWN
    held_out, doc_ids = training.held_out.label_ids[known], training.held_out.doc_ids[known]
    labels = train_labels(training)
    if len(held_out) < 2 or not len(labels):
        return None
    are_known = all(doc_id is not None for doc_id in doc_ids)
    if training.kind == "chunks" and not are_known:
        return None  # they may all be of one document
    present = np.unique(held_out)
    frequency = float((~np.isin(labels, present)).mean())
    num_documents = len(set(doc_ids)) if are_known else len(held_out)
    # that all are of these classes, times the ways to choose as many: the held-out examples have chosen them themselves
    if comb(len(np.unique(labels)), len(present)) * (1 - frequency) ** num_documents >= SIGNIFICANT:
        return None
    return _Lacking(present.tolist(), frequency, len(held_out))


def classes_without_examples(evidence: Evidence) -> Finding | None:
    """Outputs that no training example has; a cause where held-out documents have them."""
    for training in evidence.trainings:
        labels = train_labels(training)
        if not len(labels):
            continue
        empty = np.setdiff1d(np.arange(training.num_classes), labels)
        held_out = training.held_out.label_ids[training.held_out.label_ids != UNKNOWN]
        missed = int((np.isin(held_out, empty) | (held_out == -1)).sum())
        if not len(empty) and not missed:
            continue
        lines = []
        if len(empty):
            lines.append(
                f"{training.name}: {len(empty)} of {training.num_classes} outputs have no training example: {few(empty)}"
            )
        if missed:
            lines.append(
                f"{training.name}: {share(missed, len(held_out), 'held-out examples')} are of classes without one"
            )
        hurts = missed >= 3 and missed > UNSEEN_SHARE * len(held_out)
        return Finding("classes-without-examples", "Classes have no training example", lines, CAUSE if hurts else NOTE)
    return None


def several_labels(evidence: Evidence) -> Finding | None:
    """One document with several labels in one training."""
    if documents_merged(evidence) is not None:
        return None  # which says why
    lines, worst = [], 0.0
    lists = [(training.name, training.examples.doc_ids, training.examples.label_ids) for training in evidence.trainings]
    if evidence.made is not None:
        lists.append(("vectors", evidence.made.train.doc_ids, evidence.made.train.label_ids))
    for source, doc_ids, label_ids in lists:
        known = np.asarray([doc_id is not None for doc_id in doc_ids], bool) & (label_ids != UNKNOWN)
        if not known.any():
            continue
        names, docs = np.unique(doc_ids[known].astype(str), return_inverse=True)
        pairs = np.unique(np.stack([docs, label_ids[known]]), axis=1)
        several = np.bincount(pairs[0], minlength=len(names)) > 1
        if several.any():
            worst = max(worst, several.mean())
            lines.append(
                f"{source}: {share(int(several.sum()), len(names), 'documents')} have several labels: {few(names[several])}"
            )
    if not lines:
        return None
    weight = CAUSE if worst >= SOME_DOCUMENTS else NOTE
    return Finding("several-labels", "The same document has several labels", lines, weight)


def labels_changed(evidence: Evidence) -> Finding | None:
    """Labels that a training learns from and that are not those noted elsewhere for the same documents."""
    lines, weight = [], NOTE
    for of, learned, noted in _twice_noted(evidence):
        differs = learned != noted
        if not differs.any():
            continue
        table = renaming_of(noted, learned)
        if table:
            shown = few([f"{old} became {new}" for old, new in sorted(table.items())])
            lines.append(
                f"{of}: {share(int(differs.sum()), len(learned), 'labels')} differ, all by one renaming ({shown})"
            )
            continue
        lines.append(f"{of}: {share(int(differs.sum()), len(learned), 'labels')} differ, by no renaming")
        weight = CAUSE if differs.mean() >= SOME_DOCUMENTS else weight
    return (
        Finding("labels-changed", "Labels changed on the way to the document model", lines, weight) if lines else None
    )


def _twice_noted(evidence: Evidence) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Return (of what, the document model's labels, the labels noted elsewhere for the same documents)."""
    if evidence.documents is None:
        return []
    found = []
    for of, side, other, placed in (
        ("training", evidence.documents.examples, "examples", placed_training(evidence)),
        ("held-out", evidence.documents.held_out, "held_out", placed_held_out(evidence)),
    ):
        if placed is not None:
            both = (placed.labels >= 0) & (side.label_ids != UNKNOWN)
            found.append((f"{of}, against the vectors' labels", side.label_ids[both], placed.labels[both]))
        if evidence.chunks is not None:
            noted = label_of_document(getattr(evidence.chunks, other))
            pairs = [
                (label, noted[doc_id])
                for doc_id, label in zip(side.doc_ids.tolist(), side.label_ids.tolist(), strict=True)
                if label != UNKNOWN and doc_id in noted
            ]
            if pairs:
                found.append((f"{of}, against {evidence.chunks.name}", *np.asarray(pairs, np.int64).T))
    return [row for row in found if len(row[1])]


def label_of_document(examples: Examples | Predictions) -> dict[str, int]:
    """Return each document's label, of the documents with one label only."""
    labels: dict[str, int] = {}
    several = set()
    for doc_id, label in zip(examples.doc_ids.tolist(), examples.label_ids.tolist(), strict=True):
        if doc_id is not None and label != UNKNOWN and labels.setdefault(doc_id, label) != label:
            several.add(doc_id)
    return {doc_id: label for doc_id, label in labels.items() if doc_id not in several}


def same_input_several_labels(evidence: Evidence) -> Finding | None:
    """Equal inputs with different labels, so many that no model could be right."""
    for training in evidence.trainings:
        best = best_possible(training)
        if best.is_low:
            lines = [
                f"{training.name}: {share(best.num_equal, best.num, 'examples')} share their input with one of another label",
                f"{training.name}: no model can be right on more than {percent(best.bound)} of its {best.unit}",
            ]
            return Finding("same-input-several-labels", "Equal inputs have different labels", lines)
    return None


@dataclass(frozen=True)
class Best:
    """What equal inputs with several labels leave to be right on.

    Attributes:
        bound: the best training accuracy, on `unit`: "documents", or "chunks" whose documents nobody knows.
        num_equal, num: how many examples are of such inputs, of how many.
    """

    bound: float
    unit: str
    num_equal: int
    num: int

    @property
    def is_low(self) -> bool:
        return self.bound < (SAME_INPUT_BOUND if self.unit == "documents" else SAME_CHUNK_BOUND)


def best_possible(training: Training) -> Best:
    """Return what equal inputs leave to be right on: documents that have a chunk which says what they are, where that is known."""
    examples = training.examples
    rows = np.flatnonzero((examples.label_ids != UNKNOWN) & (examples.hashes.lengths > 0))
    counts: dict[bytes, Counter[int]] = {}
    for row in rows.tolist():
        counts.setdefault(examples.hashes[row].tobytes(), Counter())[int(examples.label_ids[row])] += 1
    is_right: dict[object, list[float]] = {}
    num_equal = 0
    for row in rows.tolist():
        labels, doc_id = counts[examples.hashes[row].tobytes()], examples.doc_ids[row]
        num_equal += len(labels) > 1
        # examples of a document's whole are answered one by one, its chunks together
        key = doc_id if training.kind == "chunks" and doc_id is not None else row
        is_right.setdefault(key, []).append(labels.most_common(1)[0][0] == examples.label_ids[row])
    right = [any(found) for found in is_right.values()]
    are_documents = training.kind == "documents" or all(doc_id is not None for doc_id in examples.doc_ids[rows])
    unit = "documents" if are_documents else "chunks"
    return Best(float(np.mean(right)) if right else 1.0, unit, num_equal, len(rows))
