"""The numeric state of the vectors, and whether train's and the held-out ones are of one kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierdoc.diagnosis.accuracies import held_out_rate, rate_of
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence
from hierdoc.diagnosis.findings import CAUSE, MEASURED, NOTE, SYMPTOM, Finding, percent, share
from hierdoc.diagnosis.identity import training_vectors
from hierdoc.diagnosis.labels import best_possible
from hierdoc.diagnosis.losses import broke
from hierdoc.diagnosis.pairing import OTHER_FREQUENCIES, VECTORS, answers_elsewhere, broken_pairs
from hierdoc.diagnosis.pairs import held_out_features, training_features
from hierdoc.diagnosis.probes import own_side
from hierdoc.diagnosis.renaming import find_renaming
from hierdoc.diagnosis.thresholds import (
    CONSTANT_SPREAD,
    EMPTY_SHARE,
    FEWEST_TO_COMPARE,
    HUGE_NORM,
    OUTSIDE,
    PAIRING_GAP,
    SAME_INPUT_BOUND,
    SAME_VECTOR_SHARE,
    SEPARATE,
    SIGNIFICANT,
    TINY_NORM,
    UNKNOWN_SHARE,
)


def _tables(evidence: Evidence) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, vectors (N, K), hashes (N,)) of what was made and of what was learned from."""
    if evidence.made is not None and evidence.made.values is not None:
        for side, name in ((evidence.made.train, "made"), (evidence.made.held_out, "made for held-out documents")):
            if len(side):
                yield name, side.values, side.hashes
    if evidence.documents is not None and evidence.documents.examples.vectors is not None:
        yield "learned from", training_vectors(evidence), evidence.documents.examples.hashes.values


def vectors_not_finite(evidence: Evidence) -> Finding | None:
    """Vectors with NaN or infinite numbers."""
    lines = []
    for name, values, _ in _tables(evidence):
        wrong = ~np.isfinite(values).all(axis=1)
        if wrong.any():
            lines.append(f"{share(int(wrong.sum()), len(values), f'vectors {name}')} hold NaN or infinite numbers")
    if not lines:
        return None
    weight = SYMPTOM if evidence.chunks is not None and broke(evidence.chunks) else CAUSE  # of an encoder that is NaN
    return Finding("vectors-not-finite", "Vectors hold numbers that are no numbers", lines, weight)


def vectors_constant(evidence: Evidence) -> Finding | None:
    """Vectors that are all the same, or most of them."""
    for name, values, hashes in _tables(evidence):
        finite = np.isfinite(values).all(axis=1)
        values, hashes = values[finite].astype(np.float64), hashes[finite]
        if len(values) < FEWEST_TO_COMPARE:
            continue
        size = float(np.sqrt((values**2).sum(axis=1).mean()))
        spread = float(np.sqrt(values.var(axis=0).sum()))
        _, counts = np.unique(hashes, return_counts=True)
        if spread <= CONSTANT_SPREAD * size:
            lines = [f"vectors {name}: they differ by {spread:.1e}, and are {size:.3g} long"]
            return Finding("vectors-constant", "All vectors are the same", lines, _of_equal_texts(evidence))
        if counts.max() > SAME_VECTOR_SHARE * len(hashes):
            lines = [f"{share(int(counts.max()), len(hashes), f'vectors {name}')} are one and the same"]
            return Finding("vectors-constant", "Most vectors are the same", lines, _of_equal_texts(evidence))
    return None


def _of_equal_texts(evidence: Evidence) -> str:
    """Return the weight of equal vectors: a symptom where the chunks that they were made from are equal already."""
    texts_are_equal = evidence.chunks is not None and best_possible(evidence.chunks)[0] < SAME_INPUT_BOUND
    return SYMPTOM if texts_are_equal else CAUSE


def vectors_out_of_scale(evidence: Evidence) -> Finding | None:
    """Vectors too long or too short for a head that starts from small weights."""
    for name, values, _ in reversed(list(_tables(evidence))):
        norms = np.linalg.norm(values[np.isfinite(values).all(axis=1)].astype(np.float64), axis=1)
        middle = float(np.median(norms)) if len(norms) else 1.0
        if middle > HUGE_NORM or middle < TINY_NORM:
            kind = "long" if middle > HUGE_NORM else "short"
            line = f"vectors {name}: the middle one is {middle:.3g} long; [CLS] vectors are 5 to 30"
            return Finding("vectors-out-of-scale", f"Vectors are very {kind}", [line], CAUSE, MEASURED)
    return None


