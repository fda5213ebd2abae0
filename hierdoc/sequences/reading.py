"""Reads one split from finished stages: its chunks' token ids, or its documents' vectors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hierdoc.corpus.labels import Label, label_ids, label_matrix
from hierdoc.errors import HierdocError
from hierdoc.sequences.grouping import DocumentVectors, inputs_of, order_of_chunks
from hierdoc.stages import tables
from hierdoc.stages.files import check_room
from hierdoc.stages.finished import FinishedStage


@dataclass(frozen=True)
class LabelledDocuments:
    """B documents of one split.

    Attributes:
        documents: their chunk vectors.
        labels: the B documents' labels; of several labels each, as tuples.
        label_ids: int32 (B,), -1 for a class that train never saw; of several labels each, bool (B, C), which they have.
    """

    documents: DocumentVectors
    labels: list[Label]
    label_ids: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def read_documents(chunk: FinishedStage, split: str, columns: list[str]) -> pa.Table:
    """Return columns of the documents of one split, in their order; the other splits are not kept in memory."""
    parts = []
    for path in chunk.files("documents-"):
        shard = tables.read_tables([path], [*columns, "split"])
        parts.append(shard.filter(pc.equal(shard["split"], split)).select(columns))
    return pa.concat_tables(parts)


def read_split(
    chunk: FinishedStage, embed: FinishedStage, split: str, inputs: str = "vectors", scratch: Path | None = None
) -> LabelledDocuments:
    """Return the documents of one split with what is read of their chunks, and with their labels; there may be none.

    Shards are read one at a time.

    Args:
        chunk, embed: the stages.
        split: which one.
        inputs: one of `hierdoc.sequences.grouping.INPUTS`, which the documents have for their vectors.
        scratch: a file that these are written to and read from as they are needed, so that they take no memory; it is replaced.

    Raises:
        HierdocError: a document's chunks are incomplete in embed; `scratch` does not fit on its disk.
    """
    table = read_documents(chunk, split, ["doc_id", "labels", "num_chunks"])
    wanted = table["doc_id"].combine_chunks()
    shards = embed.files("vectors-")
    owners: list[str] = []
    places: list[np.ndarray] = []
    for path in shards:
        rows = _rows_of(path, wanted, ["doc_id", "chunk_index"])
        owners += rows["doc_id"].to_pylist()
        places.append(rows["chunk_index"].to_numpy())
    doc_ids, order, starts = order_of_chunks(owners, np.concatenate(places))
    place_of_row = np.empty(len(order), np.int64)
    place_of_row[order] = np.arange(len(order))
    vectors: np.ndarray | None = None
    probs: list[np.ndarray] = []
    done = 0
    for path in shards:
        rows = _rows_of(path, wanted, ["doc_id", "vector", "probs"])
        probs.append(tables.matrix_of(rows["probs"]))
        read = inputs_of(tables.matrix_of(rows["vector"]), probs[-1], inputs)
        if vectors is None:
            vectors = _room_for(len(order), read.shape[1], scratch)
        vectors[place_of_row[done : done + len(rows)]] = read
        done += len(rows)
    documents = DocumentVectors(doc_ids, vectors, np.concatenate(probs)[order], starts)
    by_id = {
        doc_id: (labels, num_chunks)
        for doc_id, labels, num_chunks in zip(
            wanted.to_pylist(), table["labels"].to_pylist(), table["num_chunks"].to_pylist(), strict=True
        )
    }
    if len(documents) != len(by_id):
        raise HierdocError(
            f"{embed.path}: holds {len(documents)} of the {len(by_id)} documents of {split}; embed again"
        )
    for doc_id, count in zip(documents.doc_ids, documents.num_chunks.tolist(), strict=True):
        if by_id[doc_id][1] != count:
            raise HierdocError(
                f"{embed.path}: document {doc_id!r} must have {by_id[doc_id][1]} vectors, but has {count} instead"
            )
    return LabelledDocuments(documents, *read_labels(chunk, [by_id[doc_id][0] for doc_id in documents.doc_ids]))


def has_label_lists(chunk: FinishedStage) -> bool:
    """Return whether the documents have any number of labels, rather than one."""
    return chunk.details.get("multi_label", False)  # earlier versions had one


def read_labels(chunk: FinishedStage, stored: list[list[str]]) -> tuple[list[Label], np.ndarray]:
    """Return `labels` and `label_ids` (see `LabelledDocuments`) of B documents, of what their table holds for labels."""
    order = chunk.details["labels"]
    if has_label_lists(chunk):
        return list(map(tuple, stored)), label_matrix(stored, order)
    labels = [labels[0] for labels in stored]
    return labels, label_ids(labels, order)


def _rows_of(path: Path, wanted: pa.Array, columns: list[str]) -> pa.Table:
    """Return the rows of one shard of vectors that are of the documents `wanted`."""
    shard = tables.read_tables([path], columns)
    return shard.filter(pc.is_in(shard["doc_id"], value_set=wanted))


def _room_for(num: int, dim: int, scratch: Path | None) -> np.ndarray:
    """Return float32 (num, dim) to write into, in memory or in a file."""
    if scratch is None or num == 0:
        return np.empty((num, dim), np.float32)
    scratch.unlink(missing_ok=True)
    check_room(scratch, 4 * num * dim)
    with scratch.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 4 * num * dim)  # or a full disk would kill the process at some later write
    return np.memmap(scratch, np.float32, "r+", shape=(num, dim))


@dataclass(frozen=True)
class LabelledTexts:
    """B documents of one split as they were read, in the order of `LabelledDocuments`.

    Attributes:
        doc_ids: B ids, sorted.
        texts: of these documents.
        labels, label_ids: as `LabelledDocuments` has them.
        num_chunks, num_tokens: int32 (B,).
        near_duplicate_of_train: bool (B,).
    """

    doc_ids: list[str]
    texts: list[str]
    labels: list[Label]
    label_ids: np.ndarray
    num_chunks: np.ndarray
    num_tokens: np.ndarray
    near_duplicate_of_train: np.ndarray


def read_texts(chunk: FinishedStage, split: str) -> LabelledTexts:
    """Return the documents of one split with their texts; there may be none."""
    columns = ["doc_id", "text", "labels", "num_chunks", "num_tokens", "near_duplicate_of_train"]
    rows = sorted(read_documents(chunk, split, columns).to_pylist(), key=lambda row: row["doc_id"])
    return LabelledTexts(
        [row["doc_id"] for row in rows],
        [row["text"] for row in rows],
        *read_labels(chunk, [row["labels"] for row in rows]),
        np.asarray([row["num_chunks"] for row in rows], np.int32),
        np.asarray([row["num_tokens"] for row in rows], np.int32),
        np.asarray([row["near_duplicate_of_train"] for row in rows], bool),
    )


@dataclass(frozen=True)
class TrainingChunks:
    """The N chunks of one split.

    Attributes:
        rows: token ids, int32 (T_n,) each.
        lengths: int64 (N,).
        document_of: int64 (N,), the document's number in this split.
        label_ids: int32 (N,) or bool (N, C): their documents', as `LabelledDocuments` has them.
        chunk_index: int32 (N,).
        doc_ids: the documents' ids, by their numbers.
    """

    rows: list[np.ndarray]
    lengths: np.ndarray
    document_of: np.ndarray
    label_ids: np.ndarray
    chunk_index: np.ndarray
    doc_ids: list[str]


def read_chunks(chunk: FinishedStage, split: str) -> TrainingChunks:
    """Return the chunks of one split with their documents' labels; there may be none."""
    documents = read_documents(chunk, split, ["doc_id", "labels"])
    number = {doc_id: place for place, doc_id in enumerate(documents["doc_id"].to_pylist())}
    _, ids = read_labels(chunk, documents["labels"].to_pylist())
    rows: list[np.ndarray] = []
    owners: list[int] = []
    places: list[int] = []
    for path in chunk.files("chunks-"):
        table = tables.read_tables([path], ["doc_id", "chunk_index", "token_ids", "split"])
        table = table.filter(pc.equal(table["split"], split))
        if len(table):
            rows += tables.ragged_of(table["token_ids"])
            owners += [number[doc_id] for doc_id in table["doc_id"].to_pylist()]
            places += table["chunk_index"].to_pylist()
    order = np.lexsort((np.asarray(places, np.int64), np.asarray(owners, np.int64)))  # whatever the order of the rows
    rows, document_of = [rows[at] for at in order], np.asarray(owners, np.int64)[order]
    return TrainingChunks(
        rows,
        np.asarray([len(row) for row in rows], np.int64),
        document_of,
        ids[document_of],
        np.asarray(places, np.int32)[order],
        list(number),
    )
