"""Which encoding a text is in, and where it is not."""

from __future__ import annotations

import codecs
from functools import partial
from itertools import chain
from typing import BinaryIO

from hierdoc.errors import HierdocError

BYTE_ORDER_MARKS = {  # the longer first: UTF-32's little-endian mark begins with UTF-16's
    "utf-32": (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE),
    "utf-16": (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE),
}


def check_encoding(name: str) -> str:
    """Return Python's own name of a text encoding: "utf-8" for "UTF8", "utf8" and "utf-8-sig".

    Raises:
        HierdocError: Python knows no such encoding, or it is not one of text.
    """
    try:
        "".encode(name)  # refuses those that are not of text, such as hex
        name = codecs.lookup(name).name
    except (LookupError, ValueError):
        raise HierdocError(
            f"`encoding` must be a text encoding that Python knows, as utf-8, utf-16 or cp1252, but is {name!r} instead"
        ) from None
    return "utf-8" if name == "utf-8-sig" else name


def codec(encoding: str) -> str:
    """Return the codec that reads `encoding`; UTF-8's takes a byte order mark for what it is."""
    return "utf-8-sig" if encoding == "utf-8" else encoding


def where_not(encoding: str, file: BinaryIO) -> str:
    """Return, in words, where a stream stops being text in `encoding`: line (from 1), byte, offset (from 0), and why."""
    decoder = codecs.getincrementaldecoder(codec(encoding))()
    hint = "--encoding names another"
    line, offset = 1, 0
    for block in chain(iter(partial(file.read, 1 << 16), b""), [b""]):
        for name, marks in BYTE_ORDER_MARKS.items() if offset == 0 else ():
            if block.startswith(marks) and name != encoding:
                hint = f"it begins as {name} does: try --encoding {name}"
                break
        state = decoder.getstate()
        try:
            line += decoder.decode(block, final=not block).count("\n")
        except UnicodeDecodeError as error:
            kept = len(error.object) - len(block)  # bytes of the block before; -3 where a byte order mark was taken off
            decoder.setstate(state)
            line += decoder.decode(block[: max(0, error.start - kept)]).count("\n")
            byte = f"byte 0x{error.object[error.start]:02x} at offset {offset - kept + error.start}"
            return f"not {encoding} in line {line}: {byte}, {error.reason}; {hint}"
        except UnicodeError as error:
            return f"not {encoding}: {error}; {hint}"
        offset += len(block)
    return f"not {encoding}; {hint}"
