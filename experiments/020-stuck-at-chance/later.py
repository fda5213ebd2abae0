"""A second group of breakages, written when the doctor had read none of them; see breakages.py for the places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from document_model import Made, Sequences
from held_out import exchange_labels


def last_chunk_only(sides: dict[str, Made], rng: np.random.Generator, sources: Any) -> None:
    """Keep a document's last vector only, because each one overwrites the one before in the dict."""
    for made in sides.values():
        last = {place: row for row, place in enumerate(made.index.tolist())}
        rows = np.asarray(sorted(last.values()))
        made.cls, made.index, made.labels = made.cls[rows], made.index[rows], made.labels[rows]


def val_scaled(sides: dict[str, Made], rng: np.random.Generator, sources: Any, both: bool) -> None:
    """Standardise val's vectors after they were noted, and train's as well by their own numbers where `both`."""
    for made in sides.values() if both else [sides["val"]]:
        made.cls = (made.cls - made.cls.mean(axis=0)) / made.cls.std(axis=0)


def val_from_one(documents: dict[str, Sequences], rng: np.random.Generator) -> None:
    """Count val's labels from 1, and train's from 0; the last class of val is left out."""
    val = documents["val"]
    last = max(val.labels)
    kept = [at for at, label in enumerate(val.labels) if label != last]
    val.vectors, val.ids = ([values[at] for at in kept] for values in (val.vectors, val.ids))
    val.labels = [val.labels[at] + 1 for at in kept]


def val_unlabelled(documents: dict[str, Sequences], rng: np.random.Generator) -> None:
    """Give all of val's documents class 0, as a missing column does that is filled with 0."""
    documents["val"].labels = [0] * len(documents["val"].labels)


def val_labels_apart(documents: dict[str, Sequences], rng: np.random.Generator, share: float) -> None:
    """Exchange the labels of a share of val's documents."""
    exchange_labels(documents["val"], rng, share)


def one_batch_forever(
    batches: Iterator[tuple[Any, ...]], rng: np.random.Generator, num: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the first batches again and again."""
    some = [next(batches) for _ in range(num)]
    while True:
        yield from some


BREAKAGES: dict[str, tuple[str, Callable[..., Any]]] = {
    "last_chunk_only": ("grouped", last_chunk_only),
    "val_scaled": ("grouped", val_scaled),
    "val_from_one": ("documents", val_from_one),
    "val_unlabelled": ("documents", val_unlabelled),
    "val_labels_apart": ("documents", val_labels_apart),
    "one_batch_forever": ("batches", one_batch_forever),
}
