"""The classes and their order, from the training documents only."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Union

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.progress import say, warn

Label = Union[str, "tuple[str, ...]"]  # a document's: one, or where documents have several, a tuple of any number
LABEL_SEPARATOR = "|"  # unless another is asked for
UNSEEN = -1  # the id of a label that train never saw
LONGEST = 60  # characters of a label in a message; longer ones are cut, with …
FEW = 3  # documents; a class with fewer is rare
MOST_NAMED = 5  # labels in a message


def separator_of(multi_label: bool, label_separator: str) -> str | None:
    """Return what labels are cut at; None where a document has one.

    Raises:
        HierdocError: there is nothing to cut at, or nothing to be cut.
    """
    if multi_label and not label_separator:
        raise HierdocError("`label_separator` must not be empty")
    if not multi_label and label_separator != LABEL_SEPARATOR:
        raise HierdocError("`label_separator` has no effect without `multi_label`")
    return label_separator if multi_label else None


def order_labels(train_labels: Sequence[str], data: str) -> list[str]:
    """Return the distinct labels of the training documents: by number when all are numbers, else by name.

    `data` is what they were read from, for messages.

    Raises:
        HierdocError: there are fewer than two.
    """
    distinct = set(train_labels)
    if len(distinct) < 2:
        raise HierdocError(
            f"{data}: the training documents must have at least two classes, but have {len(distinct)} instead"
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


def label_matrix(labels: Sequence[Sequence[str]], order: Sequence[str]) -> np.ndarray:
    """Return bool (B, C): which of `order` each document has; labels that are not in `order` are in no column."""
    places = {label: place for place, label in enumerate(order)}
    matrix = np.zeros((len(labels), len(order)), bool)
    for row, of_document in enumerate(labels):
        matrix[row, [places[label] for label in of_document if label in places]] = True
    return matrix


def label_set(label: Label) -> tuple[str, ...]:
    """Return a document's labels, be it one or several."""
    return label if isinstance(label, tuple) else (label,)


def count_labels(labels: Iterable[Label]) -> Counter[str]:
    """Return how many documents have each label."""
    return Counter(name for label in labels for name in label_set(label))


def strata(labels: Sequence[Label]) -> list[str]:
    """Return what to deal each document into splits by: its label; of several the rarest, by name on ties; "" for none.

    The rarest first is the idea of Sechidis et al. (2011, iterative stratification); each document counts for one label only here.
    """
    counts = count_labels(labels)
    return [min(label_set(label), key=lambda name: (counts[name], name), default="") for label in labels]


def rare_and_unseen(
    labels: Sequence[Label], splits: Sequence[str], order: Sequence[str]
) -> tuple[dict[str, int], dict[str, int]]:
    """Return (classes with fewer than `FEW` documents in all, labels outside train), each with its count."""
    counts = count_labels(label for label, split in zip(labels, splits, strict=True) if split != "excluded")
    rare = {label: counts[label] for label in order if counts[label] < FEW}
    unseen = {label: count for label, count in sorted(counts.items()) if label not in set(order)}
    return rare, unseen


def shown(label: Label) -> str:
    """Return a label for a message: in quotes, not longer than `LONGEST` characters; several of them one after the other."""
    if isinstance(label, tuple):
        return _named(label) or "without a label"
    return repr(label if len(label) <= LONGEST else label[: LONGEST - 1] + "…")


def check_labels(labels: Sequence[Label], splits: Sequence[str], data: str) -> dict[str, Any]:
    """Return what train's classes are and which are rare or unseen, after warning of those that are.

    Args:
        labels, splits: of B documents.
        data: what they were read from, for messages.

    Returns:
        `labels` in their order, `rare_classes` (fewer than 3 documents) and `unseen_classes` (in dev or test, and not
        in train) with their numbers of documents; where documents have several labels also `num_without_label` and
        `mean_labels`.

    Raises:
        HierdocError: train has fewer than two classes; lists of labels hold one each.
    """
    about = _check_label_sets(labels, data) if isinstance(labels[0], tuple) else {}
    of_train = [label for label, split in zip(labels, splits, strict=True) if split == "train"]
    order = order_labels([*count_labels(of_train)], data)
    rare, unseen = rare_and_unseen(labels, splits, order)
    if rare:
        warn(f"{len(rare)} classes have fewer than {FEW} documents: {_named(rare)}")
    if unseen:
        what = "labels of documents are some" if about else "documents are of classes"
        counted = "missed" if about else "wrong"
        warn(f"{sum(unseen.values())} {what} that train never saw, and count as {counted}: {_named(unseen)}")
    if blank := [label for label in count_labels(labels) if label != label.strip()]:
        warn(f"{len(blank)} labels begin or end with a blank, and are others than without it: {_named(sorted(blank))}")
    dev = [label_set(label) for label, split in zip(labels, splits, strict=True) if split == "dev"]
    if dev and (names := {name for label in dev for name in label}) <= set(unseen):
        warn(f"{_only_unseen(len(dev))}: {_named(sorted(names)) or 'they have no label'}")
    return {"labels": order, "rare_classes": rare, "unseen_classes": unseen, **about}


def _check_label_sets(labels: Sequence[tuple[str, ...]], data: str) -> dict[str, Any]:
    """Return what is counted of lists of labels, after saying how many are empty."""
    sizes = [len(label) for label in labels]
    is_separator_right = "is another sign than --label-separator says between labels?"
    if set(sizes) == {1}:
        raise HierdocError(
            f"{data}: the {len(labels)} documents have one label each; leave --multi-label out, or {is_separator_right}"
        )
    if max(sizes) == 1:
        warn(f"no document has more than one label; {is_separator_right}")
    if without := sizes.count(0):
        say(f"{without} of {len(labels)} documents have no label, which is what is learned of them")
    return {"num_without_label": without, "mean_labels": round(sum(sizes) / len(sizes), 4)}


def check_dev_labels(dev_label_ids: np.ndarray, chunk: Path) -> None:
    """Check that dev has a class that train saw, so that an epoch can be chosen on it.

    Args:
        dev_label_ids: int (B,) or (N,), of documents or chunks; `UNSEEN` for a class that train never saw; or bool
            (…, C), which labels they have.
        chunk: the path of their chunk stage, to be named.

    Raises:
        HierdocError: there are dev documents, and all are of unseen classes, or none has a label that train saw.
    """
    found = np.asarray(dev_label_ids)
    if len(found) and not (found.any() if found.ndim == 2 else (found != UNSEEN).any()):
        raise HierdocError(f"{chunk}: {_only_unseen() if found.ndim == 1 else _WITHOUT_KNOWN_LABEL}")


_WITHOUT_KNOWN_LABEL = "no document of dev has a label that train saw, so that no epoch can be chosen on them"


def _only_unseen(count: int | None = None) -> str:
    documents = "the documents" if count is None else f"the {count} documents"
    return f"{documents} of dev are all of classes that train never saw, so that no epoch can be chosen on them"


def _named(labels: Iterable[str]) -> str:
    """Return the first labels, and how many more there are."""
    labels = list(labels)
    more = f" and {len(labels) - MOST_NAMED} more" if len(labels) > MOST_NAMED else ""
    return ", ".join(map(shown, labels[:MOST_NAMED])) + more
