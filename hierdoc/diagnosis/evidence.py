"""All that the doctor looks at, as arrays: trainings, the vectors as they were made, and a run's own facts.

Symbols: E examples, P pieces of them (chunks), N vectors that were made, B held-out predictions, C classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from hierdoc.tracing.batches import UNKNOWN as UNKNOWN  # where a trace has null

JOINED = " and words"  # after the name of a head whose answers are joined with the words'


@dataclass(frozen=True)
class Ragged:
    """Rows of different lengths, one after the other.

    Attributes:
        values: (P,).
        starts: int64 (rows + 1,); row r is `values[starts[r]:starts[r + 1]]`.
    """

    values: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> np.ndarray:
        return self.values[self.starts[row] : self.starts[row + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """int64 (rows,)."""
        return np.diff(self.starts)

    @property
    def rows(self) -> np.ndarray:
        """int64 (P,): the row that each value stands in."""
        return np.repeat(np.arange(len(self)), self.lengths)


@dataclass(frozen=True)
class Examples:
    """The E distinct examples of a training.

    Attributes:
        doc_ids: object (E,), None where unknown.
        label_ids, mask_sums: int64 (E,), UNKNOWN where unknown.
        hashes: uint64, E rows.
        chunk_index: int64, E rows; empty rows where unknown.
        vectors: float32 (P, K), a sketch or the vector of each hash, or None.
    """

    doc_ids: np.ndarray
    label_ids: np.ndarray
    mask_sums: np.ndarray
    hashes: Ragged
    chunk_index: Ragged
    vectors: np.ndarray | None

    def __len__(self) -> int:
        return len(self.label_ids)


@dataclass(frozen=True)
class Steps:
    """The T steps of a training.

    Attributes:
        epochs: int64 (T,), from 1.
        losses, learning_rates: float64 (T,); a loss is NaN also where it was no number.
        loss_known: bool (T,).
        padded_lengths: int64 (T,), UNKNOWN where unknown.
        mask_given: int64 (T,): 1, 0, or UNKNOWN.
        examples: int64, T rows; empty where unknown.
    """

    epochs: np.ndarray
    losses: np.ndarray
    loss_known: np.ndarray
    learning_rates: np.ndarray
    padded_lengths: np.ndarray
    mask_given: np.ndarray
    examples: Ragged

    def __len__(self) -> int:
        return len(self.epochs)


@dataclass(frozen=True)
class Predictions:
    """B answers on held-out examples.

    Attributes:
        doc_ids: object (B,), None where unknown.
        label_ids, mask_sums: int64 (B,), UNKNOWN where unknown; a label of -1 is one that train never saw.
        hashes: uint64, B rows.
        probs: float64 (B, C).
        splits: object (B,).
        vectors: float32 (P, K), a sketch of each hash's vector, or None.
    """

    doc_ids: np.ndarray
    label_ids: np.ndarray
    mask_sums: np.ndarray
    hashes: Ragged
    probs: np.ndarray
    splits: np.ndarray
    vectors: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.label_ids)

    @cached_property
    def predicted(self) -> np.ndarray:
        """int64 (B,); the first class where a probability is no number."""
        return np.argmax(np.nan_to_num(self.probs, nan=-np.inf), axis=1) if len(self) else np.zeros(0, np.int64)


@dataclass(frozen=True)
class Vectors:
    """The N vectors as the encoder made them.

    Attributes:
        doc_ids, splits: object (N,).
        chunk_index, label_ids, predicted: int64 (N,), UNKNOWN where unknown; `predicted` by the chunk model.
        hashes: uint64 (N,).
        values: float32 (N, K): their sketches; None where there are none.
    """

    doc_ids: np.ndarray
    splits: np.ndarray
    chunk_index: np.ndarray
    label_ids: np.ndarray
    predicted: np.ndarray
    hashes: np.ndarray
    values: np.ndarray | None

    def __len__(self) -> int:
        return len(self.hashes)

    def of(self, wanted: np.ndarray) -> Vectors:
        """Return the rows where `wanted`, bool (N,)."""
        values = None if self.values is None else self.values[wanted]
        columns = (self.doc_ids, self.splits, self.chunk_index, self.label_ids, self.predicted, self.hashes)
        return Vectors(*(column[wanted] for column in columns), values)

    @cached_property
    def train(self) -> Vectors:
        return self.of(self.splits == "train")

    @cached_property
    def held_out(self) -> Vectors:
        return self.of((self.splits != "train") & (self.splits != "excluded"))


@dataclass(frozen=True)
class Training:
    """One training, as far as it is known.

    Attributes:
        name: of its trace or stage.
        kind: "chunks" or "documents".
        num_classes: C.
        labels: the classes in order, or None.
        num_documents, weights_loaded, weights_expected: None where unknown.
        optimizer: name and parameters, or None.
        readings: a dict of numbers for each epoch; None stands for what was not finite.
        weights: what trace.json says of each trained array.
        probe: what trace.json says of it, or None.
        finished: whether it came to its end.
        has_trace: whether steps and examples were recorded.
        kept_epoch: whose weights were kept; None for the last one's.
        trains_nothing: whether trace.json says that no array is trained.
        multi_label: whether an example has any number of labels; what is known of them is UNKNOWN then.
        uninformed_loss: of who knows only how frequent the labels are, where it is not their entropy; else None.
    """

    name: str
    kind: str
    num_classes: int
    labels: Sequence[str] | None
    num_documents: int | None
    weights_loaded: int | None
    weights_expected: int | None
    optimizer: dict[str, Any] | None
    readings: Sequence[dict[str, Any]]
    weights: Sequence[dict[str, Any]]
    probe: dict[str, Any] | None
    finished: bool
    examples: Examples
    steps: Steps
    held_out: Predictions
    has_trace: bool = True
    kept_epoch: int | None = None
    trains_nothing: bool = False
    multi_label: bool = False
    uninformed_loss: float | None = None


@dataclass(frozen=True)
class Run:
    """What a run directory says beside its trainings.

    Attributes:
        out_of_date: pairs (stage, parent) where the stage was made from another parent than there is now.
        unfinished: names of stages that were begun and not finished.
        details: the chunk stage's.
        splits, label_ids, near_duplicate: of each document, object, int64 and bool.
        num_chunks, num_dropped, num_tokens, num_unknown: of each document, int64.
        tfidf_svm_accuracy: on test, where evaluate has measured it.
        with_words: names of heads that are joined with words.
        label_f1s: of documents with any number of labels, what evaluate has measured: a dict for each head and split, of `model`, `data`,
            `micro_f1`, `guessing` (the most frequent labels for every document) and `words` (TF-IDF + linear SVM).
    """

    out_of_date: Sequence[tuple[str, str]]
    unfinished: Sequence[str]
    details: dict[str, Any]
    splits: np.ndarray
    label_ids: np.ndarray
    near_duplicate: np.ndarray
    num_chunks: np.ndarray
    num_dropped: np.ndarray
    num_tokens: np.ndarray
    num_unknown: np.ndarray
    tfidf_svm_accuracy: float | None
    with_words: Sequence[str] = ()
    label_f1s: Sequence[dict[str, Any]] = ()


@dataclass(frozen=True)
class Evidence:
    """One document model with the chunk model and the vectors that it came from; each of them may be missing."""

    chunks: Training | None = None
    documents: Training | None = None
    made: Vectors | None = None
    run: Run | None = None
    keep: dict[str, Any] = field(default_factory=dict, compare=False)  # what was computed once: see `once`

    @property
    def trainings(self) -> list[Training]:
        """The trainings that there are, the chunk model's first."""
        return [training for training in (self.chunks, self.documents) if training is not None]

    @property
    def label_f1s(self) -> list[dict[str, Any]]:
        """What evaluate has measured of the document model, alone or with words, on any number of labels; see `Run.label_f1s`."""
        if self.run is None or self.documents is None:
            return []
        return [row for row in self.run.label_f1s if row["model"].removesuffix(JOINED) == self.documents.name]

    @property
    def multi_label(self) -> bool:
        """Whether a model answers with any number of labels."""
        return any(training.multi_label for training in self.trainings)

    def once(self, name: str, compute: Any) -> Any:
        """Return `compute(self)`, computed at the first call of this name."""
        if name not in self.keep:
            self.keep[name] = compute(self)
        return self.keep[name]
