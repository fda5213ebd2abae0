"""What DATA is: sources of bytes with a name and a format, and what makes two DATA the same."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Union

from hierdoc.corpus.compression import decompressed
from hierdoc.errors import HierdocError, HierdocFailure

if TYPE_CHECKING:
    import pandas as pd

Data = Union[str, "os.PathLike[str]", Sequence[Union[str, "os.PathLike[str]"]], "pd.DataFrame"]

FORMATS = ("csv", "tsv", "jsonl", "parquet", "txt")
TABLES = tuple(format for format in FORMATS if format != "txt")
FRAME = "DataFrame"


@dataclass(frozen=True)
class Source:
    """One file, stdin, or a DataFrame, that documents are read from.

    Attributes:
        name: what messages call it.
        format: one of FORMATS, or FRAME.
        content: a path, stdin's copy, or the DataFrame.
        doc_id, label, split, group: those of the one document that a text file is; None in a table, or where it has none.
    """

    name: str
    format: str
    content: Path | BinaryIO | pd.DataFrame
    doc_id: str | None = None
    label: str | tuple[str, ...] | None = None
    split: str | None = None
    group: str | None = None

    @contextlib.contextmanager
    def open(self, seekable: bool = False) -> Iterator[BinaryIO]:
        """Yield the bytes, decompressed; one reader at a time.

        Raises:
            HierdocError: the file can't be read, or its compressed bytes are damaged.
        """
        with self._stored_bytes() as file, decompressed(file, self.name, seekable) as plain:
            yield plain

    def sha256(self) -> str:
        """Return the hash of the bytes as they are stored, and of a text file's id with them."""
        if self.format == FRAME:
            return _frame_sha256(self.content)
        with self._stored_bytes() as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest if self.doc_id is None else hashlib.sha256(f"{self.doc_id}\0{digest}".encode()).hexdigest()

    def _stored_bytes(self) -> BinaryIO:
        if not isinstance(self.content, Path):
            self.content.seek(0)
            return os.fdopen(os.dup(self.content.fileno()), "rb")
        try:
            return self.content.open("rb")
        except OSError as error:
            raise HierdocError(f"{self.name}: can't be read: {error.strerror}") from None


@dataclass(frozen=True)
class Sources:
    """What DATA is.

    Attributes:
        files: the sources, in order.
        encoding: of those that are text.
        folder: the one folder that the files are below, if they are.
        directories: where a new file would be read the next time.
        labels: the table with the classes of a folder's files.
    """

    files: list[Source]
    encoding: str
    folder: Path | None = None
    directories: list[Path] = field(default_factory=list)
    labels: Source | None = None

    def __str__(self) -> str:
        return ", ".join(source.name for source in self.files) if self.folder is None else str(self.folder)

    def parameters(self) -> dict[str, Any]:
        """Return what decides which documents are read: hashes, and what the same bytes could also be read as.

        `data_format` is None for CSV, Parquet and DataFrames (of the text formats, only CSV goes unsaid), and
        `encoding` for UTF-8 and where nothing is text.
        """
        hashes = [source.sha256() for source in self.files]
        formats = [source.format for source in self.files]
        texts = {*formats, self.labels and self.labels.format} - {"parquet", FRAME, None}
        if self.folder is not None:
            hashes, formats = [hashlib.sha256("".join(hashes).encode()).hexdigest()], ["folder"]
        return {
            "data_sha256": hashes,
            "data_format": None if {*formats} <= {"csv", "parquet", FRAME} else formats,
            "encoding": self.encoding if texts and self.encoding != "utf-8" else None,
            "labels_file": self.labels and {"format": self.labels.format, "sha256": self.labels.sha256()},
        }

    def check_unchanged(self, before: dict[str, Any]) -> None:
        """Check after reading that the files still are what `parameters` returned `before`; a DataFrame is taken to be.

        Raises:
            HierdocError: a file is gone.
            HierdocFailure: a file has changed.
        """
        if self.files[0].format == FRAME or (now := self.parameters()) == before:
            return
        pairs = zip(before["data_sha256"], now["data_sha256"], self.files)
        changed = [source.name for one, other, source in pairs if one != other]
        name = self.folder or (changed[0] if changed else self)
        raise HierdocFailure(f"{name}: changed while it was read; try again when nobody writes to it")

    def hold(self, path: Path) -> bool:
        """Return whether `path` is one of the files, or inside the folder."""
        above = path.resolve().parents
        if any(directory in above for directory in self.directories):
            return True
        return path.exists() and any(path.samefile(read) for read in self._paths)

    def lie_in(self, directory: Path) -> bool:
        """Return whether one of the files is in `directory`, or below it."""
        return any(directory.resolve() in read.resolve().parents for read in self._paths)

    @property
    def _paths(self) -> list[Path]:
        every = [*self.files, *([self.labels] if self.labels else [])]
        return [it.content for it in every if isinstance(it.content, Path)]


def _frame_sha256(frame: Any) -> str:
    digest = hashlib.sha256(repr([str(name) for name in frame.columns]).encode("utf-8", "surrogatepass"))
    for row in frame.itertuples(index=False):
        digest.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
