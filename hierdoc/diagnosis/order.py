"""In which order the examples were seen, and which were not seen at all."""

from __future__ import annotations

import numpy as np

from hierdoc.diagnosis.accuracies import train_labels
from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Steps, Training
from hierdoc.diagnosis.findings import CAUSE, MEASURED, NOTE, PROVEN, Finding, percent, share
from hierdoc.diagnosis.identity import NONE, placed_training
from hierdoc.diagnosis.merging import documents_merged
from hierdoc.diagnosis.statistics import shares, standing
from hierdoc.diagnosis.thresholds import FEWEST_BATCHES, FEWEST_STEPS, NEVER_SEEN, REPEATED, SORTED, SURE_Z

MOST_STEPS = 2_000  # are looked at for their order
LIKE_LENGTH = 8  # documents of like length among which labels are dealt anew: an order by length is none by label


def sorted_by_label(evidence: Evidence) -> Finding | None:
    """Batches, or neighbouring ones, that hold one class much more often than shuffling gives."""
    for training in evidence.trainings:
        labels = train_labels(training)
        if not len(labels) or len(np.unique(labels)) < 2 or len(training.steps) < FEWEST_BATCHES:
            continue
        batches = _batches(training)
        if len(batches) < FEWEST_BATCHES:
            continue
        found, by_chance = _sameness(batches, training.examples.label_ids), float((shares(labels) ** 2).sum())
        if found - by_chance <= SORTED * (1 - by_chance):
            continue
        owners = _documents(training)
        expected, z = standing(found, lambda rng: _sameness(batches, _dealt_anew(training, owners, rng)))
        extra = (found - expected) / (1 - by_chance)
        if extra > SORTED and z > SURE_Z:
            lines = [
                f"{training.name}: two examples of a batch and the next have the same label in {percent(found)}; "
                f"{percent(expected)} if labels were dealt at random (z = {z:.0f})",
                f"{training.name}: {'the same order in every epoch' if _never_shuffled(training) else 'epochs differ'}",
            ]
            return Finding("sorted-by-label", "Examples come sorted by label", lines, CAUSE, MEASURED)
    return None


def _batches(training: Training) -> list[np.ndarray]:
    """Return the examples of each step whose examples and labels are known; an empty array between epochs."""
    steps, found = training.steps, []
    for at in range(min(len(steps), MOST_STEPS)):
        if at and steps.epochs[at] != steps.epochs[at - 1]:
            found.append(np.zeros(0, np.int64))
        members = steps.examples[at]
        found.append(members[training.examples.label_ids[members] != UNKNOWN])
    return found


def _sameness(batches: list[np.ndarray], label_ids: np.ndarray) -> float:
    """Return how often two different examples of one batch, or of a batch and the next, have the same label."""
    values, places = np.unique(label_ids[np.concatenate(batches)], return_inverse=True)
    counts = np.zeros((len(batches), len(values)))
    rows = np.repeat(np.arange(len(batches)), [len(members) for members in batches])
    np.add.at(counts, (rows, places), 1)
    sizes = counts.sum(axis=1)
    inside, of_inside = (counts * (counts - 1)).sum(), (sizes * (sizes - 1)).sum()
    between, of_between = (counts[:-1] * counts[1:]).sum(), (sizes[:-1] * sizes[1:]).sum()
    return float((inside + between) / max(1.0, of_inside + of_between))


def _documents(training: Training) -> np.ndarray:
    """Return a number for each example's document; an example whose document is unknown is one by itself."""
    numbers: dict[object, int] = {}
    keys = [(at,) if doc_id is None else doc_id for at, doc_id in enumerate(training.examples.doc_ids.tolist())]
    return np.asarray([numbers.setdefault(key, len(numbers)) for key in keys], np.int64)


