"""The distinct examples of a training, each kept once, as hashes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from hierdoc.tracing.batches import UNKNOWN, Batch
from hierdoc.tracing.files import EXAMPLES
from hierdoc.tracing.hashing import checksum_rows, hash_rows, sketch_rows

MOST_KNOWN = 4  # checksums for each example; one whose padding differs has others


class Examples:
    """What has been seen so far: an example is another when its document, chunks, label or numbers are."""

    def __init__(self, with_sketches: bool):
        """Keep sketches of vectors where `with_sketches`."""
        self._with_sketches = with_sketches
        self._rows: list[tuple[str | None, int, int, np.ndarray | None, np.ndarray, np.ndarray | None]] = []
        self._known: dict[tuple[object, ...], int] = {}  # by checksum
        self._by_content: dict[tuple[object, ...], int] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def numbers_of(self, batch: Batch) -> np.ndarray:
        """Return int32 (B,): the numbers of a batch's examples, those that are new among them."""
        sums = batch.real.sum(axis=1)
        in_front = (batch.real == (np.arange(batch.real.shape[1]) < sums[:, None])).all(axis=1).tolist()
        values = batch.values
        if values.ndim == 3 and not (batch.mask_given or batch.real.all()):  # so that padding makes no other checksum
            values = np.where(batch.real[:, :, None], values, np.float32(0))
        label_ids, lengths, checksums = batch.label_ids.tolist(), sums.tolist(), checksum_rows(values).tolist()
        if len(self._known) > MOST_KNOWN * len(self._rows) + 1000:
            self._known.clear()
        numbers = []
        for row, checksum in enumerate(checksums):
            key = (
                checksum,
                label_ids[row],
                lengths[row] if in_front[row] else batch.real[row].tobytes(),
                None if batch.doc_ids is None else batch.doc_ids[row],
                None if batch.chunk_index is None else batch.chunk_index[row].tobytes(),
            )
            number = self._known.get(key)
            if number is None:
                number = self._known[key] = self._number_of(batch, row, label_ids[row])
            numbers.append(number)
        return np.asarray(numbers, np.int32)

    def _number_of(self, batch: Batch, row: int, label_id: int) -> int:
        hashes, mask_sum = hashes_of(batch, row)
        doc_id = None if batch.doc_ids is None else batch.doc_ids[row]
        index = None if batch.chunk_index is None else batch.chunk_index[row]
        found = self._by_content.get(_content(doc_id, label_id, mask_sum, index, hashes))
        if found is not None:
            return found
        sketches = sketches_of(batch, row) if self._with_sketches else None
        return self._add(doc_id, label_id, mask_sum, index, hashes, sketches)

    def _add(
        self,
        doc_id: str | None,
        label_id: int,
        mask_sum: int,
        index: np.ndarray | None,
        hashes: np.ndarray,
        sketches: np.ndarray | None,
    ) -> int:
        number = len(self._rows)
        self._rows.append((doc_id, label_id, mask_sum, index, hashes, sketches))
        # one that comes again without its document's name is the first of this content
        for known_index, known_doc_id in ((index, doc_id), (None, doc_id), (None, None)):
            self._by_content.setdefault(_content(known_doc_id, label_id, mask_sum, known_index, hashes), number)
        return number

    def table(self) -> pa.Table:
        """Return all examples, by number."""
        doc_ids, label_ids, mask_sums, index, hashes, sketches = zip(*self._rows) if self._rows else [()] * 6
        columns = [
            pa.array(range(len(self._rows)), pa.int32()),
            pa.array(doc_ids, pa.string()),
            or_null(label_ids),
            pa.array(mask_sums, pa.int32()),
            lists(index, pa.int32()),
            lists(hashes, pa.uint64()),
            lists(sketches, pa.float32()),
        ]
        return pa.Table.from_arrays(columns, schema=EXAMPLES)

    def restore(self, table: pa.Table) -> None:
        """Hold the examples of `table` and no others."""
        self._rows, self._known, self._by_content = [], {}, {}
        for row in table.to_pylist():
            index, sketches = row["chunk_index"], row["sketches"]
            self._add(
                row["doc_id"],
                UNKNOWN if row["label_id"] is None else row["label_id"],
                row["mask_sum"],
                None if index is None else np.asarray(index, np.int32),
                np.asarray(row["hashes"], np.uint64),
                None if sketches is None else np.asarray(sketches, np.float32),
            )


def hashes_of(batch: Batch, row: int) -> tuple[np.ndarray, int]:
    """Return (uint64 hashes, number of real tokens or chunks) of one example: a chunk's one hash, or one for each vector."""
    values = batch.values[row][batch.real[row]]
    return hash_rows(values if values.ndim == 2 else values[None]), len(values)


def sketches_of(batch: Batch, row: int) -> np.ndarray | None:
    """Return the sketches of one example's vectors, one after the other; None of token ids."""
    return sketch_rows(batch.values[row][batch.real[row]]).reshape(-1) if batch.values.ndim == 3 else None


def or_null(numbers: Sequence[int]) -> pa.Array:
    """Return numbers as an int32 Arrow array in which UNKNOWN is null."""
    array = np.asarray(numbers, np.int32)
    return pa.array(array, mask=array == UNKNOWN)


def lists(arrays: Sequence[np.ndarray | None], kind: pa.DataType) -> pa.Array:
    """Return arrays of many lengths, or None, as an Arrow array of lists."""
    lengths = np.asarray([0 if array is None else len(array) for array in arrays], np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    values = np.concatenate([array for array in arrays if array is not None] or [np.zeros(0)])
    missing = pa.array([array is None for array in arrays], pa.bool_())
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.astype(kind.to_pandas_dtype())), mask=missing)


def _content(
    doc_id: str | None, label_id: int, mask_sum: int, index: np.ndarray | None, hashes: np.ndarray
) -> tuple[object, ...]:
    return doc_id, label_id, mask_sum, None if index is None else index.tobytes(), hashes.tobytes()
