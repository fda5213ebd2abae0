"""Whether a model of one pinned length reads padding: by giving padding another embedding, where it can't get more of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from hierdoc.tracing.batches import split_inputs
from hierdoc.tracing.predictions import outputs_of, to_probs

FURTHEST_LOOK = 1000  # ids among which one is looked for that no example has
ROUNDED = 1e-6  # of a probability: float32 that was summed in another order


def padding_by_its_embedding(
    predict: Callable[[Any], Any], inputs: Any, weights: Iterable[Any], pad_id: int
) -> float | None:
    """Return the largest difference of a probability when padding is embedded as another token; None where that can't be tried.

    The table of embeddings is the one array of which the row of a token in the batch matters, and the row of a token that is
    not in it does not. Whatever is changed is put back.

    Args:
        predict: token ids, or [token ids, mask], to what the model puts out.
        inputs: the x of a few examples, some of them padded.
        weights: of the model, with `shape`, `assign` and a NumPy form.
        pad_id: the token id that is no token.
    """
    ids = np.asarray(split_inputs(inputs)[0])
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or not (ids == pad_id).any():
        return None
    present = np.unique(ids[ids != pad_id])
    absent = np.setdiff1d(np.arange(FURTHEST_LOOK), np.append(present, pad_id))
    if len(present) < 2 or not len(absent):
        return None
    before = outputs_of(predict, inputs)
    for table in weights:
        if len(table.shape) != 2 or table.shape[0] <= max(int(present[-1]), int(absent[0])):
            continue

        def changed(row: int, table: Any = table) -> float:
            return _difference(before, _with_another_row(predict, inputs, table, row, int(present[0])))

        if changed(int(present[-1])) > ROUNDED >= changed(int(absent[0])):
            return changed(pad_id)
    return None


def _with_another_row(predict: Callable[[Any], Any], inputs: Any, table: Any, row: int, other: int) -> np.ndarray:
    array = np.asarray(table).copy()
    moved = array.copy()
    moved[row] = array[other] + array.std()
    try:
        table.assign(moved)
        return outputs_of(predict, inputs)
    finally:
        table.assign(array)


def _difference(before: np.ndarray, after: np.ndarray) -> float:
    probs = to_probs(np.concatenate([before, after]))  # together, so that all are taken for logits or none
    return float(np.abs(np.diff(np.split(probs, 2), axis=0)).max())
