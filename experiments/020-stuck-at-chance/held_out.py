"""Breakages that the doctor's author was not told of; see breakages.py for the places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from document_model import Made, Sequences
from documents import ChunkArrays


def wrong_vocabulary(sides: dict[str, ChunkArrays], rng: np.random.Generator, first: int) -> None:
    """Cut texts with another vocabulary than the encoder's: from `first` on, every token has another's id."""
    largest = max(arrays.x.max() for arrays in sides.values())
    id_of = np.arange(largest + 1, dtype=np.int32)
    id_of[first:] = first + rng.permutation(largest + 1 - first)
    for arrays in sides.values():
        arrays.x = id_of[arrays.x]


def first_slice_again(sides: dict[str, Made], rng: np.random.Generator, sources: Any, slice_size: int) -> None:
    """Read out the first slice of train's chunks for every slice, because the loop's counter is not in its index."""
    train = sides["train"]
    train.cls = train.cls[np.arange(len(train.cls)) % slice_size]


def another_position(sides: dict[str, Made], rng: np.random.Generator, sources: Any, position: str) -> None:
    """Read out the vector of another position than [CLS]."""
    for made in sides.values():
        made.cls = made.positions[position]


def same_window(sides: dict[str, Made], rng: np.random.Generator, sources: Any) -> None:
    """Let all chunks of a document be its first one, because the window does not move."""
    for made in sides.values():
        _, first, inverse = np.unique(made.index, return_index=True, return_inverse=True)
        made.cls = made.cls[first[inverse]]


def labels_apart(documents: dict[str, Sequences], rng: np.random.Generator, share: float) -> None:
    """Exchange the labels of a share of train's documents, as when labels are shuffled and vectors are not."""
    exchange_labels(documents["train"], rng, share)


def exchange_labels(side: Sequences, rng: np.random.Generator, share: float) -> None:
    """Exchange the labels of a share of one side's documents."""
    moved = rng.choice(len(side.labels), round(share * len(side.labels)), replace=False)
    labels = np.asarray(side.labels)
    labels[np.sort(moved)] = labels[moved]
    side.labels = labels.tolist()


def first_rows_of_val(documents: dict[str, Sequences], rng: np.random.Generator, share: float) -> None:
    """Validate on the first part of a sorted val."""
    val = documents["val"]
    order = np.argsort(val.labels, kind="stable")[: max(1, round(share * len(val.labels)))].tolist()
    val.vectors, val.labels, val.ids = ([values[at] for at in order] for values in (val.vectors, val.labels, val.ids))


def one_behind(batches: Iterator[tuple[Any, ...]], rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """Yield each batch's x with the labels of the batch before, where it has as many documents."""
    before = None
    for x, y, ids in batches:
        late = y if before is None or len(before) != len(y) else before
        yield x, late, ids
        before = y


def weights_of_nothing(
    batches: Iterator[tuple[Any, ...]], rng: np.random.Generator, share: float
) -> Iterator[tuple[Any, ...]]:
    """Yield batches with sample weights that are 0 for a share of the documents."""
    for x, y, ids in batches:
        weights = [float(hash_of(name) >= share) for name in ids]
        yield x, y, np.asarray(weights, np.float32)


def hash_of(name: str) -> float:
    """Return a number from 0 to 1 that is always the same for a document."""
    return np.random.default_rng(list(name.encode())).random()


BREAKAGES: dict[str, tuple[str, Callable[..., Any]]] = {
    "wrong_vocabulary": ("chunks", wrong_vocabulary),
    "first_slice_again": ("made", first_slice_again),
    "another_position": ("made", another_position),
    "same_window": ("made", same_window),
    "labels_apart": ("documents", labels_apart),
    "first_rows_of_val": ("documents", first_rows_of_val),
    "one_behind": ("batches", one_behind),
    "weights_of_nothing": ("weighted batches", weights_of_nothing),
}
