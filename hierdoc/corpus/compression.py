"""Bytes as they were before gzip or zstd, told by their first bytes, whatever the file's name says."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from hierdoc.errors import HierdocError

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
SKIPPABLE = b"\x2a\x4d\x18"  # after one byte from 0x50 to 0x5f: the frame that pzstd puts before each of zstd's


@contextlib.contextmanager
def decompressed(file: BinaryIO, name: str, seekable: bool = False) -> Iterator[BinaryIO]:
    """Yield the bytes of `file` as a stream, without their gzip or zstd compression where they have one.

    All members of a gzip file and all frames of a zstd file are read. With `seekable`, what was compressed is first
    written to an unnamed temporary file.

    Raises:
        HierdocError: the compressed bytes are damaged or end too soon; told with `name`, when that place is read.
    """
    magic = file.read(4)
    file.seek(0)
    skippable = b"\x50" <= magic[:1] <= b"\x5f" and magic[1:] == SKIPPABLE
    if magic.startswith(GZIP):
        kind = "gzip"
    elif magic == ZSTD or skippable:
        kind = "zstd"
    else:
        yield file
        return
    try:
        with gzip.GzipFile(fileobj=file) if kind == "gzip" else _zstd(file) as plain:
            if not seekable:
                yield plain
                return
            with tempfile.TemporaryFile() as whole:
                shutil.copyfileobj(plain, whole, 1 << 20)
                whole.seek(0)
                yield whole
    except (EOFError, zlib.error, OSError) as error:
        if getattr(error, "errno", None) is not None:  # of the disk, not of the bytes
            raise
        raise HierdocError(f"{name}: {kind} data that are damaged or cut short: {error}") from None


def _zstd(file: BinaryIO) -> BinaryIO:
    import pyarrow as pa

    return pa.CompressedInputStream(file, "zstd")
