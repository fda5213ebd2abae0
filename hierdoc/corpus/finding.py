"""From what a person names to sources: paths, a folder, stdin or a DataFrame."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

from hierdoc.corpus.encodings import check_encoding
from hierdoc.corpus.folders import check_name, files_below
from hierdoc.corpus.sources import FORMATS, FRAME, TABLES, Data, Source, Sources
from hierdoc.errors import HierdocError
from hierdoc.progress import say, warn

SUFFIXES = ".csv, .tsv, .jsonl, .parquet or .txt, with or without .gz or .zst after it"
STDIN = "-"


def find_sources(
    data: Data,
    labels_file: str | os.PathLike[str] | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
) -> Sources:
    """Return what `data` is; nothing is read but stdin, which is copied to an unnamed temporary file.

    Args:
        data: a path, paths, "-" for stdin, a folder, or a DataFrame. Below a folder each file that is not hidden is a
            document: its relative path is the id and the path's first folder the class.
        labels_file: a table with the classes of a folder's files instead; where it lies among them it is not a document.
        format: of stdin (CSV without it) and of files whose suffix names none; one of FORMATS.
        encoding: of all that is text.

    Raises:
        HierdocError: a file is missing, not regular, of no known format, or a table that is named twice; a folder or "-" stands beside others; a
            folder has no files; `labels_file` is given for no folder; `format` is given for no file.
    """
    encoding = check_encoding(encoding)
    if format not in (None, *FORMATS):
        raise HierdocError(f"`format` must be one of {', '.join(FORMATS)}, but is {format!r} instead")
    sources = Sources([_frame(data)], encoding) if not _are_paths(data) else _from_paths(data, format, encoding)
    if labels_file is not None:
        sources = _with_labels(sources, labels_file, format)
    if sources.folder is not None:
        _check_folder(sources, is_text=format == "txt")
    every = [*sources.files, *([sources.labels] if sources.labels else [])]
    if format is not None and all(source.format != format for source in every):
        first = sources.files[0]
        raise HierdocError(
            f"`format` is for stdin and for files whose suffix names none, but {first.name} is {first.format}"
        )
    return sources


def _check_folder(sources: Sources, is_text: bool) -> None:
    """Check that a folder has files, and not tables only unless they are said to be text; say how many tables are read as text."""
    if not sources.files:
        raise HierdocError(f"{sources}: no files in this folder")
    tables = [source.name for source in sources.files if _format_of(Path(source.name)) in TABLES]
    if len(tables) == len(sources.files) and not is_text:
        raise HierdocError(
            f"{sources}: a folder is read as one document a file, but its files are tables, such as {tables[0]}; name the "
            "tables instead of the folder, or say --format txt if each is one document"
        )
    if tables:
        warn(
            f"{sources}: {len(tables)} of {len(sources.files)} files are tables, such as {tables[0]}, and are read as text"
        )


def check_column_arguments(sources: Sources, **given: str | None) -> None:
    """Check that columns are named where there are some.

    Args:
        sources: the data.
        given: arguments and the columns that they name; None, or the default ("text" and "label"), where that was not asked for.

    Raises:
        HierdocError: a column is named, and the data are text files, whose table of labels, if there is one, has no text.
    """
    named = [
        name
        for name, column in given.items()
        if column not in (None, name.removesuffix("_column")) and (sources.labels is None or name == "text_column")
    ]
    if named and all(source.format == "txt" for source in sources.files):
        raise HierdocError(f"{sources}: `{named[0]}` has no effect, as these files are text and have no columns")


def _format_of(path: Path) -> str:
    """Return what a file's suffix says of its format, with another's or none as it is: "csv" of a.csv.gz, "md" of b.md."""
    stem = path.with_suffix("") if path.suffix.lower() in (".gz", ".zst") else path
    return stem.suffix.lower().removeprefix(".")


def _are_paths(data: Any) -> bool:
    return isinstance(data, (str, os.PathLike, list, tuple))


def _frame(data: Any) -> Source:
    if not (hasattr(data, "itertuples") and hasattr(data, "iloc")):  # pandas is not imported for this
        raise HierdocError(f"`data` must be a path, paths or a DataFrame, but is {type(data).__name__} instead")
    return Source("the DataFrame", FRAME, data)


def _from_paths(data: Any, format: str | None, encoding: str) -> Sources:
    paths = [data] if isinstance(data, (str, os.PathLike)) else list(data)
    if not paths:
        raise HierdocError("no data: name at least one file")
    for path in paths:
        if not isinstance(path, (str, os.PathLike)):
            raise HierdocError(f"`data` must hold paths, but holds {type(path).__name__} instead")
        alone = "stdin (-)" if path == STDIN else f"{path}: a folder" if os.path.isdir(path) else None
        if alone and len(paths) > 1:
            raise HierdocError(f"{alone} must be the only data, but there are {len(paths)}")
    if len(paths) == 1 and paths[0] != STDIN and os.path.isdir(paths[0]):
        return _from_folder(Path(paths[0]), encoding)
    files = [_file(path, format) for path in paths]
    _check_no_table_twice(files)
    return Sources(files, encoding)


def _check_no_table_twice(files: list[Source]) -> None:
    """Without ids a table's rows would be numbered on, and each be two documents; a text file's id is its path."""
    first: dict[Path, str] = {}
    for source in files:
        if isinstance(source.content, Path) and source.format != "txt":
            if (path := source.content.resolve()) in first:
                raise HierdocError(f"{source.name}: is named twice, first as {first[path]}")
            first[path] = source.name


def _from_folder(folder: Path, encoding: str) -> Sources:
    found = files_below(folder)
    if found.num_hidden:
        say(f"{folder}: {found.num_hidden} hidden files and folders are not read")
    files = []
    for name in found.names:
        first, slash, _ = name.partition("/")
        files.append(Source(str(folder / name), "txt", folder / name, name, first if slash else None))
    return Sources(files, encoding, folder, found.directories)


def _file(path: str | os.PathLike[str], format: str | None) -> Source:
    if path == STDIN:
        format = format or "csv"
        return Source("stdin", format, _stdin_copy(), STDIN if format == "txt" else None)
    given, path = str(path), Path(path)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        trouble = "a link to a file that is not there" if path.is_symlink() else "no such file"
        raise HierdocError(f"{path}: {trouble}") from None
    except OSError as error:
        raise HierdocError(f"{path}: can't be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        trouble = (
            "a folder, not a table" if stat.S_ISDIR(mode) else "not a regular file; a pipe can be read as - (stdin)"
        )
        raise HierdocError(f"{path}: {trouble}")
    named = _format_of(path)
    format = named if named in FORMATS else format
    if format is None:
        raise HierdocError(f"{path}: must end in {SUFFIXES}; --format says what it is")
    if format != "txt":
        return Source(str(path), format, path)
    check_name(given)
    return Source(str(path), format, path, given)


def _stdin_copy() -> BinaryIO:
    if sys.stdin is None:
        raise HierdocError("stdin: is closed")
    copy = tempfile.TemporaryFile()
    shutil.copyfileobj(sys.stdin.buffer, copy, 1 << 20)
    copy.flush()
    return copy


def _with_labels(sources: Sources, labels_file: str | os.PathLike[str], format: str | None) -> Sources:
    if sources.folder is None:
        raise HierdocError("`labels_file` holds the classes of a folder of text files, but the data are no folder")
    labels = _file(labels_file, format)
    if labels.format == "txt":
        raise HierdocError(f"{labels.name}: must be a table (.csv, .tsv, .jsonl or .parquet), but is text")
    files = sources.files
    if isinstance(labels.content, Path):
        files = [file for file in files if not labels.content.samefile(file.content)]
    return Sources(files, sources.encoding, sources.folder, sources.directories, labels)
