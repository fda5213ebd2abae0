"""Are two lists of classes the same under other names?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hierdoc.diagnosis.thresholds import CONSISTENT


@dataclass(frozen=True)
class Renaming:
    """One renaming of classes, tested on documents that it was not found on.

    Attributes:
        table: predicted class to the class it is called in the held-out labels; those that stay are left out.
        gained, lost: documents that only the renaming, and only the names as they are, make right.
        before, after: accuracy without and with it.
    """

    table: dict[int, int]
    gained: int
    lost: int
    before: float
    after: float


def renaming_of(old: np.ndarray, new: np.ndarray) -> dict[int, int]:
    """Return the table of renaming, one to one, by which nearly all `new` labels follow from the `old`; {} if there is none.

    Labels that keep their name are left out.
    """
    table: dict[int, int] = {}
    if not len(old):
        return table
    for label in np.unique(old).tolist():
        values, counts = np.unique(new[old == label], return_counts=True)
        table[label] = int(values[counts.argmax()])
    follows = np.asarray([table[label] for label in old.tolist()]) == new
    if len(set(table.values())) < len(table) or follows.mean() < CONSISTENT:
        return {}
    return {label: name for label, name in table.items() if label != name}


def find_renaming(truth: np.ndarray, predicted: np.ndarray) -> Renaming:
    """Return the renaming of predicted classes that fits the truth best, with what it gains where it was not fitted.

    Args:
        truth, predicted: int (B,).
    """
    names, places = np.unique(np.concatenate([truth, predicted]), return_inverse=True)  # any number may name a class
    truth, predicted = places[: len(truth)], places[len(truth) :]
    fold = np.random.default_rng(0).permutation(len(truth)) % 2
    renamed = np.zeros(len(truth), np.int64)
    for side in (0, 1):
        table = _assign(truth[fold != side], predicted[fold != side], len(names))
        renamed[fold == side] = table[predicted[fold == side]]
    as_named, as_renamed = predicted == truth, renamed == truth
    whole = _assign(truth, predicted, len(names))
    used = np.unique(predicted).tolist()
    return Renaming(
        {int(names[old]): int(names[whole[old]]) for old in used if whole[old] != old},
        int((as_renamed & ~as_named).sum()),
        int((as_named & ~as_renamed).sum()),
        float(as_named.mean()) if len(truth) else 0.0,
        float((whole[predicted] == truth).mean()) if len(truth) else 0.0,
    )


def _assign(truth: np.ndarray, predicted: np.ndarray, num: int) -> np.ndarray:
    """Return one name for each of `num` classes, all different: the most frequent pairs first, a class's own name on ties."""
    pairs, counts = np.unique(np.stack([predicted, truth], axis=1), axis=0, return_counts=True)
    own = np.arange(num)
    olds, news = np.concatenate([pairs[:, 0], own]), np.concatenate([pairs[:, 1], own])
    counts = np.concatenate([counts + 0.5 * (pairs[:, 0] == pairs[:, 1]), np.full(num, 0.5)])
    table, is_taken = np.full(num, -1, np.int64), np.zeros(num, bool)
    for at in np.lexsort((news, olds, -counts)):
        if table[olds[at]] < 0 and not is_taken[news[at]]:
            table[olds[at]], is_taken[news[at]] = news[at], True
    table[table < 0] = np.flatnonzero(~is_taken)
    return table
