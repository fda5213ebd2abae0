"""Are training's and the held-out vectors those of one encoder, the chunk model's?

Where the chunk model's classes for the vectors were noted, they are compared with what it said at fine-tuning: of the same
held-out chunks, and of training as a whole. Only where they were not must the vectors' own places decide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.accuracies import TRAIN_ACCURACY, chunk_rate, held_out_rate, last_reading, rate_of
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Vectors
from hierdoc.diagnosis.findings import CAUSE, MEASURED, NOTE, Finding, percent
from hierdoc.diagnosis.pairing import OTHER_FREQUENCIES, VECTORS, answers_elsewhere, broken_pairs
from hierdoc.diagnosis.pairs import held_out_features, training_features
from hierdoc.diagnosis.probes import own_side
from hierdoc.diagnosis.renaming import find_renaming
from hierdoc.diagnosis.statistics import Rate, at_least
from hierdoc.diagnosis.strays import answered_otherwise, may_be_an_earlier_epochs, region_of_training_only
from hierdoc.diagnosis.thresholds import (
    AT_CHANCE,
    FEWEST_TO_COMPARE,
    OTHER_LENGTH,
    OUTSIDE,
    PAIRING_GAP,
    READING_GAP,
    SEPARATE,
    SIGNIFICANT,
)


def held_out_vectors_foreign(evidence: Evidence) -> Finding | None:
    """Held-out and training vectors of two kinds: another encoder's, or another scale."""
    lines = _worse_than_at_finetuning(evidence) or _named_elsewhere(evidence) or _of_other_length(evidence)
    lines = [*lines, *region_of_training_only(evidence)]
    broken = broken_pairs(evidence)
    if broken is not None and broken.part == VECTORS:
        lines = [*lines, *broken.lines]
    if not lines and not _are_its_own(evidence):
        lines = _apart(evidence)
    title, weight = "Held-out and training vectors are of two kinds", CAUSE
    if not lines and (pairs := _same_chunks(evidence)) is not None:
        lines, are_many = answered_otherwise(pairs.before, pairs.stored, pairs.owners)
        title = "The vectors are not what the chunk model made of these chunks at fine-tuning"
        weight = CAUSE if are_many and not may_be_an_earlier_epochs(evidence.chunks) else NOTE
    return Finding("held-out-vectors-foreign", title, lines, weight, MEASURED) if lines else None


def _of_other_length(evidence: Evidence) -> list[str]:
    """Return lines about held-out vectors that are much longer or shorter than training's."""
    train, held_out = training_features(evidence), held_out_features(evidence)
    if train is None or held_out is None or min(len(train), len(held_out)) < FEWEST_TO_COMPARE:
        return []
    norms = [np.linalg.norm(side.means, axis=1) for side in (train, held_out)]
    low, high = np.quantile(norms[0], [0.01, 0.99])
    outside = max(float((norms[1] < low).mean()), float((norms[1] > high).mean()))
    times = float(np.median(norms[1]) / max(1e-12, np.median(norms[0])))
    if outside < OUTSIDE or 1 / OTHER_LENGTH < times < OTHER_LENGTH:
        return []
    return [
        f"the middle vector is {np.median(norms[0]):.3g} long in training and {np.median(norms[1]):.3g} held out; "
        f"{percent(outside)} of the held-out ones are longer, or shorter, than nearly all of training's"
    ]


def _apart(evidence: Evidence) -> list[str]:
    """Return lines about two sets of vectors that do not overlap."""
    train, held_out = training_features(evidence), held_out_features(evidence)
    if train is None or held_out is None or min(len(train), len(held_out)) < FEWEST_TO_COMPARE:
        return []
    share_of_own, size = own_side(train.means, held_out.means)
    if share_of_own < SEPARATE:
        return []
    return [
        f"of {size:,} documents of each side, {percent(share_of_own)} and more lie nearest to one of their own side "
        "(of one encoder: half)"
    ]


def _worse_than_at_finetuning(evidence: Evidence) -> list[str]:
    """Return lines about held-out documents that the chunk model names worse by their stored vectors than at fine-tuning."""
    pairs = _same_chunks(evidence)
    if pairs is None:
        return []
    before, stored = pairs.before == pairs.labels, pairs.stored == pairs.labels
    lost, gained, num = _by_document(before, stored, pairs.owners)
    if at_least(lost, lost + gained, 0.5) >= SIGNIFICANT:
        return []
    return [
        f"the chunk model named {percent(before.mean())} of the held-out chunks at fine-tuning, and {percent(stored.mean())} "
        "by their stored vectors",
        f"of {num:,} documents, {lost:,} are named worse and {gained:,} better",
    ]


def _by_document(before: np.ndarray, stored: np.ndarray, owners: np.ndarray) -> tuple[int, int, int]:
    """Return how many documents have fewer right chunks than before, how many more, how many there are."""
    names, docs = np.unique(owners, return_inverse=True)
    change = np.bincount(docs, stored.astype(float) - before.astype(float), len(names))
    return int((change < 0).sum()), int((change > 0).sum()), len(names)


