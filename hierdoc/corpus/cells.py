"""What one cell of a table may hold."""

from __future__ import annotations

from typing import Any

from hierdoc.corpus.splits import ALSO_DEV, SPLITS
from hierdoc.errors import HierdocError


def required(value: Any, column: str, place: str) -> str:
    """Return `str(value)`, of a label, an id or a split.

    Raises:
        HierdocError: it is null, several values, or not Unicode; told with `place` and `column`.
    """
    if value is None or (isinstance(value, float) and value != value):  # a Parquet file's NaN, as a DataFrame's
        raise HierdocError(f"{place}: column {column!r} is null")
    if isinstance(value, (list, tuple, dict, set, bytes)) or getattr(value, "shape", ()) != ():
        raise HierdocError(f"{place}: column {column!r} must hold one value, but holds {value!r} instead")
    value = str(value)
    _check_unicode(value, column, place)
    return value


def required_split(value: Any, column: str, place: str) -> str:
    """Return a split's name as it stands.

    Raises:
        HierdocError: as `required`; it is not the name of a split.
    """
    value = required(value, column, place)
    if value not in SPLITS and value not in ALSO_DEV:
        raise HierdocError(
            f"{place}: column {column!r} must hold one of {', '.join(SPLITS)}, but holds {value!r} instead"
        )
    return value


def check_text(text: Any, column: str, place: str) -> None:
    """Refuse a text that is not one.

    Raises:
        HierdocError: it is not a string, or not Unicode.
    """
    if not isinstance(text, str):
        raise HierdocError(f"{place}: column {column!r} must hold text, but holds {type(text).__name__} instead")
    _check_unicode(text, column, place)


def _check_unicode(text: str, column: str, place: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise HierdocError(f"{place}: column {column!r} has a character that is not Unicode: {error.reason}") from None
