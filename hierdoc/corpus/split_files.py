"""Split files: CSV with doc_id, split and the SHA-256 of the document's text, checked against the documents."""

from __future__ import annotations

import csv
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hierdoc.corpus.splits import ALSO_DEV, SPLITS
from hierdoc.errors import HierdocError
from hierdoc.stages.files import atomic, sha256_of

COLUMNS = ("doc_id", "split", "sha256")


@dataclass(frozen=True)
class SplitRow:
    """What a split file says of one document.

    Attributes:
        row: its row, from 1.
        split: train, dev, test or excluded.
        sha256: of the text in UTF-8, in lower-case hex.
    """

    row: int
    split: str
    sha256: str


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text's exact UTF-8 bytes, in hex."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


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
            f"{path}: row {rows[unknown[0]].row}: no document has the id {unknown[0]!r}; "
            f"{len(unknown)} of the file's {len(rows)} ids are not in the data"
        )
    differ = [doc_id for doc_id, text in zip(doc_ids, texts, strict=True) if text_sha256(text) != rows[doc_id].sha256]
    if differ:
        raise HierdocError(
            f"{path}: row {rows[differ[0]].row}: the text of document {differ[0]!r} has another SHA-256; "
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
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        number = 0
        try:
            header = next(reader, None)
            if header is None:
                raise HierdocError(f"{path}: the file is empty")
            places = [_column(header, name, path) for name in COLUMNS]
            for fields in reader:
                if not fields:
                    continue  # a blank line
                number += 1
                place = f"{path}: row {number}"
                if len(fields) != len(header):
                    raise HierdocError(f"{place} has {len(fields)} fields, but the header has {len(header)}")
                doc_id, split, sha256 = (fields[at] for at in places)
                if doc_id in rows:
                    raise HierdocError(f"{place}: id {doc_id!r} stands twice, first in row {rows[doc_id].row}")
                rows[doc_id] = SplitRow(number, _split(split, place), _sha256(sha256, place))
        except UnicodeDecodeError as error:
            raise HierdocError(f"{path}: not UTF-8 after row {number}: {error.reason}") from None
        except csv.Error as error:
            raise HierdocError(f"{path}: not CSV in row {number + 1}: {error}") from None
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


def _column(header: Sequence[str], name: str, path: Path) -> int:
    if list(header).count(name) != 1:
        trouble = "stands twice" if name in header else "is missing"
        raise HierdocError(f"{path}: column {name!r} {trouble}; a split file has the columns {', '.join(COLUMNS)}")
    return list(header).index(name)


def _split(value: str, place: str) -> str:
    split = "dev" if value in ALSO_DEV else value
    if split not in SPLITS:
        raise HierdocError(f"{place}: a split must be one of {', '.join(SPLITS)}, but is {value!r} instead")
    return split


def _sha256(value: str, place: str) -> str:
    if not re.fullmatch("[0-9a-fA-F]{64}", value):
        raise HierdocError(f"{place}: `sha256` must be 64 hexadecimal digits, but is {value!r} instead")
    return value.lower()
