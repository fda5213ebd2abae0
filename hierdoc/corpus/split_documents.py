"""Decides each document's split, and says what is known about near-duplicates and dev on the way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hierdoc.corpus import splits
from hierdoc.corpus.documents import Documents
from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.corpus.groups import groups_of_several, shared_with_train, unite
from hierdoc.corpus.labels import label_set, shown, strata
from hierdoc.corpus.split_files import given_split
from hierdoc.progress import say, warn


@dataclass(frozen=True)
class DecidedSplit:
    """The split of B documents, and what it was decided by.

    Attributes:
        split_of: train, dev, test or excluded.
        near_duplicates: group numbers; near-duplicates have the same.
        groups: group numbers of what a generated split keeps together: near-duplicates, and where the data have a
            group column, its equals.
        near_duplicate_of_train: whether the document is of dev or test and has a near-duplicate in train.
        dev_from_train: whether the split was given without dev, which was then taken from train.
        num_conflicting: groups of near-duplicates that have several labels.
    """

    split_of: list[str]
    near_duplicates: list[int]
    groups: list[int]
    near_duplicate_of_train: list[bool]
    dev_from_train: bool
    num_conflicting: int


def split_documents(documents: Documents, source: Sequence[float] | Path | None, seed: int) -> DecidedSplit:
    """Return the split of labelled documents.

    Args:
        documents: with labels; with splits where `source` is None.
        source: fractions of train, dev and test, the path of a split file, or None for the documents' own splits.
        seed: of what is drawn.

    Raises:
        HierdocError: as `given_split` and `take_given_split`.
    """
    given = documents.splits
    if isinstance(source, Path):  # read first: what is wrong with it is told before the work on near-duplicates
        given = given_split(source, documents.doc_ids, documents.texts)
    near_duplicates = near_duplicate_groups(documents.texts).tolist()
    groups = near_duplicates if documents.groups is None else unite(near_duplicates, documents.groups)
    several = groups_of_several(near_duplicates)
    conflicting = [
        places for places in several if len({frozenset(label_set(documents.labels[place])) for place in places}) > 1
    ]
    dealt_by = strata(documents.labels)
    if given is None:
        if several:
            say(f"{sum(map(len, several))} near-duplicates in {len(several)} groups: each group stays in one split")
        split_of, dev_from_train = splits.make_split(dealt_by, source, seed, groups), False
    else:
        where = source if isinstance(source, Path) else "the split column"
        split_of, dev_from_train = splits.take_given_split(given, dealt_by, seed, groups, where=str(where))
    if conflicting:
        first = ", ".join(
            f"{shown(documents.doc_ids[at])} is {shown(documents.labels[at])}" for at in conflicting[0][:3]
        )
        warn(f"{len(conflicting)} groups of near-duplicates have conflicting labels: {first}")
    if dev_from_train:
        say(f"the given split has no dev: {splits.DEV_FROM_TRAIN:.0%} of train is taken for it")
    of_train = shared_with_train(split_of, near_duplicates)
    for split, count in count_in_splits(split_of, of_train).items():
        warn(f"{count} of the documents given to {split} are near-duplicates of training documents")
    return DecidedSplit(split_of, near_duplicates, groups, of_train, dev_from_train, len(conflicting))


def count_in_splits(split_of: Sequence[str], chosen: Sequence[bool]) -> dict[str, int]:
    """Return how many documents of each split are `chosen`, by split; none for a split without any."""
    return dict(sorted(Counter(split for split, is_one in zip(split_of, chosen, strict=True) if is_one).items()))
