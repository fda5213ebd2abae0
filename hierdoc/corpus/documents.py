"""From CSV or Parquet files, or a DataFrame, to validated documents."""

from __future__ import annotations

import csv
import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from hierdoc.errors import HierdocError

if TYPE_CHECKING:
    import pandas as pd

Data = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]], "pd.DataFrame"]

SUFFIXES = (".csv", ".parquet")


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None where the data have none.

    Without an id column, a document's id is its row's number in the data (the first is "1").
    """

    text: str = "text"
    label: str | None = None
    id: str | None = None
    split: str | None = None
    group: str | None = None

    def named(self) -> list[str]:
        """Return the columns that the data must have."""
        return [name for name in (self.text, self.label, self.id, self.split, self.group) if name is not None]


@dataclass
class Documents:
    """B documents, column by column.

    Attributes:
        doc_ids: unique.
        texts: a null text is "".
        labels, splits, groups: None where no such column was asked for.
        num_null: how many texts were null.
    """

    doc_ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    labels: list[str] | None = None
    splits: list[str] | None = None
    groups: list[str] | None = None
    num_null: int = 0

    def __len__(self) -> int:
        return len(self.doc_ids)


def data_paths(data: Data) -> list[Path] | None:
    """Return the files of `data`, or None for a DataFrame.

    Raises:
        HierdocError: a file is missing, or of a kind that is not read; `data` is neither paths nor a DataFrame.
    """
    if not isinstance(data, (str, os.PathLike, list, tuple)):
        if not (hasattr(data, "itertuples") and hasattr(data, "iloc")):  # pandas is not imported for this
            raise HierdocError(f"`data` must be a path, paths or a DataFrame, but is {type(data).__name__} instead")
        return None
    paths = [Path(data)] if isinstance(data, (str, os.PathLike)) else [Path(path) for path in data]
    if not paths:
        raise HierdocError("no data: name at least one file")
    for path in paths:
        if not path.exists():
            raise HierdocError(f"{path}: no such file")
        if path.is_dir() or path.suffix.lower() not in SUFFIXES:
            raise HierdocError(f"{path}: must be a file that ends in {' or '.join(SUFFIXES)}")
    return paths


def data_sha256(data: Data) -> list[str]:
    """Return the SHA-256 of each file's bytes (of the rows, for a DataFrame): what makes two inputs the same."""
    paths = data_paths(data)
    if paths is None:
        digest = hashlib.sha256(repr([str(name) for name in data.columns]).encode("utf-8", "surrogatepass"))  # type: ignore[union-attr]
        for row in data.itertuples(index=False):  # type: ignore[union-attr]
            digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
        return [digest.hexdigest()]
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "sha256").hexdigest())
    return digests


def read_documents(data: Data, columns: Columns) -> Documents:
    """Return every document of `data`, in order; see `iterate_documents` for what is read and what is refused.

    Raises:
        HierdocError: as `iterate_documents`; there are no rows.
    """
    documents = Documents(
        labels=None if columns.label is None else [],
        splits=None if columns.split is None else [],
        groups=None if columns.group is None else [],
    )
    for doc_id, text, label, split, group in iterate_documents(data, columns):
        documents.doc_ids.append(doc_id)
        documents.texts.append(text or "")
        documents.num_null += text is None
        if documents.labels is not None:
            documents.labels.append(label)
        if documents.splits is not None:
            documents.splits.append(split)
        if documents.groups is not None:
            documents.groups.append(group)
    return documents


def iterate_documents(data: Data, columns: Columns) -> Iterator[tuple[str, str | None, str, str, str]]:
    """Yield (id, text, label, split, group) of each row; a null text is None, and columns not asked for are "".

    Values are read as strings: "NA" is text and "007" an id. Null is an empty CSV field, a Parquet null, or a
    DataFrame's missing value. Labels, splits, groups and ids of other types become `str(value)`.

    Raises:
        HierdocError: a column is missing; a text is not a string; a label, id, split or group is null; an id stands twice;
            a file is not UTF-8, not CSV or not Parquet; there are no rows. Names file and row (the first is 1).
    """
    seen: dict[str, str] = {}
    number = 0
    for place, (text, label, doc_id, split, group) in _rows(data, columns):
        number += 1
        doc_id = str(number) if columns.id is None else _required(doc_id, columns.id, place)
        if doc_id in seen:
            raise HierdocError(f"{place}: id {doc_id!r} stands twice, first in {seen[doc_id]}")
        seen[doc_id] = place
        if text is not None:
            _check_text(text, columns.text, place)
        yield (
            doc_id,
            text,
            "" if columns.label is None else _required(label, columns.label, place),
            "" if columns.split is None else _required(split, columns.split, place),
            "" if columns.group is None else _required(group, columns.group, place),
        )
    if number == 0:
        paths = data_paths(data)
        raise HierdocError(f"{', '.join(map(str, paths)) if paths else 'the data'}: no rows")


