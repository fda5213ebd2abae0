"""Does each document hold the vectors that were made from its chunks: those, all of them, in order? By hashes."""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Examples, Predictions, Ragged, Vectors
from hierdoc.diagnosis.findings import CAUSE, NOTE, Finding, few, share
from hierdoc.diagnosis.identity import NONE, Placed, placed_held_out, placed_training
from hierdoc.diagnosis.thresholds import ANY_FOREIGN, FEWEST_TO_COMPARE, LEFT_OUT, OUT_OF_ORDER, SAME_BUT_CHANGED

MOST_PAIRED = 200  # documents whose first vectors are compared, each with each


def stages_out_of_date(evidence: Evidence) -> Finding | None:
    """A stage of a run that was made from another parent than there is now."""
    if evidence.run is None or not evidence.run.out_of_date:
        return None
    lines = [
        f"{name} was made from another {parent} than the run holds now" for name, parent in evidence.run.out_of_date
    ]
    stale = any(name == "embed" or name.startswith("heads/") for name, _ in evidence.run.out_of_date)
    return Finding("stages-out-of-date", "Stages do not fit each other", lines, CAUSE if stale else NOTE)


def vectors_never_made(evidence: Evidence) -> Finding | None:
    """Vectors in training, or in dev, that are none of those that were noted when they were made."""
    training, made = evidence.documents, evidence.made
    if training is None or made is None:
        return None
    lines, worst, foreign_sides = [], 0.0, []
    for of, hashes, noted in (
        ("training", training.examples.hashes.values, made.hashes),
        ("held-out", training.held_out.hashes.values, made.hashes if len(made.held_out) else []),
    ):
        if len(hashes) and len(noted):
            foreign = ~np.isin(hashes, noted)
            if foreign.any():
                lines.append(
                    f"{training.name}: {share(int(foreign.sum()), len(hashes), f'{of} vectors')} are none of those made"
                )
                worst = max(worst, foreign.mean())
                foreign_sides.append(of)
    if not lines:
        return None
    if "training" in foreign_sides and _changed_only(evidence):
        lines.append("they keep the distances of those made: they were scaled, standardised or rounded since")
        return Finding("vectors-never-made", "Vectors were changed after they were made", lines, NOTE)
    title = "Vectors are used that were never made: stale, or of another encoder"
    return Finding("vectors-never-made", title, lines, CAUSE if worst >= ANY_FOREIGN else NOTE)


def _changed_only(evidence: Evidence) -> bool:
    """Return whether the vectors learned from are those made for the same chunks, changed in a way that keeps their distances."""
    training, made = evidence.documents, evidence.made
    if training is None or made is None or made.values is None or training.examples.vectors is None:
        return False
    examples, train = training.examples, made.train
    rows: dict[str, list[int]] = {}
    for row, doc_id in enumerate(train.doc_ids.tolist()):
        rows.setdefault(doc_id, []).append(row)
    pairs = []
    for example in np.random.default_rng(0).permutation(len(examples))[:MOST_PAIRED].tolist():
        made_rows = rows.get(examples.doc_ids[example], [])
        foreign = ~np.isin(examples.hashes[example][:1], made.hashes)
        if examples.hashes.lengths[example] == len(made_rows) > 0 and foreign.all():
            pairs.append((made_rows[0], int(examples.hashes.starts[example])))
    if len(pairs) < FEWEST_TO_COMPARE:
        return False
    sides = train.values[[one for one, _ in pairs]], examples.vectors[[other for _, other in pairs]]
    if not all(np.isfinite(side).all() for side in sides):
        return False
    upper = np.triu_indices(len(pairs), 1)
    one, other = (np.linalg.norm(side[upper[0]] - side[upper[1]], axis=1) for side in sides)
    return bool(one.std() > 0 and other.std() > 0 and np.corrcoef(one, other)[0, 1] > SAME_BUT_CHANGED)


def vectors_of_other_documents(evidence: Evidence) -> Finding | None:
    """Documents that hold vectors that were made from another document's chunks."""
    lines, worst = [], 0.0
    for of, hashes, placed in _both_sides(evidence):
        wrong = placed.misplaced(hashes.rows)
        if not wrong.any():
            continue
        examples = np.unique(hashes.rows[wrong])
        lines.append(
            f"{of}: {share(len(examples), len(hashes), 'documents')} hold vectors of other documents, "
            f"{share(int(wrong.sum()), len(wrong), 'vectors')}"
        )
        piece = int(np.flatnonzero(wrong)[0])
        own, other = placed.docs[hashes.rows[piece]], placed.piece_docs[piece]
        lines.append(f"{of}: such as {few([placed.names[own]])} with one of {few([placed.names[other]])}")
        worst = max(worst, wrong.mean())
    if not lines:
        return None
    title = "Documents hold vectors of other documents"
    return Finding("vectors-of-other-documents", title, lines, CAUSE if worst >= ANY_FOREIGN else NOTE)


