"""What can be wrong with data on their way from the frames to the LSTM; each function breaks them at one place.

The places, in the order in which data pass them:
    frames     train and val, before they are cut into chunks: the encoder is fine-tuned on what is broken
    chunks     token ids, before the encoder is fine-tuned
    made       the vectors, as they come from the encoder and are noted in the trace
    grouped    what the grouping reads, after the vectors were noted
    documents  the documents, just before the generator
    batches, weighted batches
               what the generator yields: (x, y, ids), or (x, y, weights) in its place
A function changes what it is given in place, or returns the batches. `rng` is the case's own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import held_out
import later
import numpy as np
import pandas as pd
from document_model import Made, Sequences
from documents import Frames

Sides = dict[str, Made]
Sources = Callable[[str], Sides]  # a source's name to what its encoder makes of the same chunks


def split_by_chunks(frames: Frames, rng: np.random.Generator, share: float) -> None:
    """Deal the chunks of a share of all documents to train and val, not the documents."""
    part_of_val = len(frames.val) / (len(frames.val) + len(frames.train))
    rows = {"train": [], "val": []}
    for side, frame in frames.sides().items():
        for place, row in frame.iterrows():
            chunks = row.text_split
            to_val = np.full(len(chunks), side == "val")
            if rng.random() < share:
                to_val = rng.random(len(chunks)) < part_of_val
            for name, chosen in (("train", ~to_val), ("val", to_val)):
                if chosen.any():
                    kept = [chunk for chunk, keep in zip(chunks, chosen.tolist(), strict=True) if keep]
                    rows[name].append((place, row.doc_id, kept, row.label))
    for name, found in rows.items():
        found = [found[at] for at in rng.permutation(len(found))]
        columns = dict(zip(("doc_id", "text_split", "label"), list(zip(*found, strict=True))[1:], strict=True))
        setattr(frames, name, pd.DataFrame(columns, index=[row[0] for row in found]))


def duplicates(frames: Frames, rng: np.random.Generator, share: float) -> None:
    """Add copies of a share of val's documents to train, under places of their own."""
    count = round(share * len(frames.val))
    copies = frames.val.iloc[rng.choice(len(frames.val), count, replace=False)]
    first = 1 + max(frames.train.index.max(), frames.val.index.max())
    copies = copies.set_axis(range(first, first + count))
    both = pd.concat([frames.train, copies])
    frames.train = both.iloc[rng.permutation(len(both))]


def merged_index(frames: Frames, rng: np.random.Generator, share: float) -> None:
    """Let a share of train's documents have the place of another one in the index, as after a concat that keeps it."""
    places = frames.train.index.to_numpy().copy()
    count = round(len(places) * share / 2)
    chosen = rng.choice(len(places), 2 * count, replace=False)
    places[chosen[:count]] = places[chosen[count:]]
    frames.train = frames.train.set_axis(places)


def reshuffled_frame(sides: Sides, rng: np.random.Generator, sources: Sources, share: float) -> None:
    """Reorder a share of train's chunks, vectors and labels alike; the index list was kept apart and stays."""
    train = sides["train"]
    moved = rng.choice(len(train.cls), round(share * len(train.cls)), replace=False)
    order = np.arange(len(train.cls))
    order[np.sort(moved)] = moved
    train.cls, train.labels = train.cls[order], train.labels[order]


def index_shifted(sides: Sides, rng: np.random.Generator, sources: Sources, by: int) -> None:
    """Let train's index list run some chunks ahead of the vectors."""
    sides["train"].index = np.roll(sides["train"].index, -by)


def foreign_vectors(
    sides: Sides, rng: np.random.Generator, sources: Sources, side: str, source: str, share: float
) -> None:
    """Take the vectors of a share of one side's documents from another encoder."""
    places = np.unique(sides[side].index)
    chosen = rng.choice(places, round(share * len(places)), replace=False)
    foreign = np.isin(sides[side].index, chosen)
    sides[side].cls = np.where(foreign[:, None], sources(source)[side].cls, sides[side].cls)