def held_out_vectors_foreign(evidence: Evidence) -> Finding | None:
    """Held-out and training vectors of two kinds: another encoder's, or another scale."""
    lines = _apart(evidence) or _known_otherwise(evidence)
    broken = broken_pairs(evidence)
    if broken is not None and broken.part == VECTORS:
        lines = [*lines, *broken.lines]
    title = "Held-out and training vectors are of two kinds"
    return Finding("held-out-vectors-foreign", title, lines, CAUSE, MEASURED) if lines else None


def _apart(evidence: Evidence) -> list[str]:
    """Return lines about two sets of vectors that do not overlap, or do not in length."""
    train, held_out = training_features(evidence), held_out_features(evidence)
    if train is None or held_out is None or min(len(train), len(held_out)) < FEWEST_TO_COMPARE:
        return []
    share_of_own, size = own_side(train.means, held_out.means)
    norms = [np.linalg.norm(side.means, axis=1) for side in (train, held_out)]
    low, high = np.quantile(norms[0], [0.01, 0.99])
    outside = max(float((norms[1] < low).mean()), float((norms[1] > high).mean()))
    if share_of_own < SEPARATE and outside < OUTSIDE:
        return []
    return [
        f"of {size:,} documents of each side, {percent(share_of_own)} and more lie nearest to one of their own side "
        "(of one encoder: half)",
        f"their vectors' middle length: {np.median(norms[0]):.3g} in training, {np.median(norms[1]):.3g} held out",
    ]


def _known_otherwise(evidence: Evidence) -> list[str]:
    """Return lines about held-out vectors that the chunk model names worse than it named the chunks at fine-tuning."""
    rate = held_out_rate(evidence.chunks)
    if rate is None or evidence.made is None:
        return []
    held_out = evidence.made.held_out
    known = (held_out.predicted != UNKNOWN) & (held_out.label_ids != UNKNOWN)
    predicted, labels = held_out.predicted[known], held_out.label_ids[known]
    stored = rate_of(predicted == labels, held_out.doc_ids[known], "stored vectors")
    if stored is None or stored.below(rate.accuracy - PAIRING_GAP) >= SIGNIFICANT:
        return []
    renamed = find_renaming(labels, predicted).after >= rate.accuracy - PAIRING_GAP
    if renamed or not answers_elsewhere(predicted, labels, held_out.doc_ids[known].astype(str)):
        return []
    return [
        f"chunk model on held-out chunks: {percent(rate.accuracy)} ({rate.source}); on their stored vectors: "
        f"{percent(stored.accuracy)}",
        OTHER_FREQUENCIES,
    ]


def examples_empty(evidence: Evidence) -> Finding | None:
    """Examples without any token or chunk."""
    for training in evidence.trainings:
        sums = training.examples.mask_sums[training.examples.mask_sums != UNKNOWN]
        empty = int((sums <= 0).sum())
        if empty:
            line = f"{training.name}: {share(empty, len(sums), 'examples')} hold no {_piece(training.kind)} at all"
            weight = CAUSE if empty > EMPTY_SHARE * len(sums) else NOTE
            return Finding("examples-empty", "Examples are empty", [line], weight)
    return None


def _piece(kind: str) -> str:
    return "token" if kind == "chunks" else "chunk"


def tokens_unknown(evidence: Evidence) -> Finding | None:
    """Texts that the encoder's vocabulary does not know."""
    if evidence.run is None or not evidence.run.num_tokens.sum():
        return None
    unknown, tokens = int(evidence.run.num_unknown.sum()), int(evidence.run.num_tokens.sum())
    if unknown <= UNKNOWN_SHARE * tokens:
        return None
    lines = [f"{share(unknown, tokens, 'tokens')} are [UNK]"]
    return Finding("tokens-unknown", "The encoder's vocabulary does not know the texts", lines)