def chunks_out_of_order(evidence: Evidence) -> Finding | None:
    """Documents whose chunks do not stand in the order of their numbers."""
    lines, worst = [], 0.0
    for of, hashes, placed in _both_sides(evidence):
        index = _numbers(evidence, of, placed)
        wrong, num = _unordered(index, hashes, placed)
        if wrong:
            lines.append(f"{of}: {share(wrong, num, 'documents of several chunks')} have them in another order")
            worst = max(worst, wrong / num)
    if not lines and evidence.documents is not None and placed_training(evidence) is None:
        examples = evidence.documents.examples
        if len(examples.chunk_index.values) == len(examples.hashes.values):
            index = np.where(examples.chunk_index.values == UNKNOWN, NONE, examples.chunk_index.values)
            wrong, num = _unordered(index, examples.hashes, None)
            if wrong:
                lines.append(f"training: {share(wrong, num, 'documents of several chunks')} have them in another order")
                worst = wrong / num
    if not lines:
        return None
    return Finding(
        "chunks-out-of-order", "Chunks stand in another order", lines, CAUSE if worst >= OUT_OF_ORDER else NOTE
    )


def _numbers(evidence: Evidence, of: str, placed: Placed) -> np.ndarray:
    """Return the number within its document that each piece was made with; NONE where that can't be known."""
    made = evidence.made.train if of == "training" else evidence.made.held_out
    times = np.bincount(placed.made_hash_ids)
    once = (placed.rows >= 0) & (times[placed.hash_ids] == 1)
    index = np.where(once, made.chunk_index[placed.rows], NONE)
    return np.where(index == UNKNOWN, NONE, index)


def _unordered(index: np.ndarray, hashes: Ragged, placed: Placed | None) -> tuple[int, int]:
    """Return (examples with a chunk before one of a lower number, examples with two numbered chunks or more).

    Only pieces of one document are compared.
    """
    owners = hashes.rows
    usable = index >= 0
    if placed is not None:
        usable &= ~placed.misplaced(owners)
    owners, index = owners[usable], index[usable]
    same = np.diff(owners) == 0
    falls = same & (np.diff(index) < 0)
    return len(np.unique(owners[1:][falls])), len(np.unique(owners[1:][same]))


def chunks_left_out(evidence: Evidence) -> Finding | None:
    """Chunks of the documents in use that were made and are in no example."""
    found = [line for line in (_left_out(*side) for side in _both_sides(evidence)) if line is not None]
    chunks, documents = evidence.chunks, evidence.documents
    if not found and chunks is not None and documents is not None:
        if placed_training(evidence) is None and not len(chunks.steps.examples.values):
            found += _fewer_than_cut("training", chunks.examples, documents.examples)
        if placed_held_out(evidence) is None:
            found += _fewer_than_cut("held-out", chunks.held_out, documents.held_out)
    if not found:
        return None
    worst = max(part for _, part in found)
    title = "Chunks are left out of their documents"
    return Finding("chunks-left-out", title, [line for line, _ in found], CAUSE if worst >= LEFT_OUT else NOTE)


