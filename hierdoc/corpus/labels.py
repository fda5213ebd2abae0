"""The classes and their order, from the training documents only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.progress import warn

UNSEEN = -1  # the id of a label that train never saw
LONGEST = 60  # characters of a label in a message; longer ones are cut, with …
MOST_NAMED = 5  # labels in a message


def order_labels(train_labels: Sequence[str]) -> list[str]:
    """Return the distinct labels of the training documents: by number when all are numbers, else by name.

    Raises:
        HierdocError: there are fewer than two.
    """
    distinct = set(train_labels)
    if len(distinct) < 2:
        raise HierdocError(
            f"the training documents must have at least two classes, but have {len(distinct)} instead"
            + "".join(f": {shown(label)}" for label in distinct)
        )
    try:
        numbers = {label: float(label) for label in distinct}
    except ValueError:
        return sorted(distinct)
    if any(math.isnan(number) for number in numbers.values()):  # has no place among numbers
        return sorted(distinct)
    return sorted(distinct, key=lambda label: (numbers[label], label))


def label_ids(labels: Sequence[str], order: Sequence[str]) -> np.ndarray:
    """Return int32 (B,): each label's place in `order`, or `UNSEEN`."""
    places = {label: place for place, label in enumerate(order)}
    return np.asarray([places.get(label, UNSEEN) for label in labels], np.int32)


def rare_and_unseen(
    labels: Sequence[str], splits: Sequence[str], order: Sequence[str], fewest: int = 3
) -> tuple[dict[str, int], dict[str, int]]:
    """Return (classes with fewer than `fewest` documents in all, labels outside train), each with its count."""
    counts = Counter(label for label, split in zip(labels, splits, strict=True) if split != "excluded")
    rare = {label: counts[label] for label in order if counts[label] < fewest}
    unseen = {label: count for label, count in sorted(counts.items()) if label not in set(order)}
    return rare, unseen


def shown(label: str) -> str:
    """Return a label for a message: in quotes, not longer than `LONGEST` characters."""
    return repr(label if len(label) <= LONGEST else label[: LONGEST - 1] + "…")


def check_labels(labels: Sequence[str], splits: Sequence[str]) -> dict[str, Any]:
    """Return what train's classes are and which are rare or unseen, after warning of those that are.

    Returns:
        `labels` in their order, `rare_classes` (fewer than 3 documents) and `unseen_classes` (in dev or test, and not
        in train) with their numbers of documents.

    Raises:
        HierdocError: train has fewer than two classes.
    """
    order = order_labels([label for label, split in zip(labels, splits, strict=True) if split == "train"])
    rare, unseen = rare_and_unseen(labels, splits, order)
    if rare:
        warn(f"{len(rare)} classes have fewer than 3 documents: {_named(rare)}")
    if unseen:
        warn(
            f"{sum(unseen.values())} documents are of classes that train never saw, and count as wrong: {_named(unseen)}"
        )
    dev = [label for label, split in zip(labels, splits, strict=True) if split == "dev"]
    if dev and set(dev) <= set(unseen):
        warn(f"{_only_unseen(len(dev))}: {_named(sorted(set(dev)))}")
    return {"labels": order, "rare_classes": rare, "unseen_classes": unseen}


def check_dev_labels(dev_label_ids: np.ndarray) -> None:
    """Check that dev has a class that train saw, so that an epoch can be chosen on it.

    Args:
        dev_label_ids: int (B,) or (N,), of documents or chunks; `UNSEEN` for a class that train never saw.

    Raises:
        HierdocError: there are dev documents, and all are of unseen classes.
    """
    if len(dev_label_ids) and (np.asarray(dev_label_ids) == UNSEEN).all():
        raise HierdocError(_only_unseen())


def _only_unseen(count: int | None = None) -> str:
    documents = "the documents" if count is None else f"the {count} documents"
    return f"{documents} of dev are all of classes that train never saw, so that no epoch can be chosen on them"


def _named(labels: Iterable[str]) -> str:
    """Return the first labels, and how many more there are."""
    labels = list(labels)
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return ", ".join(map(shown, labels[:MOST_NAMED])) + more
