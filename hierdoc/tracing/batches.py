"""What anyone's batch says: its examples, which of their rows are real, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierdoc.errors import HierdocError

UNKNOWN = int(np.iinfo(np.int32).min)  # null in a trace's tables
NO_LABEL = -1  # what stands for a label that is no number, and for a one-hot row without a one


@dataclass(frozen=True)
class Batch:
    """B examples as a step sees them.

    Attributes:
        values: int32 (B, T), token ids; or float32 (B, S, D), vectors.
        real: bool (B, T or S), True = a token or a chunk.
        label_ids: int32 (B,).
        mask_given: whether the model was given `real`, rather than left to find it.
        doc_ids: B ids, or None.
        chunk_index: int32 arrays, B of them, each of the example's chunks; or None.
    """

    values: np.ndarray
    real: np.ndarray
    label_ids: np.ndarray
    mask_given: bool
    doc_ids: Sequence[str] | None = None
    chunk_index: Sequence[np.ndarray] | None = None

    def __len__(self) -> int:
        return len(self.values)

    @property
    def padded_length(self) -> int:
        return self.values.shape[1]


def split_inputs(inputs: Any) -> tuple[Any, Any]:
    """Return (what a model reads, its mask or None) of a batch's x: an array, [array, mask], or a dict of arrays.

    Of a list's further arrays the mask is the first that is not all 0 (token types are); of a dict's, that whose name says so.
    """
    if isinstance(inputs, dict):
        masks = [value for name, value in inputs.items() if "mask" in name]
        others = [value for name, value in inputs.items() if "mask" not in name and "type" not in name]
        if not others:
            raise HierdocError(f"a batch's x must hold token ids or vectors, but holds {', '.join(inputs)} instead")
        return others[0], masks[0] if masks else None
    if isinstance(inputs, (list, tuple)):
        return inputs[0], next((other for other in inputs[1:] if np.asarray(other).any()), None)
    return inputs, None


def make_batch(
    inputs: Any,
    mask: Any,
    labels: Any,
    doc_ids: Sequence[Any] | None = None,
    chunk_index: Any = None,
    pad_value: float | None = None,
    pad_id: int = 0,
) -> Batch:
    """Return a `Batch` of whatever numbers it comes as.

    Args:
        inputs: token ids (B, T), vectors (B, S, D), or one vector for each example (B, D).
        mask: (B, T or S), not 0 = real; None looks for padding.
        labels: see `read_labels`.
        doc_ids: B ids, made strings.
        chunk_index: (B,), or B lists.
        pad_value: fills a row of vectors that is no chunk; None takes rows of one number for padding, where they are at either
            end of an example that has others: an encoder makes no such vector, and people forget to say.
        pad_id: fills a chunk of token ids at either end.

    Raises:
        HierdocError: these are not of B examples each.
    """
    values = _values(inputs)
    label_ids = read_labels(labels)
    for name, rows in (("labels", label_ids), ("doc_ids", doc_ids), ("chunk_index", chunk_index), ("mask", mask)):
        if rows is not None and len(rows) != len(values):
            raise HierdocError(f"`{name}` must be of {len(values)} examples as x is, but is of {len(rows)} instead")
    real = _real(values, pad_value, pad_id) if mask is None else np.asarray(mask) != 0
    if real.shape != values.shape[:2]:
        raise HierdocError(f"the mask must have shape {values.shape[:2]} as x, but has {real.shape} instead")
    return Batch(
        values,
        real,
        label_ids,
        mask is not None,
        None if doc_ids is None else [str(doc_id) for doc_id in doc_ids],
        None if chunk_index is None else [np.atleast_1d(np.asarray(index, np.int32)) for index in chunk_index],
    )


def read_labels(labels: Any) -> np.ndarray:
    """Return class ids, int32 (B,), of integers or floats (B,) or (B, 1), rounded, or of rows (B, C): the largest one's place.

    A row with several as large (any number of labels) is UNKNOWN.
    """
    array = np.asarray(next(iter(labels.values())) if isinstance(labels, dict) else labels)
    if array.ndim == 2 and array.shape[1] > 1:
        several = (array == array.max(axis=1, keepdims=True)).sum(axis=1) > 1
        places = np.where(several, UNKNOWN, array.argmax(axis=1))
        return np.where(array.any(axis=1), places, NO_LABEL).astype(np.int32)
    if array.size != len(array):
        raise HierdocError(f"labels must have shape (B,), (B, 1) or (B, C), but have {array.shape} instead")
    rounded = np.rint(array.reshape(-1).astype(np.float64))
    return np.where(np.isfinite(rounded), rounded, NO_LABEL).astype(np.int32)


def noted_labels(label_ids: np.ndarray) -> np.ndarray:
    """Return what a trace notes of B examples' label_ids, int32 (B,): these, or where each has any number of labels, UNKNOWN."""
    return label_ids if label_ids.ndim == 1 else np.full(len(label_ids), UNKNOWN, np.int32)


def learned_rows(weights: Any, num: int) -> np.ndarray | None:
    """Return which of `num` rows a step learns from, by their sample weights (num,); None where all."""
    if weights is None:
        return None
    array = np.asarray(weights).reshape(-1)
    return None if len(array) != num or array.all() else np.flatnonzero(array)


def take_rows(batch: Batch, rows: np.ndarray) -> Batch:
    """Return the batch of some of its examples."""
    return Batch(
        batch.values[rows],
        batch.real[rows],
        batch.label_ids[rows],
        batch.mask_given,
        None if batch.doc_ids is None else [batch.doc_ids[row] for row in rows],
        None if batch.chunk_index is None else [batch.chunk_index[row] for row in rows],
    )


def _values(inputs: Any) -> np.ndarray:
    values = np.asarray(inputs)
    if values.ndim not in (2, 3) or values.dtype.kind not in "iufb":
        raise HierdocError(
            f"x must be token ids (B, T) or vectors (B, S, D), but is {values.dtype} {values.shape} instead"
        )
    if values.ndim == 3:
        return values.astype(np.float32, copy=False)
    if values.dtype.kind == "f" and (values != np.rint(values)).any():
        return values.astype(np.float32, copy=False)[:, None, :]  # a vector for each example
    return values.astype(np.int32, copy=False)


def _real(values: np.ndarray, pad_value: float | None, pad_id: int) -> np.ndarray:
    if values.ndim == 3:
        if pad_value is None:
            filled = values[:, :, 0] == values[:, :, -1]
            # only those need a look at all of their numbers
            filled[filled] = (values[filled] == values[filled][:, :1]).all(axis=1)
            inside = _between(~filled)
            return inside | (~inside.any(axis=1, keepdims=True))
        real = values[:, :, 0] != np.float32(pad_value)
        real[~real] = (values[~real] != np.float32(pad_value)).any(axis=1)  # likewise
        return real
    return _between(values != pad_id)


def _between(found: np.ndarray) -> np.ndarray:
    """Return bool (B, S): from the first to the last that was found in each row."""
    begun = np.logical_or.accumulate(found, axis=1)
    not_over = np.logical_or.accumulate(found[:, ::-1], axis=1)[:, ::-1]
    return begun & not_over
