"""Is what was held out held out, and is there enough to learn from?"""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.accuracies import (
    chunk_rate,
    good_chunk_rate,
    held_out_rate,
    is_surely_poor,
    rate_of,
    train_labels,
)
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Examples, Ragged, Training
from hierdoc.diagnosis.findings import CAUSE, INFERRED, MEASURED, NOTE, SYMPTOM, Finding, few, percent, share
from hierdoc.diagnosis.labels import label_of_document
from hierdoc.diagnosis.losses import memorised
from hierdoc.diagnosis.statistics import at_least, shares
from hierdoc.diagnosis.thresholds import (
    CONSISTENT,
    DROPPED,
    FEW_PER_CLASS,
    FEWEST_LEAKED,
    FEWEST_PER_CLASS,
    IN_SAMPLE,
    LEAKED,
    LEAKED_CHUNKS,
    NEAR_COPIES,
    SIGNIFICANT,
)


def leak(evidence: Evidence) -> Finding | None:
    """Held-out documents that training has seen: by ids and hashes, by their ids' labels, or by hashes alone."""
    found = [seen for training in evidence.trainings for seen in (_by_hashes(training), _by_ids(training))]
    if evidence.made is not None and evidence.documents is not None:
        found.append(_trained_on_held_out(evidence))
    found = [seen for seen in found if seen is not None]
    if not found:
        return None
    weight = CAUSE if any(hurts for _, hurts in found) else NOTE
    return Finding("leak", "Held-out documents were seen in training", [line for line, _ in found], weight)


def _by_hashes(training: Training) -> tuple[str, bool] | None:
    """Return (a line about held-out documents all of whose pieces are in training, whether they are too many)."""
    held_out, examples = training.held_out, training.examples
    usable = held_out.hashes.lengths > 0
    if not usable.any() or not len(examples.hashes.values):
        return None
    copied = np.ones(len(held_out), bool)
    np.logical_and.at(copied, held_out.hashes.rows, np.isin(held_out.hashes.values, examples.hashes.values))
    docs, are_ids = _documents_of(held_out.doc_ids[usable])
    whole = np.ones(docs.max() + 1, bool)
    np.logical_and.at(whole, docs, copied[usable])
    num = int(whole.sum())
    if not num:
        return None
    # The same content under the same id is the same document; under other ids it is a copy, of which corpora have some.
    seen = _content_of(examples.doc_ids, examples.hashes)
    content = _content_of(held_out.doc_ids, held_out.hashes)
    same = [doc_id for doc_id, hashes in content.items() if hashes <= seen.get(doc_id, set())]
    what = "documents" if are_ids or training.kind == "documents" else "chunks"
    forgiven = LEAKED if what == "documents" else LEAKED_CHUNKS
    telling = np.zeros(len(whole), bool)
    np.logical_or.at(telling, docs, _say_a_label(held_out.hashes, examples)[usable])
    copies = int((whole & telling).sum())
    hurts = len(same) >= FEWEST_LEAKED or at_least(copies, len(whole), forgiven) < SIGNIFICANT
    also = f", {len(same):,} of them by id as well" if same else ""
    return f"{training.name}: {share(num, len(whole), f'held-out {what}')} are equal to training's{also}", hurts


def _say_a_label(hashes: Ragged, examples: Examples) -> np.ndarray:
    """Return bool (rows,): those with a piece that has one label only in training; a letterhead alone gives no answer away."""
    owners = examples.hashes.rows
    pairs = np.unique(np.stack([examples.hashes.values, examples.label_ids[owners].astype(np.uint64)]), axis=1)
    values, times = np.unique(pairs[0], return_counts=True)
    found = np.zeros(len(hashes), bool)
    np.logical_or.at(found, hashes.rows, ~np.isin(hashes.values, values[times > 1]))
    return found


