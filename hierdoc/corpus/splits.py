"""Which documents are for training, for choosing (dev) and for the one reading at the end (test)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from hierdoc.errors import HierdocError

SPLITS = ("train", "dev", "test", "excluded")
ALSO_DEV = ("validation", "valid", "val")
DEV_FROM_TRAIN = 0.1  # the share of train that becomes dev when a given split has none


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Return the (train, dev, test) fractions of a text like "0.8/0.1/0.1".

    Raises:
        HierdocError: there are not three numbers that sum to 1, train's above 0.
    """
    try:
        fractions = tuple(float(part) for part in text.split("/"))
    except ValueError:
        fractions = ()
    if len(fractions) != 3 or min(fractions) < 0 or fractions[0] <= 0 or not abs(sum(fractions) - 1) <= 1e-6:
        raise HierdocError(
            f"`split` must be three fractions that sum to 1, for train/dev/test (as 0.8/0.1/0.1), but is {text!r} instead"
        )
    return fractions


def make_split(
    labels: Sequence[str], fractions: Sequence[float], seed: int, groups: Sequence[int] | None = None
) -> list[str]:
    """Return "train", "dev" or "test" for each of B documents: stratified by class, shuffled by `seed`.

    Args:
        labels: the classes to stratify by.
        fractions: of train, dev and test.
        groups: documents of the same group stay together (it counts for its first document's class); by default each
            document is its own.

    Every class has its first group in train. What rounding takes from a split in one class it gets back in the next,
    so that the totals are right when classes are small.
    """
    rng = np.random.default_rng(seed)
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(len(labels)):
        members[index if groups is None else groups[index]].append(index)
    by_class: dict[str, list[list[int]]] = defaultdict(list)
    for group in members.values():
        by_class[labels[group[0]]].append(group)
    split = [""] * len(labels)
    owed = np.zeros(3)
    for label in sorted(by_class):
        units = by_class[label]
        order = rng.permutation(len(units))
        owed += np.asarray(fractions) * sum(map(len, units))
        for nth, unit in enumerate(units[at] for at in order):
            choice = 0 if nth == 0 else int(np.argmax(owed))
            owed[choice] -= len(unit)
            for index in unit:
                split[index] = SPLITS[choice]
    return split


def take_given_split(
    given: Sequence[str], labels: Sequence[str], seed: int, groups: Sequence[int] | None = None
) -> tuple[list[str], bool]:
    """Return (the split of each document, whether dev was taken from train).

    `given` holds train, dev (or validation, valid, val), test or excluded. Without any dev, 10 % of train becomes dev,
    stratified, by `seed`, and documents of one of `groups` stay together.

    Raises:
        HierdocError: another value; no document for train.
    """
    split = ["dev" if value in ALSO_DEV else value for value in given]
    for row, value in enumerate(split, 1):
        if value not in SPLITS:
            raise HierdocError(
                f"row {row} of the data: a split must be one of {', '.join(SPLITS)}, but is {value!r} instead"
            )
    if "train" not in split:
        raise HierdocError("the given split has no document for train")
    if "dev" in split:
        return split, False
    train = [index for index, value in enumerate(split) if value == "train"]
    parts = make_split(
        [labels[index] for index in train],
        (1 - DEV_FROM_TRAIN, DEV_FROM_TRAIN, 0),
        seed,
        None if groups is None else [groups[index] for index in train],
    )
    for index, part in zip(train, parts, strict=True):
        split[index] = part
    return split, True
