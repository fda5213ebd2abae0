"""Which of the vectors that were made an example holds, by their hashes; and what both say of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Ragged, Vectors

NONE, SEVERAL = -1, -2


@dataclass(frozen=True)
class Placed:
    """E examples of P pieces against N vectors that were made.

    Attributes:
        rows: int64 (P,), the first vector with a piece's hash; NONE where it was never made.
        hash_ids: int64 (P,), a number for each distinct hash among the made ones; NONE likewise.
        piece_docs: int64 (P,), the document that a piece was made under; NONE, or SEVERAL where equal vectors are of several.
        docs: int64 (E,), the document an example says it is, else the one most of its pieces are of; NONE if unknown.
        says: bool (E,), whether the example says it.
        labels: int64 (E,), the label noted for the document that an example says it is, else for its vectors; UNKNOWN where
            there is none, or several.
        names: the made documents' ids; the numbers above are places in it.
        made_docs, made_hash_ids: int64 (N,), of the vectors that were made.
    """

    rows: np.ndarray
    hash_ids: np.ndarray
    piece_docs: np.ndarray
    docs: np.ndarray
    says: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    made_docs: np.ndarray
    made_hash_ids: np.ndarray

    def misplaced(self, owners: np.ndarray) -> np.ndarray:
        """Return bool (P,): pieces that were made under another document than that of their example (int (P,))."""
        return (self.piece_docs >= 0) & (self.docs[owners] >= 0) & (self.piece_docs != self.docs[owners])


def place(hashes: Ragged, doc_ids: np.ndarray, made: Vectors) -> Placed:
    """Return where the vectors of some examples were made.

    Args:
        hashes: uint64, a row for each example.
        doc_ids: object (E,).
        made: all that were made, at least one.
    """
    names, made_docs = _numbered(made.doc_ids)
    distinct, first, made_hash_ids = np.unique(made.hashes, return_index=True, return_inverse=True)
    hash_ids = np.minimum(np.searchsorted(distinct, hashes.values), max(0, len(distinct) - 1))
    found = distinct[hash_ids] == hashes.values if len(distinct) else np.zeros(len(hash_ids), bool)
    hash_ids = np.where(found, hash_ids, NONE)
    doc_of_hash = _common(made_hash_ids, made_docs, len(distinct), SEVERAL)
    label_of_hash = _common(made_hash_ids, made.label_ids, len(distinct), UNKNOWN)
    piece_docs = np.where(found, doc_of_hash[hash_ids], NONE)
    piece_labels = np.where(found, label_of_hash[hash_ids], UNKNOWN)
    numbers = {name: number for number, name in enumerate(names.tolist())}
    said = np.asarray([numbers.get(doc_id, NONE) for doc_id in doc_ids], np.int64)
    docs = np.where(said >= 0, said, _most_frequent(piece_docs, hashes))
    known = piece_labels != UNKNOWN
    labels = _common(hashes.rows[known], piece_labels[known], len(hashes), UNKNOWN)
    if len(names):
        of_doc = _common(made_docs[made_docs >= 0], made.label_ids[made_docs >= 0], len(names), UNKNOWN)
        labels = np.where(said >= 0, of_doc[said], labels)
    return Placed(
        rows=np.where(found, first[hash_ids], NONE),
        hash_ids=hash_ids,
        piece_docs=piece_docs,
        docs=docs,
        says=said >= 0,
        labels=labels,
        names=names,
        made_docs=made_docs,
        made_hash_ids=made_hash_ids,
    )


def placed_training(evidence: Evidence) -> Placed | None:
    """Return where the vectors were made that the document model learned from; None where that can't be known."""
    return evidence.once("placed training", _place_training)


def placed_held_out(evidence: Evidence) -> Placed | None:
    """Return where the vectors of the held-out predictions were made; None where that can't be known."""
    return evidence.once("placed held-out", _place_held_out)


def _place_training(evidence: Evidence) -> Placed | None:
    training, made = evidence.documents, evidence.made
    if training is None or made is None or not len(training.examples.hashes.values) or not len(made.train):
        return None
    return place(training.examples.hashes, training.examples.doc_ids, made.train)


def _place_held_out(evidence: Evidence) -> Placed | None:
    training, made = evidence.documents, evidence.made
    if training is None or made is None or not len(training.held_out.hashes.values) or not len(made.held_out):
        return None
    return place(training.held_out.hashes, training.held_out.doc_ids, made.held_out)


def training_vectors(evidence: Evidence) -> np.ndarray | None:
    """Return the vectors (P, K) of the pieces that the document model learned from, NaN for those never made; or None."""
    return evidence.once("training vectors", _training_vectors)


def _training_vectors(evidence: Evidence) -> np.ndarray | None:
    if evidence.documents is None:
        return None
    if evidence.documents.examples.vectors is not None:
        return evidence.documents.examples.vectors
    placed = placed_training(evidence)
    if placed is None or evidence.made is None or evidence.made.values is None:
        return None
    return np.where((placed.rows >= 0)[:, None], evidence.made.train.values[placed.rows], np.nan)


def _numbered(doc_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (the distinct ids that are known, each row's place among them or NONE)."""
    known = np.asarray([doc_id is not None for doc_id in doc_ids], bool)
    names, places = np.unique(doc_ids[known].astype(str), return_inverse=True)
    numbers = np.full(len(doc_ids), NONE, np.int64)
    numbers[known] = places
    return names, numbers


def _common(groups: np.ndarray, values: np.ndarray, num: int, otherwise: int) -> np.ndarray:
    """Return the value that all members of each of `num` groups have, int64; `otherwise` where they differ or there are none."""
    low = np.full(num, np.iinfo(np.int64).max)
    high = np.full(num, np.iinfo(np.int64).min)
    np.minimum.at(low, groups, values)
    np.maximum.at(high, groups, values)
    return np.where(low == high, low, otherwise)


def _most_frequent(piece_docs: np.ndarray, hashes: Ragged) -> np.ndarray:
    """Return the document that most pieces of each example are of, or NONE."""
    owners, known = hashes.rows, piece_docs >= 0
    if not known.any():
        return np.full(len(hashes), NONE, np.int64)
    width = int(piece_docs.max()) + 1
    pairs, counts = np.unique(owners[known] * width + piece_docs[known], return_counts=True)
    order = np.argsort(counts, kind="stable")  # the most frequent is written last
    found = np.full(len(hashes), NONE, np.int64)
    found[pairs[order] // width] = pairs[order] % width
    return found