def _rows(data: Data, columns: Columns) -> Iterator[tuple[str, tuple[Any, Any, Any, Any, Any]]]:
    paths = data_paths(data)
    if paths is None:
        yield from _frame_rows(data, columns)
        return
    for path in paths:
        yield from (_csv_rows if path.suffix.lower() == ".csv" else _parquet_rows)(path, columns)


def column_names(data: Data) -> list[str]:
    """Return the columns of `data` (of its first file); none where the file can't be read as what its name says.

    Raises:
        HierdocError: as `data_paths`.
    """
    paths = data_paths(data)
    if paths is None:
        return [str(name) for name in data.columns]  # type: ignore[union-attr]
    if paths[0].suffix.lower() == ".csv":
        with paths[0].open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return next(csv.reader(file), [])
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(paths[0]).names
    except pa.ArrowInvalid:
        return []


def _required(value: Any, column: str, place: str) -> str:
    if value is None or (isinstance(value, float) and value != value):  # a Parquet file's NaN, as a DataFrame's
        raise HierdocError(f"{place}: column {column!r} is null")
    if isinstance(value, (list, tuple, dict, set, bytes)) or getattr(value, "shape", ()) != ():
        raise HierdocError(f"{place}: column {column!r} must hold one value, but holds {value!r} instead")
    value = str(value)
    _check_unicode(value, column, place)
    return value


def _check_text(text: Any, column: str, place: str) -> None:
    if not isinstance(text, str):
        raise HierdocError(f"{place}: column {column!r} must hold text, but holds {type(text).__name__} instead")
    _check_unicode(text, column, place)


def _check_unicode(text: str, column: str, place: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise HierdocError(f"{place}: column {column!r} has a character that is not Unicode: {error.reason}") from None


def _pick(header: Sequence[str], columns: Columns, place: str) -> list[int | None]:
    """Return the position of the text, label, id, split and group column; None for those not asked for."""
    if columns.text == columns.label:
        raise HierdocError(f"{place}: column {columns.text!r} can't be both the text and the label")
    for name in columns.named():
        if list(header).count(name) != 1:
            trouble = "stands twice" if name in header else "is missing"
            raise HierdocError(f"{place}: column {name!r} {trouble}; the columns are {', '.join(map(repr, header))}")
    wanted = (columns.text, columns.label, columns.id, columns.split, columns.group)
    return [None if name is None else list(header).index(name) for name in wanted]


def _csv_rows(path: Path, columns: Columns) -> Iterator[tuple[str, tuple[Any, Any, Any, Any, Any]]]:
    csv.field_size_limit(sys.maxsize)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        row = 0
        try:
            header = next(reader, None)
            if header is None:
                raise HierdocError(f"{path}: the file is empty")
            places = _pick(header, columns, str(path))
            for fields in reader:
                if not fields and len(header) > 1:
                    continue  # a blank line
                fields = fields or [""]
                row += 1
                if len(fields) != len(header):
                    raise HierdocError(
                        f"{path}: row {row} (it ends on line {reader.line_num}) has {len(fields)} fields, "
                        f"but the header has {len(header)}"
                    )
                values = tuple(None if at is None else fields[at] or None for at in places)
                yield f"{path}: row {row}", values
        except UnicodeDecodeError as error:
            raise HierdocError(
                f"{path}: not UTF-8 after line {reader.line_num}: byte 0x{error.object[error.start]:02x}, {error.reason}"
            ) from None
        except csv.Error as error:
            raise HierdocError(f"{path}: not CSV in row {row + 1}, line {reader.line_num}: {error}") from None


def _parquet_rows(path: Path, columns: Columns) -> Iterator[tuple[str, tuple[Any, Any, Any, Any, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path) as file:
            places = _pick(file.schema_arrow.names, columns, str(path))
            for batch in file.iter_batches(batch_size=1024, columns=columns.named()):
                names = batch.schema.names
                arrays = [
                    None if at is None else batch.column(names.index(file.schema_arrow.names[at])).to_pylist()
                    for at in places
                ]
                for index in range(batch.num_rows):
                    row += 1
                    yield f"{path}: row {row}", tuple(None if values is None else values[index] for values in arrays)
    except UnicodeDecodeError as error:
        raise HierdocError(f"{path}: not UTF-8 after row {row}: {error.reason}") from None
    except (pa.ArrowInvalid, pa.ArrowIOError) as error:
        raise HierdocError(f"{path}: not a Parquet file that can be read: {str(error).splitlines()[0]}") from None


def _frame_rows(frame: Any, columns: Columns) -> Iterator[tuple[str, tuple[Any, Any, Any, Any, Any]]]:
    import pandas as pd

    places = _pick([str(name) for name in frame.columns], columns, "the DataFrame")
    picked = [None if at is None else frame.iloc[:, at].tolist() for at in places]
    for index in range(len(frame)):
        values = (None if column is None else column[index] for column in picked)
        yield (
            f"the DataFrame: row {index + 1}",
            tuple(None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in values),
        )
