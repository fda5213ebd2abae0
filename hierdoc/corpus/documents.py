"""From sources to validated documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hierdoc.corpus.cells import check_text, label_reader, required, required_split
from hierdoc.corpus.labels import LABEL_SEPARATOR, Label, shown
from hierdoc.corpus.rows import holds_lists, read_rows
from hierdoc.corpus.sources import Source, Sources
from hierdoc.corpus.text_labels import with_labels
from hierdoc.errors import HierdocError


@dataclass(frozen=True)
class Columns:
    """Which column holds what; None where the data have none.

    Without an id column, a document's id is its row's number in the data (the first is "1"). A text file has no columns:
    its name is the id; a folder's table of labels has all but the text.
    """

    text: str = "text"
    label: str | None = None
    id: str | None = None
    split: str | None = None
    group: str | None = None


@dataclass
class Documents:
    """B documents, column by column.

    Attributes:
        doc_ids: unique.
        texts: a null text is "".
        labels: a label of each, or a tuple of labels where lists were asked for.
        labels, splits, groups: None where no such column was asked for.
        num_null: how many texts were null.
    """

    doc_ids: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    labels: list[Label] | None = None
    splits: list[str] | None = None
    groups: list[str] | None = None
    num_null: int = 0

    def __len__(self) -> int:
        return len(self.doc_ids)


def read_documents(sources: Sources, columns: Columns, label_separator: str | None = None) -> Documents:
    """Return every document of `sources`, in order; see `iterate_documents` for what is read and what is refused.

    Raises:
        HierdocError: as `iterate_documents`.
    """
    documents = Documents(
        labels=None if columns.label is None else [],
        splits=None if columns.split is None else [],
        groups=None if columns.group is None else [],
    )
    for doc_id, text, label, split, group in iterate_documents(sources, columns, label_separator):
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


def iterate_documents(
    sources: Sources, columns: Columns, label_separator: str | None = None
) -> Iterator[tuple[str, str | None, Label, str, str]]:
    """Yield (id, text, label, split, group) of each document; a null text is None, and columns not asked for are "".

    Values are read as strings: "NA" is text and "007" an id. Labels, splits, groups and ids of other
    types become `str(value)`. With a label separator a document has a list of labels, which must be text: a cell's parts, or a
    list's; an empty list is none, and in CSV, TSV and DataFrames null.

    Raises:
        HierdocError: as `read_rows`; a text is not a string; a label is a list (or a text of other labels with | between them), or no list of different labels where that is asked for; a label, id, split or group is null or empty; a split is none; an id stands
            twice; a text file has no class; there are no rows.
    """
    if columns.text == columns.label:
        raise HierdocError(f"column {columns.text!r} can't be both the text and the label")
    wanted = (columns.text, columns.label, columns.id, columns.split, columns.group)
    seen: dict[str, str] = {}
    labelled: dict[str, str] = {}  # where each label stands first
    for source in _text_files_with_labels(sources, columns, label_separator):
        read_label = label_reader(label_separator, label_separator is not None and holds_lists(source, columns.label))
        for place, (text, label, doc_id, split, group) in read_rows(source, sources.encoding, wanted):
            if columns.id is None and source.doc_id is None:
                doc_id = str(len(seen) + 1)
            doc_id = required(doc_id, columns.id or "id", place)
            if doc_id in seen:
                raise HierdocError(f"{place}: id {doc_id!r} stands twice, first in {seen[doc_id]}")
            seen[doc_id] = place
            if columns.id is not None and source.doc_id is None:
                place = f"{place}, document {doc_id!r}"
            if text is not None:
                check_text(text, columns.text, place)
            its_label = "" if columns.label is None else read_label(label, columns.label, place)
            if isinstance(its_label, str) and (source.label is None or sources.labels is not None):  # no folder's name
                labelled.setdefault(its_label, place)
            yield (
                doc_id,
                text,
                its_label,
                "" if columns.split is None else required_split(split, columns.split, place),
                "" if columns.group is None else required(group, columns.group, place),
            )
    if not seen:
        raise HierdocError(f"{sources}: no rows")
    for label, place in labelled.items():
        parts = label.split(LABEL_SEPARATOR)
        if len(parts) > 1 and labelled.keys() >= {*parts}:
            raise HierdocError(
                f"{place}: column {columns.label!r} holds a list of other documents' labels, {shown(label)}; --multi-label reads "
                "lists, and a class of its own needs another sign between them"
            )


def _text_files_with_labels(sources: Sources, columns: Columns, label_separator: str | None) -> list[Source]:
    """Return the sources, those that are text files with the label, split and group that are asked for."""
    if sources.labels is not None:
        wanted = (columns.label, columns.split, columns.group)
        return with_labels(sources, columns.id or "id", *wanted, label_separator)
    for source in sources.files:
        if source.format != "txt":
            continue
        if columns.label is not None and source.label is None:
            raise HierdocError(
                f"{source.name}: a text file without a class; put it in a sub-folder named for its class and give the "
                f"folder above as the data, or give the folder and --labels-file TABLE"
            )
        for column in (columns.split, columns.group):
            if column is not None:
                raise HierdocError(
                    f"{source.name}: a text file has no column {column!r}; --labels-file TABLE can hold it"
                )
    return sources.files
