"""Which documents are for training, for choosing (dev) and for the one reading at the end (test)."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hierdoc.errors import HierdocError

SPLITS = ("train", "dev", "test", "excluded")
ALSO_DEV = ("validation", "valid", "val")
FRACTIONS = "0.8/0.1/0.1"  # of train, dev and test, unless others or a given split are asked for
DEV_FROM_TRAIN = 0.1  # the share of train that becomes dev when a given split has none


_NUMBER = re.compile(r"\s*[-+]?(nan|inf|[.,]?\d[\d.,]*(e[-+]?\d+)?%?)?\s*", re.IGNORECASE)


def parse_split(
    split: str | os.PathLike[str] | None, split_column: str | None
) -> tuple[float, float, float] | Path | None:
    """Return the fractions of a split that is to be made, the path of a split file, or None where a column decides.

    What looks like numbers between slashes is meant as fractions, right or wrong (a file of such a name is ./1/2);
    anything else is a file. Neither is the fractions of `FRACTIONS`.

    Raises:
        HierdocError: both are given; the fractions are none.
    """
    if split is None:
        return parse_fractions(FRACTIONS) if split_column is None else None
    if split_column is not None:
        raise HierdocError(f"`split` {str(split)!r} and `split_column` {split_column!r} can't both decide: give one")
    if isinstance(split, str) and not split.startswith("/") and all(map(_NUMBER.fullmatch, split.split("/"))):
        return parse_fractions(split)
    return Path(split)


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
    return [SPLITS[part] for part in _deal(labels, fractions, seed, groups, first=0)]


def make_folds(
    labels: Sequence[str], num_folds: int, seed: int, groups: Sequence[int] | None = None
) -> list[list[str]]:
    """Return `num_folds` splits of B documents, each as `make_split` does: every document is in one test of them.

    The tests are of about one size, stratified and shuffled by `seed`. Of the rest, 10 % is dev, as in a given split
    without dev. A class of fewer groups than folds is in some tests only, and a class of one group is in one test
    without having been in its train.

    Raises:
        HierdocError: `num_folds` is less than 2, or more than there are groups to fill the tests with.
    """
    if num_folds < 2:
        raise HierdocError(f"`folds` must be at least 2, but is {num_folds} instead")
    parts = _deal(labels, [1 / num_folds] * num_folds, seed, groups)
    if len(set(parts)) < num_folds:
        num_groups = len(labels if groups is None else set(groups))
        raise HierdocError(
            f"`folds` must leave documents for every test, but {num_folds} are too many for {len(labels)} documents in "
            f"{num_groups} groups"
        )
    return [
        take_given_split(["test" if part == fold else "train" for part in parts], labels, seed, groups)[0]
        for fold in range(num_folds)
    ]


def _deal(
    labels: Sequence[str],
    shares: Sequence[float],
    seed: int,
    groups: Sequence[int] | None,
    first: int | None = None,
) -> list[int]:
    """Return each document's part: class by class, a group goes where most is owed, a class's first one to `first`."""
    rng = np.random.default_rng(seed)
    members: dict[int, list[int]] = defaultdict(list)
    for index in range(len(labels)):
        members[index if groups is None else groups[index]].append(index)
    by_class: dict[str, list[list[int]]] = defaultdict(list)
    for group in members.values():
        by_class[labels[group[0]]].append(group)
    parts = [0] * len(labels)
    owed = np.zeros(len(shares))
    for label in sorted(by_class):
        units = by_class[label]
        order = rng.permutation(len(units))
        owed += np.asarray(shares) * sum(map(len, units))
        for nth, unit in enumerate(units[at] for at in order):
            choice = first if first is not None and nth == 0 else int(np.argmax(owed))
            owed[choice] -= len(unit)
            for index in unit:
                parts[index] = choice
    return parts


def take_given_split(
    given: Sequence[str],
    labels: Sequence[str],
    seed: int,
    groups: Sequence[int] | None = None,
    where: str = "the given split",
) -> tuple[list[str], bool]:
    """Return (the split of each document, whether dev was taken from train).

    `given` holds train, dev (or validation, valid, val), test or excluded. Without any dev, 10 % of train becomes dev,
    stratified, by `seed`, and documents of one of `groups` stay together. `where` is what holds it, for messages.

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
        raise HierdocError(f"{where}: has no document for train")
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