@dataclass(frozen=True)
class SameChunks:
    """M held-out chunks that were classified at fine-tuning, and by their stored vectors.

    Attributes:
        before, stored, labels: int64 (M,), the classes given then, by the vectors, and the right ones.
        owners: str (M,), the documents.
    """

    before: np.ndarray
    stored: np.ndarray
    labels: np.ndarray
    owners: np.ndarray


def _same_chunks(evidence: Evidence) -> SameChunks | None:
    """Return the held-out chunks that are known on both sides.

    They are matched by document and order; without ids by order alone, if both have the same labels, and not sorted.
    """
    if evidence.chunks is None or evidence.made is None or not len(evidence.chunks.held_out):
        return None
    answers, made = evidence.chunks.held_out, _in_order(evidence.made.held_out)
    if (made.predicted == UNKNOWN).any() or not len(made):
        return None
    if all(doc_id is not None for doc_id in answers.doc_ids):
        rows: dict[str, list[int]] = {}
        for row, doc_id in enumerate(made.doc_ids.tolist()):
            rows.setdefault(doc_id, []).append(row)
        asked: dict[str, list[int]] = {}
        for row, doc_id in enumerate(answers.doc_ids.tolist()):
            asked.setdefault(doc_id, []).append(row)
        both = [doc_id for doc_id, found in asked.items() if len(found) == len(rows.get(doc_id, []))]
        one = np.asarray([row for doc_id in both for row in asked[doc_id]], np.int64)
        other = np.asarray([row for doc_id in both for row in rows[doc_id]], np.int64)
    else:
        made = evidence.made.held_out
        if len(made) != len(answers) or (made.label_ids != answers.label_ids).any():
            return None
        if (np.diff(made.label_ids) != 0).sum() <= len(np.unique(made.label_ids)):
            return None
        one = other = np.arange(len(made))
    known = (answers.label_ids[one] != UNKNOWN) & (made.label_ids[other] == answers.label_ids[one])
    one, other = one[known], other[known]
    if not len(one):
        return None
    owners = made.doc_ids[other].astype(str)
    return SameChunks(answers.predicted[one], made.predicted[other], answers.label_ids[one], owners)


def _in_order(made: Vectors) -> Vectors:
    """Return vectors by document and number, those whose document is known."""
    known = np.asarray([doc_id is not None for doc_id in made.doc_ids], bool)
    made = made.of(known)
    order = np.lexsort((made.chunk_index, made.doc_ids.astype(str)))
    return made.of(order)


def _named_elsewhere(evidence: Evidence) -> list[str]:
    """Return lines about held-out vectors that the chunk model names worse than at fine-tuning, and by few classes."""
    rate, stored, predicted, labels, owners = _held_out_rates(evidence)
    if rate is None or stored is None or stored.below(rate.accuracy - PAIRING_GAP) >= SIGNIFICANT:
        return []
    renamed = find_renaming(labels, predicted).after >= rate.accuracy - PAIRING_GAP
    if renamed or not answers_elsewhere(predicted, labels, owners):
        return []
    return [
        f"chunk model on held-out chunks: {percent(rate.accuracy)} ({rate.source}); on their stored vectors: "
        f"{percent(stored.accuracy)}",
        OTHER_FREQUENCIES,
    ]


def _held_out_rates(evidence: Evidence) -> tuple[Rate | None, Rate | None, np.ndarray, np.ndarray, np.ndarray]:
    """Return (accuracy at fine-tuning, that of the stored vectors, their classes, labels and documents)."""
    nothing = np.zeros(0, np.int64)
    if evidence.made is None:
        return None, None, nothing, nothing, nothing
    made = evidence.made.held_out
    known = (made.predicted != UNKNOWN) & (made.label_ids != UNKNOWN)
    predicted, labels, owners = made.predicted[known], made.label_ids[known], made.doc_ids[known].astype(str)
    return held_out_rate(evidence.chunks), rate_of(predicted == labels, owners, "stored"), predicted, labels, owners


def _are_its_own(evidence: Evidence) -> bool:
    """Return whether the chunk model names the stored vectors of both sides as it named the chunks at fine-tuning."""
    rate, stored, *_ = _held_out_rates(evidence)
    if evidence.chunks is None or evidence.made is None or rate is None or stored is None:
        return False
    pairs = _same_chunks(evidence)
    if pairs is not None:
        lost, gained, _ = _by_document(pairs.before == pairs.labels, pairs.stored == pairs.labels, pairs.owners)
        same = at_least(lost, lost + gained, 0.5) > AT_CHANCE
    else:
        same = stored.below(rate.accuracy) > AT_CHANCE
    made = evidence.made.train
    known = (made.predicted != UNKNOWN) & (made.label_ids != UNKNOWN)
    learned = rate_of((made.predicted == made.label_ids)[known], made.doc_ids[known], "stored")
    chunk, reading = chunk_rate(evidence), last_reading(evidence.chunks, TRAIN_ACCURACY)
    if learned is None or chunk is None:
        return False
    least = chunk.accuracy if reading is None else reading - READING_GAP
    return same and learned.accuracy >= least