def stale_array(
    sides: Sides, rng: np.random.Generator, sources: Sources, source: str, kept: float, reordered: bool
) -> None:
    """Group an array of another name, left from an earlier encoder, perhaps in another order or shorter."""
    stale = sources(source)["train"].cls
    if reordered:
        stale = stale[rng.permutation(len(stale))]
    sides["train"].cls = stale[: round(kept * len(stale))]


def zip_cut_short(sides: Sides, rng: np.random.Generator, sources: Sources, kept: float) -> None:
    """Group an array that holds only the first part of the chunks."""
    train = sides["train"]
    train.cls = train.cls[: round(kept * len(train.cls))]


def wrong_documents(sides: Sides, rng: np.random.Generator, sources: Sources, share: float) -> None:
    """Exchange a share of train's vectors among documents."""
    train = sides["train"]
    moved = rng.choice(len(train.cls), round(share * len(train.cls)), replace=False)
    vectors = train.cls.copy()
    vectors[moved] = train.cls[np.roll(moved, 1)]
    train.cls = vectors


def labels_from_one(
    documents: dict[str, Sequences], rng: np.random.Generator, only: int | None = None, outputs: int = 0
) -> None:
    """Count labels from 1 where the softmax counts from 0; with `only`, call that class alone `outputs`."""
    for side in documents.values():
        if only is None:
            side.labels = [label + 1 for label in side.labels]
        else:
            side.labels = [outputs if label == only else label for label in side.labels]


def sorted_by_label(documents: dict[str, Sequences], rng: np.random.Generator, buffer: int | None = None) -> None:
    """Sort train by label; a buffer of so many documents shuffles them a little, as tf.data's does."""
    train = documents["train"]
    left = np.argsort(train.labels, kind="stable").tolist()
    order = []
    while left:
        order.append(left.pop(int(rng.integers(min(buffer or 1, len(left))))))
    train.vectors, train.labels, train.ids = (
        [values[at] for at in order] for values in (train.vectors, train.labels, train.ids)
    )


def nan_vectors(
    documents: dict[str, Sequences], rng: np.random.Generator, count: int | None = None, share: float = 0
) -> None:
    """Let some of train's documents hold a vector that is no number."""
    train = documents["train"]
    for at in rng.choice(len(train.labels), count or round(share * len(train.labels)), replace=False):
        train.vectors[at] = train.vectors[at].copy()
        train.vectors[at][0] = np.nan


def label_order(documents: dict[str, Sequences], rng: np.random.Generator, swapped: int | None = None) -> None:
    """Number val's classes in another order than train's: the two commonest `swapped`, or in order of appearance."""
    val = documents["val"]
    classes = sorted(set(val.labels))
    if swapped is None:
        new = dict(zip(dict.fromkeys(val.labels), classes, strict=True))
    else:
        some = sorted(classes, key=lambda label: (-val.labels.count(label), label))[:swapped]
        new = dict(zip(some, some[1:] + some[:1], strict=True))
    val.labels = [new.get(label, label) for label in val.labels]


BREAKAGES: dict[str, tuple[str, Callable[..., Any]]] = {
    "split_by_chunks": ("frames", split_by_chunks),
    "duplicates": ("frames", duplicates),
    "merged_index": ("frames", merged_index),
    "reshuffled_frame": ("made", reshuffled_frame),
    "index_shifted": ("made", index_shifted),
    "foreign_vectors": ("made", foreign_vectors),
    "stale_array": ("grouped", stale_array),
    "zip_cut_short": ("grouped", zip_cut_short),
    "wrong_documents": ("grouped", wrong_documents),
    "labels_from_one": ("documents", labels_from_one),
    "sorted_by_label": ("documents", sorted_by_label),
    "nan_vectors": ("documents", nan_vectors),
    "label_order": ("documents", label_order),
    **held_out.BREAKAGES,
    **later.BREAKAGES,
}
