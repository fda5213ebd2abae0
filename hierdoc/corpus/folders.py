"""The files below a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from hierdoc.errors import HierdocError


@dataclass
class FilesBelow:
    """What is below a folder.

    Attributes:
        names: of the regular files: their POSIX paths relative to the folder, sorted.
        directories: those that were looked into, the folder itself among them, without symbolic links.
        num_hidden: files and folders whose names begin with a dot; they are not looked into.
    """

    names: list[str] = field(default_factory=list)
    directories: list[Path] = field(default_factory=list)
    num_hidden: int = 0


def files_below(folder: Path) -> FilesBelow:
    """Return what is below `folder`; symbolic links are followed.

    Raises:
        HierdocError: a link leads to a folder above it; something is neither a folder nor a regular file, or a link to
            nothing; a folder can't be read; a file's name is not Unicode.
    """
    found = FilesBelow()
    try:
        _look_into(folder, "", (), found)
    except OSError as error:
        raise HierdocError(f"{error.filename}: can't be read: {error.strerror}") from None
    found.names.sort()
    return found


def _look_into(folder: Path, prefix: str, above: tuple[tuple[int, int], ...], found: FilesBelow) -> None:
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        raise HierdocError(f"{folder}: a link to a folder that it is in")
    found.directories.append(folder.resolve())
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                found.num_hidden += 1
            elif entry.is_dir():
                _look_into(folder / entry.name, f"{prefix}{entry.name}/", (*above, here), found)
            elif entry.is_file():
                check_name(prefix + entry.name)
                found.names.append(prefix + entry.name)
            elif entry.is_symlink() and not os.path.exists(entry.path):
                raise HierdocError(f"{entry.path}: a link to a file that is not there")
            else:
                raise HierdocError(f"{entry.path}: not a regular file")


def check_name(name: str) -> None:
    """Refuse a file name that can't be a document's id.

    Raises:
        HierdocError: it is not Unicode.
    """
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        raise HierdocError(f"{name!r}: a file's name is its document's id, and this one is not Unicode") from None
