"""What one cell of a table may hold."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hierdoc.corpus.labels import Label, shown
from hierdoc.corpus.splits import ALSO_DEV, SPLITS
from hierdoc.errors import HierdocError


def required(value: Any, column: str, place: str) -> str:
    """Return `str(value)`, of a label, an id or a split.

    Raises:
        HierdocError: it is null, empty, several values, or not Unicode; told with `place` and `column`.
    """
    if value is None or (isinstance(value, float) and value != value):  # a Parquet file's NaN, as a DataFrame's
        raise HierdocError(f"{place}: column {column!r} is null")
    if isinstance(value, (list, tuple, dict, set, bytes)) or getattr(value, "shape", ()) != ():
        raise HierdocError(f"{place}: column {column!r} must hold one value, but holds {value!r} instead")
    value = str(value)
    if not value:
        raise HierdocError(f"{place}: column {column!r} is empty")
    _check_unicode(value, column, place)
    return value


def label_reader(separator: str | None, has_lists: bool) -> Callable[[Any, str, str], Label]:
    """Return the function that reads a label's cell: one label, or those of a list where a separator is given.

    It is called with the value, its column and its place, and raises HierdocError as `required` and `_required_labels`. `has_lists`
    says whether the format has lists of its own, so that a text or a null is none.
    """
    if separator is None:
        return _required_label
    return lambda value, column, place: _required_labels(value, column, place, separator, has_lists)


def _required_label(value: Any, column: str, place: str) -> str:
    """Return one label, of a cell or of a list that holds that alone."""
    if isinstance(value, (list, tuple)) or getattr(value, "shape", ()) != ():
        labels = _as_list(value)
        if labels is None or len(labels) != 1:
            raise HierdocError(
                f"{place}: column {column!r} must hold one label, but holds the list {labels!r} instead; "
                "--multi-label reads lists"
            )
        (value,) = labels
    return required(value, column, place)


def _required_labels(value: Any, column: str, place: str, separator: str, has_lists: bool) -> tuple[str, ...]:
    """Return the labels of a list, or of a text that is cut at `separator`, as they stand; none for null and for an empty text.

    Raises:
        HierdocError: it is neither, or must be a list and is none; a label is empty, no text, not Unicode, holds the separator or stands
            twice.
    """
    is_null = value is None or (isinstance(value, float) and value != value)
    if has_lists and (is_null or isinstance(value, str)):
        what = "is null" if is_null else f"holds the text {shown(value)}"
        raise HierdocError(f"{place}: column {column!r} must hold a list of labels, empty for none, but {what}")
    if is_null:
        return ()
    labels = (value.split(separator) if value else []) if isinstance(value, str) else _as_list(value)
    if labels is None:
        raise HierdocError(f"{place}: column {column!r} must hold a list of labels, but holds {value!r} instead")
    for label in labels:
        if not isinstance(label, str):
            raise HierdocError(
                f"{place}: column {column!r} must hold labels that are text, but holds {label!r} instead"
            )
        if not label:
            raise HierdocError(f"{place}: column {column!r} holds an empty label: {value!r}")
        if separator in label:
            raise HierdocError(
                f"{place}: column {column!r} holds the label {label!r}, in which the separator {separator!r} stands; give "
                "another one with --label-separator"
            )
        if labels.count(label) > 1:
            raise HierdocError(f"{place}: column {column!r} holds the label {label!r} twice")
        _check_unicode(label, column, place)
    return tuple(labels)


def _as_list(value: Any) -> list[Any] | None:
    """Return a list, tuple or one-dimensional array (pandas gives arrays for Parquet's lists) as a list; None for another value."""
    if isinstance(value, (list, tuple)):
        return list(value)
    return value.tolist() if len(getattr(value, "shape", ())) == 1 else None


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
