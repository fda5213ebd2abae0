"""The numeric state of the vectors, and whether train's and the held-out ones are of one kind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence
from hierdoc.diagnosis.findings import CAUSE, MEASURED, NOTE, SYMPTOM, Finding, share
from hierdoc.diagnosis.identity import training_vectors
from hierdoc.diagnosis.labels import best_possible
from hierdoc.diagnosis.losses import broke
from hierdoc.diagnosis.thresholds import (
    AS_MANY,
    CONSTANT_SPREAD,
    EMPTY_SHARE,
    FEWEST_TO_COMPARE,
    HUGE_NORM,
    SAME_VECTOR_SHARE,
    TINY_NORM,
    UNKNOWN_SHARE,
)


def _tables(evidence: Evidence) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (name, vectors (N, K), hashes (N,)) of what was made, answered for, and learned from."""
    if evidence.made is not None and evidence.made.values is not None:
        for side, name in ((evidence.made.train, "made"), (evidence.made.held_out, "made for held-out documents")):
            if len(side):
                yield name, side.values, side.hashes
    answered = evidence.documents.held_out if evidence.documents is not None else None
    if answered is not None and answered.vectors is not None:
        yield "answered for", answered.vectors, answered.hashes.values
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
            return Finding("vectors-constant", "All vectors are the same", lines, _of_equal_texts(evidence, 1.0))
        if counts.max() > SAME_VECTOR_SHARE * len(hashes):
            lines = [f"{share(int(counts.max()), len(hashes), f'vectors {name}')} are one and the same"]
            return Finding(
                "vectors-constant",
                "Most vectors are the same",
                lines,
                _of_equal_texts(evidence, counts.max() / len(hashes)),
            )
    return None


def _of_equal_texts(evidence: Evidence, share_of_one: float) -> str:
    """Return the weight of equal vectors: a symptom where the chunks they were made from are equal and can't be told apart; a note
    where as many chunks are equal, such as a letterhead, and their documents hold others."""
    if evidence.chunks is None or not len(evidence.chunks.examples.hashes.values):
        return CAUSE
    if best_possible(evidence.chunks).is_low:
        return SYMPTOM
    _, counts = np.unique(evidence.chunks.examples.hashes.values, return_counts=True)
    as_many = counts.max() >= AS_MANY * share_of_one * counts.sum()
    return NOTE if as_many else CAUSE


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