def _dealt_anew(training: Training, owners: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the examples' labels after dealing the documents' labels anew, among documents of like length."""
    label_ids, lengths = training.examples.label_ids, training.examples.mask_sums
    known = label_ids != UNKNOWN
    num = int(owners.max()) + 1
    of_doc, length_of = np.full(num, UNKNOWN, np.int64), np.zeros(num, np.int64)
    of_doc[owners[known]] = label_ids[known]
    np.maximum.at(length_of, owners, lengths)
    docs = np.flatnonzero(of_doc != UNKNOWN)
    order = docs[np.lexsort((rng.random(len(docs)), length_of[docs]))]
    for start in range(0, len(order), LIKE_LENGTH):
        alike = order[start : start + LIKE_LENGTH]
        of_doc[alike] = of_doc[rng.permutation(alike)]
    return np.where(known, of_doc[owners], UNKNOWN)


def never_shuffled(evidence: Evidence) -> Finding | None:
    """The same order in every epoch, where it is no order by label."""
    names = [training.name for training in evidence.trainings if _never_shuffled(training)]
    if not names:
        return None
    lines = [f"{name}: the batches are the same in every epoch" for name in names]
    return Finding("never-shuffled", "Examples come in the same order in every epoch", lines, NOTE)


def _never_shuffled(training: Training) -> bool:
    """Return whether the first two whole epochs have the same examples in the same order, in two batches or more."""
    orders = [_order(training.steps, epoch) for epoch in np.unique(training.steps.epochs)[:2]]
    if len(orders) < 2 or len(orders[0]) < 3:
        return False
    return len(orders[0]) == len(orders[1]) and bool((orders[0] == orders[1]).all())


def _order(steps: Steps, epoch: int) -> np.ndarray:
    return steps.examples.values[steps.epochs[steps.examples.rows] == epoch]


def documents_never_seen(evidence: Evidence) -> Finding | None:
    """Training documents that are in no step."""
    for training in reversed(evidence.trainings):
        if not len(training.steps.examples.values) or _stopped_in_first_epoch(training):
            continue
        seen, known, source = _seen_and_known(evidence, training)
        if seen < known:
            missed = known - seen
            per_epoch = len(training.steps) / max(1, len(np.unique(training.steps.epochs)))
            lines = [
                f"{training.name}: {share(missed, known, 'training documents')} are in no step ({source})",
                f"{training.name}: {per_epoch:.0f} steps in an epoch, of {_middle_size(training.steps):.0f} examples",
            ]
            weight = (
                CAUSE if missed > NEVER_SEEN * known and not _drawn_by_chance(training.steps, missed, known) else NOTE
            )
            return Finding("documents-never-seen", "Training never sees some documents", lines, weight, PROVEN)
    return None


def _drawn_by_chance(steps: Steps, missed: int, known: int) -> bool:
    """Return whether documents are drawn with replacement, and no more are missed than that leaves (its spread: David 1950)."""
    first = _order(steps, int(steps.epochs[0]))
    repeated = len(first) - len(np.unique(first))
    draws = len(steps.examples.values) / known
    expected = known * np.exp(-draws)
    spread = np.sqrt(max(1.0, expected * (1 - (1 + draws) * np.exp(-draws))))
    return repeated > REPEATED * len(first) and missed <= expected + SURE_Z * spread


def _stopped_in_first_epoch(training: Training) -> bool:
    return not training.finished and len(np.unique(training.steps.epochs)) < 2


def _middle_size(steps: Steps) -> float:
    return float(np.median(steps.examples.lengths))


def _seen_and_known(evidence: Evidence, training: Training) -> tuple[int, int, str]:
    """Return (documents that steps held, documents that there are, by what)."""
    examples, used = training.examples, np.unique(training.steps.examples.values)
    ids = examples.doc_ids
    if training.kind == "documents" and any(ids[row] is None for row in used):
        placed = placed_training(evidence)
        if placed is not None and (placed.docs[used] != NONE).all():
            ids = placed.names[placed.docs].astype(object)
    num_documents = training.num_documents if documents_merged(evidence) is None else None
    if any(ids[row] is None for row in used):
        if training.kind != "documents":
            return 0, 0, ""
        # Equal documents are one example, which an epoch then visits several times.
        visits = np.bincount(np.unique(training.steps.epochs, return_inverse=True)[1][training.steps.examples.rows])
        seen = max(len(used), int(np.median(visits)))
        return seen, num_documents or len(examples), "each example is taken for a document"
    seen = set(ids[used].tolist())
    known = {doc_id for doc_id in ids.tolist() if doc_id is not None}
    source = "by the examples that were noted"
    if evidence.made is not None and training.kind == "documents":
        known |= {doc_id for doc_id in evidence.made.train.doc_ids.tolist() if doc_id is not None}
        source = "by the vectors that were made"
    if num_documents and num_documents > len(known) and not known - seen:
        return len(seen), num_documents, "by the number of documents that was noted"
    return len(seen), len(known | seen), source


def few_steps(evidence: Evidence) -> Finding | None:
    """A training too short for its result to say much."""
    lines = [
        f"{training.name}: {len(training.steps):,} steps in all"
        for training in evidence.trainings
        if training.finished and 0 < len(training.steps) < FEWEST_STEPS
    ]
    return Finding("few-steps", "A training is short", lines, NOTE) if lines else None
