"""From the bytes of one source, of any format, to its rows."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NoReturn, TextIO

from hierdoc.corpus.encodings import codec, where_not
from hierdoc.corpus.labels import shown
from hierdoc.corpus.sources import FRAME, Source
from hierdoc.errors import HierdocError
from hierdoc.progress import warn
from hierdoc.stages.files import without_repeats

# A row: its place, for messages, and its value in each of the wanted columns; None for a null, and where None is wanted.
Row = tuple[str, tuple[Any, ...]]
Wanted = Sequence[str | None]

DELIMITERS = {"csv": ",", "tsv": "\t"}


def read_rows(source: Source, encoding: str, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows of a table with their values of the `wanted` columns; a text file's one row ignores the names.

    Python's limit of the length of a CSV field is lifted for the whole process. Null is an empty CSV or TSV field, JSON's null, a Parquet null, a DataFrame's missing value, or an empty text file.

    Raises:
        HierdocError: a column is missing or stands twice; the bytes are not of the source's format or encoding. Names
            file and row (the first is 1; blank lines of CSV, TSV and JSONL are not counted, but of a CSV or TSV of one
            column, where each is an empty field).
    """
    yield from _ROWS[source.format](source, encoding, wanted)


def has_column(source: Source, encoding: str, name: str) -> bool:
    """Return whether a table, or any row of a JSONL file, has a column; a text file has none.

    Raises:
        HierdocError: as `read_rows`.
    """
    if source.format == FRAME:
        return name in map(str, source.content.columns)
    if source.format == "parquet":
        with _parquet(source) as file:
            return name in file.schema_arrow.names
    if source.format == "jsonl":
        return any(name in record for _, record in _records(source, encoding))
    return source.format != "txt" and name in next(_fields(source, encoding))[1]


def holds_lists(source: Source, name: str | None) -> bool:
    """Return whether a column's cells are lists by their format: JSONL's are, and those of a Parquet column of lists.

    In a DataFrame a list can be, and what was read from CSV is text and nulls.

    Raises:
        HierdocError: as `read_rows`.
    """
    if source.format != "parquet":
        return source.format == "jsonl"
    import pyarrow as pa

    with _parquet(source) as file:
        schema = file.schema_arrow
        return name in schema.names and pa.types.is_nested(schema.field(schema.get_field_index(name)).type)


def _pick(header: Sequence[str], wanted: Wanted, place: str) -> list[int | None]:
    """Return the position of each wanted column; None for None."""
    for name in wanted:
        if name is not None and list(header).count(name) != 1:
            trouble = "stands twice" if name in header else "is missing"
            raise HierdocError(
                f"{place}: column {shown(name)} {trouble}; the columns are {', '.join(map(shown, header))}"
            )
    return [None if name is None else list(header).index(name) for name in wanted]


@contextlib.contextmanager
def _text(source: Source, encoding: str, newline: str = "") -> Iterator[TextIO]:
    try:
        with source.open() as file, io.TextIOWrapper(file, codec(encoding), newline=newline) as text:
            yield text
    except UnicodeError:
        with source.open() as file:
            raise HierdocError(f"{source.name}: {where_not(encoding, file)}") from None


def _fields(source: Source, encoding: str) -> Iterator[tuple[str, list[str]]]:
    """Yield (place, fields) of the header and of each row of CSV or TSV."""
    csv.field_size_limit(sys.maxsize)
    with _text(source, encoding) as file:
        reader = csv.reader(file, delimiter=DELIMITERS[source.format], strict=True)
        row, is_tsv, is_told = 0, source.format == "tsv", False
        try:
            header = next(reader, None)
            if header is None:
                raise HierdocError(f"{source.name}: the file is empty")
            yield source.name, header
            for fields in reader:
                if not fields and len(header) > 1:
                    continue  # a blank line
                row += 1
                place = f"{source.name}: row {row}"
                fields = fields or [""]
                if len(fields) != len(header):
                    raise HierdocError(
                        f"{place} (it ends on line {reader.line_num}) has {len(fields)} fields, "
                        f"but the header has {len(header)}"
                    )
                if is_tsv and not is_told and any("\t" in field and "\n" in field for field in fields):
                    is_told = True
                    warn(
                        f"{place} (it ends on line {reader.line_num}): a field between quotes holds tabs and line ends; if this "
                        "file's quotes are text, rows are inside it: double the quotes, or give CSV, JSONL or Parquet"
                    )
                yield place, fields
        except csv.Error as error:
            raise HierdocError(
                f"{source.name}: not {source.format.upper()} in row {row + 1}, line {reader.line_num}: {error}"
            ) from None


