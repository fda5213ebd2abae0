"""Have documents been put together under one id?"""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Training
from hierdoc.diagnosis.findings import CAUSE, NOTE, Finding, share
from hierdoc.diagnosis.thresholds import CONSISTENT, MERGED


def documents_merged(evidence: Evidence) -> Finding | None:
    """Fewer ids than documents, or two different chunks with one number in one document."""
    return evidence.once("documents merged", _documents_merged)


def _documents_merged(evidence: Evidence) -> Finding | None:
    lists = _complete_lists(evidence)
    if not lists:
        return None
    lines, worst = [], 0.0
    expected = next((training.num_documents for training in reversed(evidence.trainings) if training.num_documents), 0)
    source, num = max(((source, len(set(doc_ids.tolist()))) for source, doc_ids, _, _ in lists), key=lambda row: row[1])
    if num < expected:
        lines.append(f"{source}: {num:,} ids for {expected:,} documents")
        worst = 1 - num / expected
    for source, doc_ids, chunk_index, hashes in lists:
        repeated, num = _repeated(doc_ids, chunk_index, hashes), len(set(doc_ids.tolist()))
        if 0 < repeated < CONSISTENT * num:  # more: the same documents were noted twice
            lines.append(f"{source}: {share(repeated, num, 'ids')} have two different chunks with the same number")
            worst = max(worst, repeated / num)
    if not lines:
        return None
    weight = CAUSE if worst >= MERGED else NOTE
    return Finding("documents-merged", "Several documents share one id", lines, weight)


def _complete_lists(evidence: Evidence) -> list[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Return (source, document, number and hash of each chunk) of the lists that hold every training document's chunks."""
    found = []
    chunks, made = evidence.chunks, evidence.made
    if chunks is not None and _holds_all(chunks):
        examples = chunks.examples
        index = np.full(len(examples), UNKNOWN, np.int64)
        if (examples.chunk_index.lengths == 1).all():
            index = examples.chunk_index.values
        hashes = np.zeros(len(examples), np.uint64)
        if (examples.hashes.lengths == 1).all():
            hashes = examples.hashes.values
        found.append((chunks.name, examples.doc_ids, index, hashes))
    if made is not None:
        found.append(("vectors", made.train.doc_ids, made.train.chunk_index, made.train.hashes))
    known = [np.asarray([doc_id is not None for doc_id in doc_ids], bool) for _, doc_ids, _, _ in found]
    return [
        (source, doc_ids[are].astype(str), index[are], hashes[are])
        for (source, doc_ids, index, hashes), are in zip(found, known, strict=True)
        if are.any()
    ]


def _holds_all(training: Training) -> bool:
    """Return whether the examples are those that were there, not those that the steps happened to see."""
    return len(training.examples) > 0 and not len(training.steps.examples.values)


def _repeated(doc_ids: np.ndarray, chunk_index: np.ndarray, hashes: np.ndarray) -> int:
    """Return how many documents have two different chunks with the same number."""
    known = chunk_index != UNKNOWN
    _, docs = np.unique(doc_ids[known], return_inverse=True)
    width = int(chunk_index[known].max(initial=0)) + 1
    places = docs * width + chunk_index[known]
    order = np.argsort(places, kind="stable")
    same_place = np.diff(places[order]) == 0
    other_chunk = np.diff(hashes[known][order].astype(np.int64)) != 0
    return len(np.unique(docs[order][1:][same_place & other_chunk]))
