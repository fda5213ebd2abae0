"""From one text to its chunks, and from many documents to shards of chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.chunking.kept_shards import Document, count_kept, document_row
from hierdoc.chunking.sentences import sentence_ends
from hierdoc.chunking.tokenizers import WordPieceTokenizer
from hierdoc.chunking.windows import NUM_SPECIAL, cut_windows
from hierdoc.stages import tables

TOKENS_PER_SHARD = 1_000_000
NAMES = ("documents", "chunks")  # in the order in which a shard's two files are written


@dataclass(frozen=True)
class Chunk:
    """One window of a document.

    Attributes:
        chunk_index: its place in the document, from 0.
        token_ids: int32 (T,), [CLS] first and [SEP] last.
        char_start, char_end: what it covers of the document's text, in characters.
    """

    chunk_index: int
    token_ids: np.ndarray
    char_start: int
    char_end: int


@dataclass(frozen=True)
class ChunkedDocument:
    """A document's chunks and what was counted on the way.

    Attributes:
        chunks: at least one; [CLS][SEP] alone for a text without tokens.
        num_tokens, num_unknown: content tokens of the whole text, and how many are [UNK].
        num_dropped: chunks that `max_chunks` cut off.
    """

    chunks: list[Chunk]
    num_tokens: int
    num_unknown: int
    num_dropped: int


def chunk_document(
    text: str,
    tokenizer: WordPieceTokenizer,
    chunk_size: int = 200,
    overlap: int = 0,
    max_chunks: int | None = None,
    respect_sentences: bool = False,
) -> ChunkedDocument:
    """Return the windows of one text; see `hierdoc.chunking.windows.cut_windows` for where they begin and end."""
    tokens = tokenizer.tokenize(text)
    ends = sentence_ends(text, tokens.char_starts, tokens.char_ends) if respect_sentences else None
    windows = cut_windows(len(tokens.token_ids), chunk_size, overlap, ends)
    chunks = []
    for index, (start, end) in enumerate(windows[:max_chunks]):
        ids = np.empty(end - start + NUM_SPECIAL, np.int32)
        ids[0], ids[1:-1], ids[-1] = tokenizer.cls_id, tokens.token_ids[start:end], tokenizer.sep_id
        covered = (int(tokens.char_starts[start]), int(tokens.char_ends[end - 1])) if end > start else (0, 0)
        chunks.append(Chunk(index, ids, *covered))
    return ChunkedDocument(chunks, len(tokens.token_ids), tokens.num_unknown, len(windows) - len(chunks))


class ShardWriter:
    """Writes documents-*.parquet and chunks-*.parquet, a pair whenever `TOKENS_PER_SHARD` tokens have come together.

    A document never straddles two shards. Before each shard, `keep` takes what an earlier run has written of it. Call
    `close` at the end.
    """

    def __init__(self, folder: Path):
        self._folder = folder
        self._number = 0
        self._documents: list[tuple[Any, ...]] = []
        self._chunks: list[tuple[Any, ...]] = []
        self._num_tokens = 0

    def keep(self, documents: Sequence[Document], begin: int) -> int:
        """Return how many of the documents from `begin` on are in the next shard already; such a shard is kept as it is.

        Between two shards only: otherwise, and when there is no whole shard of just the next documents, 0.
        """
        num_kept = 0 if self._documents else count_kept(*self._paths(), documents, begin, TOKENS_PER_SHARD)
        self._number += num_kept > 0
        return num_kept

    def add(self, document: Document, cut: ChunkedDocument) -> None:
        """Add one document with its chunks."""
        doc_id, _, _, split, _ = document
        *row, near_duplicate_of_train = document_row(document)
        counts = (cut.num_tokens, len(cut.chunks), cut.num_unknown, cut.num_dropped)
        self._documents.append((*row, *counts, near_duplicate_of_train))
        for chunk in cut.chunks:
            self._chunks.append((doc_id, chunk.chunk_index, chunk.token_ids, chunk.char_start, chunk.char_end, split))
            self._num_tokens += len(chunk.token_ids)
        if self._num_tokens >= TOKENS_PER_SHARD:
            self._write()

    def close(self) -> None:
        """Write what has not been written yet, and remove shards beyond it."""
        if self._documents:
            self._write()
        last = {f"{name}-{number:05d}.parquet" for name in NAMES for number in range(self._number)}
        for name in NAMES:
            for path in self._folder.glob(f"{name}-*.parquet"):
                if path.name not in last:
                    path.unlink()

    def _paths(self) -> list[Path]:
        return [self._folder / f"{name}-{self._number:05d}.parquet" for name in NAMES]

    def _write(self) -> None:
        for path, schema, rows in zip(
            self._paths(), (tables.DOCUMENTS, tables.CHUNKS), (self._documents, self._chunks), strict=True
        ):
            columns = [pa.array(values, field.type) for values, field in zip(zip(*rows), schema, strict=True)]
            tables.write_table(path, pa.Table.from_arrays(columns, schema=schema))
            rows.clear()
        self._number += 1
        self._num_tokens = 0
