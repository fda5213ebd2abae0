"""The classes and their order, from the training documents only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from hierdoc.errors import HierdocError

UNSEEN = -1  # the id of a label that train never saw


def order_labels(train_labels: Sequence[str]) -> list[str]:
    """Return the distinct labels of the training documents: by number when all are numbers, else by name.

    Raises:
        HierdocError: there are fewer than two.
    """
    distinct = set(train_labels)
    if len(distinct) < 2:
        raise HierdocError(
            f"the training documents must have at least two classes, but have {len(distinct)} instead"
            + "".join(f": {label!r}" for label in distinct)
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
