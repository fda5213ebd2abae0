"""The tables that pass between stages, as Parquet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hierdoc.stages.files import atomic

DOCUMENTS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("text", pa.string()),
        ("labels", pa.list_(pa.string())),
        ("split", pa.string()),
        ("text_sha256", pa.string()),
        ("num_tokens", pa.int32()),
        ("num_chunks", pa.int32()),
        ("num_unknown", pa.int32()),
        ("num_dropped", pa.int32()),
        ("near_duplicate_of_train", pa.bool_()),
    ]
)
CHUNKS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("chunk_index", pa.int32()),
        ("token_ids", pa.list_(pa.int32())),
        ("char_start", pa.int32()),
        ("char_end", pa.int32()),
        ("split", pa.string()),
    ]
)


def vectors_schema(dim: int, num_classes: int) -> pa.Schema:
    """Return the schema of chunk vectors of `dim` floats with the chunk head's `num_classes` probabilities."""
    return pa.schema(
        [
            ("doc_id", pa.string()),
            ("chunk_index", pa.int32()),
            ("vector", pa.list_(pa.float32(), dim)),
            ("probs", pa.list_(pa.float32(), num_classes)),
        ]
    )


def tokens_schema(dim: int) -> pa.Schema:
    """Return the schema of tokens' vectors of `dim` floats; [CLS] and [SEP] are not among them."""
    return pa.schema(
        [
            ("doc_id", pa.string()),
            ("chunk_index", pa.int32()),
            ("token_index", pa.int32()),  # in the chunk, from 0
            ("token", pa.string()),
            ("vector", pa.list_(pa.float32(), dim)),
        ]
    )


def predictions_schema(labels: Iterable[str], with_truth: bool, multi_label: bool = False) -> pa.Schema:
    """Return the schema of predictions: one probability column for each of `labels`, in order."""
    if multi_label:
        several = pa.list_(pa.string())
        fields = [("doc_id", pa.string()), ("labels", several), ("num_chunks", pa.int32())]
        fields += [("true_labels", several)] if with_truth else []
    else:
        fields = [
            ("doc_id", pa.string()),
            ("label", pa.string()),
            ("probability", pa.float32()),
            ("num_chunks", pa.int32()),
        ]
        fields += [("true_label", pa.string())] if with_truth else []
    return pa.schema(fields + [(f"probability:{label}", pa.float32()) for label in labels])


def write_table(path: Path, table: pa.Table) -> None:
    """Write a table as Parquet (zstd), atomically; the same table makes the same bytes."""
    with atomic(path) as partial:
        pq.write_table(table, partial, compression="zstd", write_page_checksum=True)


def read_tables(paths: Iterable[Path], columns: list[str] | None = None) -> pa.Table:
    """Return the tables in `paths`, one after the other, or some of their columns.

    Raises:
        OSError, pa.ArrowInvalid: a file is not whole; what has been read is checked against the file's checksums.
    """
    return pa.concat_tables([pq.read_table(path, columns=columns, page_checksum_verification=True) for path in paths])


def fixed_lists(matrix: np.ndarray) -> pa.FixedSizeListArray:
    """Return a float32 (N, K) matrix as an Arrow array of N lists of K."""
    return pa.FixedSizeListArray.from_arrays(
        pa.array(np.ascontiguousarray(matrix, np.float32).reshape(-1)), matrix.shape[1]
    )


def matrix_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of N lists of K floats as float32 (N, K)."""
    array = column.combine_chunks()
    return array.flatten().to_numpy(zero_copy_only=False).reshape(len(array), array.type.list_size)


def ragged_of(column: pa.ChunkedArray) -> list[np.ndarray]:
    """Return a column of lists of integers as a list of arrays (views of one buffer)."""
    array = column.combine_chunks()
    values, offsets = array.values.to_numpy(zero_copy_only=False), array.offsets.to_numpy()
    return [values[start:end] for start, end in zip(offsets[:-1], offsets[1:], strict=True)]


def predictions_table(
    doc_ids: Sequence[str],
    label_ids: np.ndarray,
    probs: np.ndarray,
    num_chunks: np.ndarray,
    labels: Sequence[str],
    true_labels: Sequence[Any] | None = None,
) -> pa.Table:
    """Return B documents' predictions as one table.

    Args:
        doc_ids: B ids.
        label_ids: int (B,), the answers as places in `labels`; or of any number of labels bool (B, C).
        probs: float (B, C); NaN becomes null.
        num_chunks: int (B,).
        labels: the C classes.
        true_labels: B labels, or tuples of them, for a table with the truth beside each answer.
    """
    if label_ids.ndim == 2:
        several = pa.list_(pa.string())
        answers = [[labels[at] for at in np.flatnonzero(row)] for row in label_ids]
        columns = [pa.array(doc_ids, pa.string()), pa.array(answers, several), pa.array(num_chunks, pa.int32())]
        columns += [] if true_labels is None else [pa.array(map(list, true_labels), several)]
        columns += [_floats(probs[:, at]) for at in range(len(labels))]
        return pa.Table.from_arrays(columns, schema=predictions_schema(labels, true_labels is not None, True))
    columns = [
        pa.array(doc_ids, pa.string()),
        pa.array([labels[at] for at in label_ids], pa.string()),
        _floats(probs[np.arange(len(probs)), label_ids]),
        pa.array(num_chunks, pa.int32()),
    ]
    columns += [] if true_labels is None else [pa.array(true_labels, pa.string())]
    columns += [_floats(probs[:, at]) for at in range(len(labels))]
    return pa.Table.from_arrays(columns, schema=predictions_schema(labels, true_labels is not None))


def _floats(values: np.ndarray) -> pa.Array:
    return pa.array(np.ascontiguousarray(values, np.float32), pa.float32(), from_pandas=True)
