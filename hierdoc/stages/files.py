"""Files that are written whole or not at all, read with a clear word when they are not what they should be, and locked."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hierdoc.errors import HierdocError, HierdocFailure

PARTIAL = ".partial"  # what a file's name ends in until the file is whole


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, sync it and rename it to `path`.

    It is this process's own, so that two that write the same file leave one of the two whole files.
    """
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_room(path: Path, needed: int) -> None:
    """Check that a file of `needed` bytes can be written.

    Raises:
        HierdocError: its disk has less room.
    """
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise HierdocError(f"{path}: takes {needed / 2**30:.1f} GiB, and {free / 2**30:.1f} are free; make room")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        HierdocError: the file does not hold one.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=without_repeats)
    except ValueError as error:  # not JSON, not UTF-8, or a key that stands twice
        raise HierdocError(f"{path}: is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise HierdocError(f"{path}: must be a JSON object, but is {type(value).__name__} instead")
    return value


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object of its keys and values, as `json.loads` calls an `object_pairs_hook`.

    Raises:
        ValueError: a key stands twice, and its first value would be dropped.
    """
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} stands twice")
    return record


def check_unicode(path: str | os.PathLike[str]) -> None:
    """Refuse a path that a manifest can't name and Parquet can't open.

    Raises:
        HierdocError: its bytes are not of the file system's encoding.
    """
    try:
        os.fspath(path).encode("utf-8")
    except UnicodeEncodeError:
        raise HierdocError(f"{os.fspath(path)!r}: must be Unicode, but has other bytes in its name") from None


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text's exact UTF-8 bytes, in hex: what split files and the table of documents hold."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lock(path: Path) -> Any:
    """Return an open file that keeps other processes from writing the stage at `path` until it is closed.

    Raises:
        HierdocFailure: another process holds it; the message says which.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = (path.parent / f".{path.name}.lock").open("a+", encoding="utf-8")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        holder = file.read().strip()
        file.close()
        raise HierdocFailure(f"{path}: process {holder} is writing this stage; wait for it, or stop it") from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