def _left_out(of: str, hashes: Ragged, placed: Placed) -> tuple[str, float] | None:
    """Return (a line, the share left out), or None where all are used, or documents are sampled anew each time."""
    owners = hashes.rows
    docs = placed.docs[owners]
    usable = (placed.hash_ids >= 0) & (docs >= 0) & ~placed.misplaced(owners)
    if not usable.any():
        return None
    several = len(placed.docs[placed.docs >= 0]) > 1.2 * len(np.unique(placed.docs[placed.docs >= 0]))
    width = int(placed.made_hash_ids.max()) + 1
    used = np.unique(docs[usable] * width + placed.hash_ids[usable])
    known = np.isin(placed.made_docs, np.unique(docs[usable]))
    made = np.unique(placed.made_docs[known] * width + placed.made_hash_ids[known])
    missing = np.setdiff1d(made, used)
    if several or not len(missing):  # several examples of a document: its chunks are drawn
        return None
    num_docs = len(np.unique(missing // width))
    line = f"{of}: {share(len(missing), len(made), 'chunks')} of {num_docs:,} documents are in no example"
    return line + _where(missing, made, width, placed), len(missing) / len(made)


def _where(missing: np.ndarray, made: np.ndarray, width: int, placed: Placed) -> str:
    """Return which end of the documents is missing, if it is one end."""
    keys = placed.made_docs * width + placed.made_hash_ids
    distinct, first = np.unique(keys, return_index=True)  # vectors are noted in the order of their chunks
    is_missing, order = np.isin(distinct, missing), np.argsort(first, kind="stable")
    docs, gone = (distinct // width)[order], is_missing[order]
    by_doc = np.argsort(docs, kind="stable")
    docs, gone = docs[by_doc], gone[by_doc]
    inside = np.diff(docs) == 0
    begins, ends = inside & gone[:-1] & ~gone[1:], inside & ~gone[:-1] & gone[1:]
    if ends.any() and not begins.any():
        return "; always the last ones"
    return "; always the first ones" if begins.any() and not ends.any() else ""


def _fewer_than_cut(
    of: str, chunks: Examples | Predictions, documents: Examples | Predictions
) -> list[tuple[str, float]]:
    """Return (a line, the share left out), or nothing, by the number of a document's distinct chunks in both trainings."""
    cut: dict[str, set[int]] = {}
    for row, doc_id in enumerate(chunks.doc_ids.tolist()):
        if doc_id is not None:
            cut.setdefault(doc_id, set()).update(chunks.hashes[row].tolist())
    used: dict[str, int] = {}
    for doc_id, length in zip(documents.doc_ids.tolist(), documents.hashes.lengths.tolist(), strict=True):
        if doc_id in cut and length:
            used[doc_id] = max(used.get(doc_id, 0), length)
    shorter = {doc_id: len(cut[doc_id]) - num for doc_id, num in used.items() if num < len(cut[doc_id])}
    if not shorter:
        return []
    total, missing = sum(len(cut[doc_id]) for doc_id in used), sum(shorter.values())
    line = f"{of}: {share(missing, total, 'chunks')} of {len(shorter):,} documents are in no example"
    return [(line, missing / total)]


def chunks_repeated(evidence: Evidence) -> Finding | None:
    """Documents that hold one vector several times where it was made once."""
    lines, worst = [], 0.0
    for of, hashes, placed in _both_sides(evidence):
        usable = (placed.hash_ids >= 0) & (placed.docs[hashes.rows] >= 0) & ~placed.misplaced(hashes.rows)
        width = int(placed.made_hash_ids.max()) + 1
        pairs, counts = np.unique(hashes.rows[usable] * width + placed.hash_ids[usable], return_counts=True)
        made, times = np.unique(placed.made_docs * width + placed.made_hash_ids, return_counts=True)
        keys = placed.docs[pairs // width] * width + pairs % width
        at = np.minimum(np.searchsorted(made, keys), len(made) - 1)
        allowed = np.where(made[at] == keys, times[at], 1)
        repeated = np.unique((pairs // width)[counts > allowed])
        if len(repeated):
            lines.append(
                f"{of}: {share(len(repeated), len(hashes), 'documents')} hold a vector more often than it was made"
            )
            worst = max(worst, len(repeated) / len(hashes))
    for of, made in _made_sides(evidence):
        names, docs = np.unique(made.doc_ids.astype(str), return_inverse=True)
        several = np.bincount(docs) > 1
        pairs, times = np.unique(np.stack([docs.astype(np.uint64), made.hashes]), axis=1, return_counts=True)
        alike = several & (np.bincount(pairs[0].astype(np.int64), minlength=len(names)) == 1)
        noted_again = np.gcd.reduce(times) > 1  # all of them so many times
        if alike.any() and not noted_again:
            num_alike, num = int(alike.sum()), int(several.sum())
            lines.append(
                f"{of}: {share(num_alike, num, 'documents of several chunks')} were made of one vector, repeated"
            )
            worst = max(worst, num_alike / num)
    if not lines:
        return None
    return Finding(
        "chunks-repeated", "Chunks are repeated within a document", lines, CAUSE if worst >= LEFT_OUT else NOTE
    )


def _both_sides(evidence: Evidence) -> list[tuple[str, Ragged, Placed]]:
    """Return (name, hashes, where they were made) of training and of what was held out, as far as they are known."""
    if evidence.documents is None:
        return []
    sides = [
        ("training", evidence.documents.examples.hashes, placed_training(evidence)),
        ("held-out", evidence.documents.held_out.hashes, placed_held_out(evidence)),
    ]
    return [(name, hashes, placed) for name, hashes, placed in sides if placed is not None]


def _made_sides(evidence: Evidence) -> list[tuple[str, Vectors]]:
    """Return (name, vectors) of both sides as far as they were noted when they were made, those whose document is known."""
    if evidence.made is None:
        return []
    sides = [("training", evidence.made.train), ("held-out", evidence.made.held_out)]
    known = [(of, made.of(np.asarray([doc is not None for doc in made.doc_ids], bool))) for of, made in sides]
    return [(of, made) for of, made in known if len(made)]
