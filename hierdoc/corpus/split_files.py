"""Split files: CSV with doc_id, split and the SHA-256 of the document's text, checked against the documents."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hierdoc.corpus.cells import required, required_split
from hierdoc.corpus.rows import read_rows
from hierdoc.corpus.sources import Source
from hierdoc.corpus.splits import ALSO_DEV
from hierdoc.errors import HierdocError
from hierdoc.stages.files import atomic, sha256_of, text_sha256

COLUMNS = ("doc_id", "split", "sha256")


@dataclass(frozen=True)
class SplitRow:
    """What a split file says of one document.

    Attributes:
        place: its file and row, for messages.
        split: train, dev, test or excluded.
        sha256: of the text in UTF-8, in lower-case hex.
    """

    place: str
    split: str
    sha256: str


def split_file_sha256(path: Path) -> str:
    """Return the SHA-256 of a split file's bytes, in hex.

    Raises:
        HierdocError: there is no such file.
    """
    _check_file(path)
    return sha256_of(path)


def given_split(path: str | os.PathLike[str], doc_ids: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Return the split that a file gives to each of B documents: train, dev, test or excluded.

    Raises:
        HierdocError: as `read_split_file`; a document is not in the file, or an id of the file not among the
            documents; a text is another than the file was made for. Names the first one and how many there are.
    """
    rows = read_split_file(path)
    if missing := [doc_id for doc_id in doc_ids if doc_id not in rows]:
        raise HierdocError(
            f"{path}: has no row for {len(missing)} of the {len(doc_ids)} documents, the first is {missing[0]!r}"
        )
    known = set(doc_ids)
    if unknown := [doc_id for doc_id in rows if doc_id not in known]:
        raise HierdocError(
            f"{rows[unknown[0]].place}: no document has the id {unknown[0]!r}; "
            f"{len(unknown)} of the file's {len(rows)} ids are not in the data"
        )
    differ = [doc_id for doc_id, text in zip(doc_ids, texts, strict=True) if text_sha256(text) != rows[doc_id].sha256]
    if differ:
        raise HierdocError(
            f"{rows[differ[0]].place}: the text of document {differ[0]!r} has another SHA-256; "
            f"{len(differ)} of the {len(doc_ids)} texts differ from those that the file was made for"
        )
    return [rows[doc_id].split for doc_id in doc_ids]


def read_split_file(path: str | os.PathLike[str]) -> dict[str, SplitRow]:
    """Return the rows of a split file by document id, in their order; other columns are not read.

    Raises:
        HierdocError: the file is missing, empty, not UTF-8 or not CSV; a column is missing; an id stands twice; a split
            or a hash is none; no document is for train. Names file and row.
    """
    path = Path(path)
    _check_file(path)
    rows: dict[str, SplitRow] = {}
    for place, values in read_rows(Source(str(path), "csv", path), "utf-8", COLUMNS):
        doc_id, split, sha256 = (required(value, name, place) for value, name in zip(values, COLUMNS, strict=True))
        if doc_id in rows:
            raise HierdocError(f"{place}: id {doc_id!r} stands twice, first in {rows[doc_id].place}")
        required_split(split, "split", place)
        if not re.fullmatch("[0-9a-fA-F]{64}", sha256):
            raise HierdocError(f"{place}: `sha256` must be 64 hexadecimal digits, but is {sha256!r} instead")
        rows[doc_id] = SplitRow(place, "dev" if split in ALSO_DEV else split, sha256.lower())
    if not rows:
        raise HierdocError(f"{path}: no rows")
    if all(row.split != "train" for row in rows.values()):
        raise HierdocError(f"{path}: no document is for train")
    return rows


def write_split_file(path: Path, doc_ids: Sequence[str], split_of: Sequence[str], texts_sha256: Sequence[str]) -> None:
    """Write a split file, atomically, in the order of the documents."""
    with atomic(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        # ids are quoted, all of them: Python 3.11 leaves one with a lone "\r" bare
        writer = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL)
        writer.writerow(COLUMNS)
        writer.writerows(zip(doc_ids, split_of, texts_sha256, strict=True))


def _check_file(path: Path) -> None:
    if not path.exists():
        raise HierdocError(f"{path}: no such split file (and no fractions of train/dev/test, as 0.8/0.1/0.1)")
    if not path.is_file():
        raise HierdocError(f"{path}: must be a split file, but is a folder or a device")
