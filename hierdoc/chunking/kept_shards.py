"""Whether an interrupted run has left a shard that is whole and holds just the documents that come next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hierdoc.stages import tables
from hierdoc.stages.files import text_sha256

Document = tuple[str, str, Sequence[str], str, bool]  # id, text, labels, split, near-duplicate of a training document
_OF_DOCUMENT = ["doc_id", "text", "labels", "split", "text_sha256", "near_duplicate_of_train"]


def document_row(document: Document) -> tuple[str, str, list[str], str, str, bool]:
    """Return what the table of documents holds of a document before it is cut."""
    doc_id, text, labels, split, near_duplicate_of_train = document
    return doc_id, text, list(labels), split, text_sha256(text), near_duplicate_of_train


def count_kept(
    documents_path: Path, chunks_path: Path, documents: Sequence[Document], begin: int, tokens_per_shard: int
) -> int:
    """Return how many of `documents` from `begin` on the shard in two files holds, or 0 when it must be written (again).

    It must hold the next documents with all their chunks, and end with the document that brings it to
    `tokens_per_shard` tokens, or with the last one.
    """
    try:
        kept, chunks = tables.read_tables([documents_path]), tables.read_tables([chunks_path])
    except (pa.ArrowInvalid, OSError):
        return 0
    if not (len(kept) and kept.schema.equals(tables.DOCUMENTS) and chunks.schema.equals(tables.CHUNKS)):
        return 0
    rows = [document_row(document) for document in documents[begin : begin + len(kept)]]
    if kept.select(_OF_DOCUMENT).to_pydict() != dict(zip(_OF_DOCUMENT, map(list, zip(*rows)))):
        return 0
    num_chunks = kept["num_chunks"].to_numpy()
    owners = np.repeat(np.arange(len(kept)), num_chunks)
    places = np.arange(len(owners)) - np.repeat(num_chunks.cumsum() - num_chunks, num_chunks)
    if not (
        chunks.select(["doc_id", "split"]).equals(kept.select(["doc_id", "split"]).take(owners))
        and np.array_equal(chunks["chunk_index"].to_numpy(), places)
    ):
        return 0
    tokens = np.bincount(owners, pc.list_value_length(chunks["token_ids"]).to_numpy(), len(kept))
    full = tokens.sum() >= tokens_per_shard or begin + len(kept) == len(documents)
    return len(kept) if full and tokens[:-1].sum() < tokens_per_shard else 0