def _documents_of(doc_ids: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return (a number for each example's document, whether ids are known); without ids each is one by itself."""
    if any(doc_id is None for doc_id in doc_ids):
        return np.arange(len(doc_ids)), False
    return np.unique(doc_ids.astype(str), return_inverse=True)[1], True


def _content_of(doc_ids: np.ndarray, hashes: Ragged) -> dict[str, set[int]]:
    """Return the hashes that stand under each id."""
    content: dict[str, set[int]] = {}
    for row, doc_id in enumerate(doc_ids.tolist()):
        if doc_id is not None and hashes.lengths[row]:
            content.setdefault(doc_id, set()).update(hashes[row].tolist())
    return content


def _by_ids(training: Training) -> tuple[str, bool] | None:
    """Return (a line about held-out documents whose id is in training with the same label, whether they are too many).

    Two frames that are numbered from 0 share ids and are no leak: their documents' labels differ.
    """
    seen, held_out = label_of_document(training.examples), training.held_out
    pairs = {
        doc_id: (label, seen[doc_id])
        for doc_id, label in zip(held_out.doc_ids.tolist(), held_out.label_ids.tolist(), strict=True)
        if doc_id in seen and label != UNKNOWN
    }
    if not pairs:
        return None
    one, other = np.asarray(list(pairs.values()), np.int64).T
    by_chance = float((shares(np.concatenate([one, other])) ** 2).sum())
    if (one == other).mean() < CONSISTENT or by_chance ** len(one) >= SIGNIFICANT:
        return None
    num = len({doc_id for doc_id in held_out.doc_ids.tolist() if doc_id is not None})
    line = f"{training.name}: {share(len(pairs), num, 'held-out documents')} are in training: {few(sorted(pairs))}"
    return line, len(pairs) >= FEWEST_LEAKED


def _trained_on_held_out(evidence: Evidence) -> tuple[str, bool] | None:
    """Return (a line about vectors made for held-out documents that the document model learned from, whether they are too many)."""
    made, used = evidence.made.held_out, evidence.documents.examples.hashes.values
    learned = np.isin(made.hashes, used) & ~np.isin(made.hashes, evidence.made.train.hashes)
    if not learned.any():
        return None
    line = f"{evidence.documents.name}: {share(int(learned.sum()), len(made), 'held-out vectors')} are in training examples"
    return line, bool(learned.mean() > LEAKED)


def near_duplicates(evidence: Evidence) -> Finding | None:
    """Held-out documents of a run that are near-duplicates of training documents."""
    run = evidence.run
    if run is None:
        return None
    held_out = np.isin(run.splits, ["dev", "test"])
    num, of = int((run.near_duplicate & held_out).sum()), int(held_out.sum())
    if not num:
        return None
    lines = [f"{share(num, of, 'held-out documents')} are near-duplicates of training documents"]
    weight = CAUSE if num > NEAR_COPIES * of else NOTE
    return Finding("near-duplicates", "Held-out documents are near-duplicates of training's", lines, weight, MEASURED)


def chunks_dropped(evidence: Evidence) -> Finding | None:
    """Chunks that --max-chunks dropped when the run was cut."""
    run = evidence.run
    if run is None or not run.num_dropped.sum():
        return None
    dropped, total = int(run.num_dropped.sum()), int(run.num_dropped.sum() + run.num_chunks.sum())
    lines = [f"{share(dropped, total, 'chunks')} were dropped by --max-chunks"]
    return Finding("chunks-dropped", "Chunks were dropped", lines, CAUSE if dropped > DROPPED * total else NOTE)


def too_few_documents(evidence: Evidence) -> Finding | None:
    """Classes of very few documents; a cause where the model is at chance."""
    training = evidence.documents or evidence.chunks
    if training is None:
        return None
    labels = np.asarray(list(label_of_document(training.examples).values()), np.int64)
    if not len(labels) and training.kind == "documents":
        labels = train_labels(training)
    if not len(labels) and evidence.run is not None:
        labels = evidence.run.label_ids[evidence.run.splits == "train"]
    labels = labels[(labels >= 0) & (labels < training.num_classes)]
    if not len(labels):
        return None
    counts = np.bincount(labels)[np.unique(labels)]
    rare, middle = int((counts < FEWEST_PER_CLASS).sum()), float(np.median(counts))
    lost = is_surely_poor(evidence, training) and middle < FEW_PER_CLASS
    most_are = middle < FEWEST_PER_CLASS
    if not rare and not lost:
        return None
    lines = [f"{len(labels):,} training documents of {len(counts)} classes; the middle class has {middle:.0f}"]
    if rare:
        lines.append(f"{share(rare, len(counts), 'classes')} have fewer than {FEWEST_PER_CLASS}")
    rate = held_out_rate(training)
    if lost and rate is not None:
        lines.append(f"{training.name}: {percent(rate.accuracy)} on held-out data, which guessing reaches as well")
    title = "There are very few documents of a class"
    return Finding("too-few-documents", title, lines, CAUSE if lost or most_are else NOTE, INFERRED)


def only_memorised(evidence: Evidence) -> Finding | None:
    """A training loss near 0, and held-out accuracy at chance."""
    for training in reversed(evidence.trainings):
        rate, chunk = held_out_rate(training), good_chunk_rate(evidence)
        if rate is not None and is_surely_poor(evidence, training) and memorised(training):
            lines = [
                f"{training.name}: {percent(rate.accuracy)} on held-out data, and training examples are known by heart"
            ]
            if training.kind == "documents" and chunk is not None:
                lines.append(f"chunk model on held-out chunks: {percent(chunk.accuracy)}")
            title = "Training examples are learned by heart, and nothing else is"
            has_more = training.kind == "documents" and chunk is not None  # else there may be nothing to learn
            return Finding("only-memorised", title, lines, CAUSE if has_more else SYMPTOM, INFERRED)
    return None


def in_sample_vectors(evidence: Evidence) -> Finding | None:
    """Training vectors much better than held-out ones, because the encoder has seen their chunks."""
    chunk, made = chunk_rate(evidence), evidence.made
    if chunk is None or made is None:
        return None
    train = made.train
    known = (train.predicted != UNKNOWN) & (train.label_ids != UNKNOWN)
    seen = rate_of((train.predicted == train.label_ids)[known], train.doc_ids[known], "stored vectors")
    if seen is None or seen.accuracy < chunk.accuracy + IN_SAMPLE or chunk.below(seen.accuracy) >= SIGNIFICANT:
        return None
    lines = [
        f"chunk model: {percent(seen.accuracy)} of the chunks it learned, {percent(chunk.accuracy)} of held-out ones"
    ]
    title = "Training vectors are cleaner than those of unseen chunks"
    return Finding("in-sample-vectors", title, lines, NOTE)
