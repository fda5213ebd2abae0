"""The table that gives a folder's text files their classes, and their splits and groups where it has them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hierdoc.corpus.cells import label_reader, required, required_split
from hierdoc.corpus.rows import holds_lists, read_rows
from hierdoc.corpus.sources import Source, Sources
from hierdoc.errors import HierdocError


def with_labels(
    sources: Sources,
    id: str,
    label: str | None,
    split: str | None,
    group: str | None = None,
    label_separator: str | None = None,
) -> list[Source]:
    """Return the folder's files, in their order, each with its label, split and group of the table's row with its id.

    Args:
        id, label, split, group: the table's columns; None for those that are not wanted.
        label_separator: what labels stand between where a file has a list of them.

    Raises:
        HierdocError: the table is not as it must be; an id stands twice; a file has no row, or a row no file.
    """
    table = sources.labels
    read_label = label_reader(label_separator, label_separator is not None and holds_lists(table, label))
    rows: dict[str, tuple[str, dict[str, Any]]] = {}
    for place, (doc_id, *values) in read_rows(table, sources.encoding, (id, label, split, group)):
        its_label, its_split, its_group = values
        doc_id = required(doc_id, id, place)
        if doc_id in rows:
            raise HierdocError(f"{place}: id {doc_id!r} stands twice, first in {rows[doc_id][0]}")
        of_table, place = place, f"{place}, document {doc_id!r}"
        rows[doc_id] = (
            of_table,
            {
                "label": None if label is None else read_label(its_label, label, place),
                "split": None if split is None else required_split(its_split, split, place),
                "group": None if group is None else required(its_group, group, place),
            },
        )
    if missing := [file.doc_id for file in sources.files if file.doc_id not in rows]:
        raise HierdocError(
            f"{table.name}: no row for {len(missing)} of the {len(sources.files)} files in {sources.folder}; "
            f"the first is {missing[0]!r}"
        )
    ids = {file.doc_id for file in sources.files}
    if unknown := [doc_id for doc_id in rows if doc_id not in ids]:
        raise HierdocError(
            f"{rows[unknown[0]][0]}: no file {unknown[0]!r} in {sources.folder}; there are {len(unknown)} such rows"
        )
    return [replace(file, **rows[file.doc_id][1]) for file in sources.files]