def _delimited_rows(source: Source, encoding: str, wanted: Wanted) -> Iterator[Row]:
    lines = _fields(source, encoding)
    place, header = next(lines)
    positions = _pick(header, wanted, place)
    for place, fields in lines:
        yield place, tuple(None if at is None else fields[at] or None for at in positions)


def _records(source: Source, encoding: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (place, record) of each line of JSONL that is not blank."""
    row = 0
    with _text(source, encoding, newline="\n") as file:
        for number, line in enumerate(file, 1):
            if not line.strip(" \t\r\n"):
                continue
            row += 1
            place = f"{source.name}: row {row}"
            try:
                record = json.loads(
                    line.rstrip("\n"),
                    object_pairs_hook=without_repeats,
                    parse_float=_number,
                    parse_constant=_refuse_constant,
                )
            except json.JSONDecodeError as error:
                where = f"line {number}, column {error.colno}"
                raise HierdocError(f"{place} ({where}) is not JSON: {error.msg}") from None
            except (ValueError, RecursionError) as error:
                raise HierdocError(f"{place} (line {number}) is not JSON: {error}") from None
            if not isinstance(record, dict):
                raise HierdocError(f"{place} (line {number}) must be an object, but is {type(record).__name__} instead")
            yield place, record


class _Written(float):
    """A number of JSON that is told as it is written, because a float would round it: an id of 20 digits, say."""

    def __new__(cls, literal: str) -> _Written:
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    def __str__(self) -> str:
        return self.literal

    __repr__ = __str__


_Written.__name__ = "float"  # in messages


def _number(literal: str) -> float:
    number = float(literal)
    is_exact = number not in (float("inf"), -float("inf")) and Decimal(literal) == Decimal(repr(number))
    return number if is_exact else _Written(literal)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON value")


def _record_rows(source: Source, encoding: str, wanted: Wanted) -> Iterator[Row]:
    for place, record in _records(source, encoding):
        values = list(record.values())
        positions = _pick(list(record), wanted, place)
        yield place, tuple(None if at is None else values[at] for at in positions)


@contextlib.contextmanager
def _parquet(source: Source) -> Iterator[Any]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with source.open(seekable=True) as stream:
        try:
            with pq.ParquetFile(stream, pre_buffer=False) as file:  # or all that was read stays in memory
                yield file
        except (pa.ArrowInvalid, pa.ArrowIOError) as error:
            what = str(error).partition("\n")[0]
            raise HierdocError(f"{source.name}: not a Parquet file that can be read: {what}") from None


def _parquet_rows(source: Source, encoding: str, wanted: Wanted) -> Iterator[Row]:
    row = 0
    with _parquet(source) as file:
        _pick(file.schema_arrow.names, wanted, source.name)
        try:
            for batch in file.iter_batches(1024, columns=[name for name in wanted if name is not None]):
                names = batch.schema.names
                columns = [
                    None if name is None else _values(batch.column(names.index(name)), name, row, source)
                    for name in wanted
                ]
                for index in range(batch.num_rows):
                    row += 1
                    values = tuple(None if column is None else column[index] for column in columns)
                    yield f"{source.name}: row {row}", values
        except UnicodeDecodeError as error:
            raise HierdocError(f"{source.name}: not UTF-8 after row {row}: {error.reason}") from None


def _values(column: Any, name: str, row: int, source: Source) -> list[Any]:
    try:
        return column.to_pylist()
    except OverflowError as error:  # a date beyond the year 9999
        raise HierdocError(
            f"{source.name}: column {name!r} has a value after row {row} that can't be read: {error}"
        ) from None


def _frame_rows(source: Source, encoding: str, wanted: Wanted) -> Iterator[Row]:
    import pandas as pd

    frame = source.content
    positions = _pick([str(name) for name in frame.columns], wanted, source.name)
    picked = [None if at is None else frame.iloc[:, at].tolist() for at in positions]
    for index in range(len(frame)):
        values = (None if column is None else column[index] for column in picked)
        yield (
            f"{source.name}: row {index + 1}",
            tuple(None if pd.api.types.is_scalar(value) and pd.isna(value) else value for value in values),
        )


def _text_rows(source: Source, encoding: str, wanted: Wanted) -> Iterator[Row]:
    with _text(source, encoding) as file:
        yield source.name, (file.read() or None, source.label, source.doc_id, source.split, source.group)


_ROWS: dict[str, Callable[[Source, str, Wanted], Iterator[Row]]] = {
    "csv": _delimited_rows,
    "tsv": _delimited_rows,
    "jsonl": _record_rows,
    "parquet": _parquet_rows,
    "txt": _text_rows,
    FRAME: _frame_rows,
}
