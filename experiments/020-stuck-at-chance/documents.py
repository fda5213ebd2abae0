"""The documents of a data set as the question's data frames: an index, a text cut into sequences, a label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import settings

from hierdoc.chunking.chunks import chunk_document
from hierdoc.chunking.tokenizers import WordPieceTokenizer
from hierdoc.corpus.documents import Columns, read_documents
from hierdoc.corpus.finding import find_sources
from hierdoc.corpus.split_files import read_split_file, text_sha256
from hierdoc.encoders.pretrained import EncoderSource
from hierdoc.errors import HierdocError
from hierdoc.learning.seeds import generator


@dataclass
class Frames:
    """What the question calls train and val: rows of `doc_id`, `text_split` (token ids of each chunk) and `label`.

    Its val is this split's test: hierdoc chooses its epoch on dev, which the question's design does not read.
    """

    train: pd.DataFrame
    val: pd.DataFrame

    def sides(self) -> dict[str, pd.DataFrame]:
        """Return both by name."""
        return {"train": self.train, "val": self.val}


def read_table(data: list[str], dataset: settings.Dataset) -> pd.DataFrame:
    """Return the documents of a split file, in its order: columns `id`, `text`, `label`, `split`.

    Raises:
        HierdocError: a document is missing from the data, or its text is another.
    """
    documents = read_documents(find_sources(data), Columns("text", "label", "id"))
    found = dict(zip(documents.doc_ids, zip(documents.texts, documents.labels, strict=True), strict=True))
    rows = []
    for doc_id, row in read_split_file(dataset.split).items():
        text, label = found.get(doc_id, ("", ""))
        if text_sha256(text) != row.sha256:
            raise HierdocError(f"{row.place}: the data hold no document {doc_id!r} with this text")
        rows.append((doc_id, text, label, row.split))
    return pd.DataFrame(rows, columns=["id", "text", "label", "split"])


def select(table: pd.DataFrame, wanted: settings.Documents) -> pd.DataFrame:
    """Return the rows that a case is run on; its training documents are the first ones of each class."""
    parts = []
    for number, label in enumerate(wanted.classes):
        rows = table[table.label == label]
        train = rows[rows.split == "train"]
        count = min(len(train), wanted.per_class or len(train))
        parts += [train.iloc[: max(1, round(count * wanted.shrink**number))], rows[rows.split != "train"]]
    return pd.concat(parts)


def make_frames(table: pd.DataFrame, source: EncoderSource, chunk_size: int, wanted: settings.Documents) -> Frames:
    """Return train and val with their texts cut, each in a random order that is always the same."""
    tokenizer = WordPieceTokenizer(source.vocab_path, source.lower_case)
    number_of = {label: number for number, label in enumerate(wanted.classes)}
    rows = select(table, wanted)
    cut = [chunk_document(text, tokenizer, chunk_size, max_chunks=wanted.max_chunks).chunks for text in rows.text]
    frame = pd.DataFrame(
        {
            "doc_id": list(rows.id),
            "text_split": [[chunk.token_ids for chunk in chunks] for chunks in cut],
            "label": [number_of[label] for label in rows.label],
            "split": list(rows.split),
        },
        index=list(rows.index),
    )
    shuffled = frame.iloc[generator(0, "frames").permutation(len(frame))]
    return Frames(*(shuffled[shuffled.split == split].drop(columns="split") for split in ("train", "test")))


@dataclass
class ChunkArrays:
    """The N chunks of a frame, as the question's code has them.

    Attributes:
        x: int32 (N, T), padded with 0.
        y: int32 (N,), each document's label.
        index: int64 (N,), each document's place in the frame's index.
    """

    x: np.ndarray
    y: np.ndarray
    index: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        """bool (N, T), True = a token."""
        return self.x != 0


def chunk_arrays(frame: pd.DataFrame, padded_to: int) -> ChunkArrays:
    """Return a frame's chunks, in its order."""
    rows: list[tuple[np.ndarray, int, Any]] = [
        (token_ids, row.label, place) for place, row in frame.iterrows() for token_ids in row.text_split
    ]
    x = np.zeros((len(rows), padded_to), np.int32)
    for at, (token_ids, _, _) in enumerate(rows):
        x[at, : len(token_ids)] = token_ids
    return ChunkArrays(x, np.asarray([row[1] for row in rows], np.int32), np.asarray([row[2] for row in rows]))
