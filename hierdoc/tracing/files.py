"""A trace on disk: what a training saw at each step, and what came of it; docs/trace.md describes every field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from hierdoc.errors import HierdocError
from hierdoc.stages import files, tables

FORMAT = 1
FACTS = "trace.json"
KINDS = ("chunks", "documents")
EXAMPLES = pa.schema(
    [
        ("example", pa.int32()),
        ("doc_id", pa.string()),
        ("label_id", pa.int32()),
        ("mask_sum", pa.int32()),
        ("chunk_index", pa.list_(pa.int32())),
        ("hashes", pa.list_(pa.uint64())),
        ("sketches", pa.list_(pa.float32())),
    ]
)
STEPS = pa.schema(
    [
        ("step", pa.int32()),
        ("epoch", pa.int32()),
        ("loss", pa.float32()),
        ("learning_rate", pa.float32()),
        ("padded_length", pa.int32()),
        ("mask_given", pa.bool_()),
        ("examples", pa.list_(pa.int32())),
    ]
)
MADE = pa.schema(
    [
        ("doc_id", pa.string()),
        ("chunk_index", pa.int32()),
        ("label_id", pa.int32()),
        ("split", pa.string()),
        ("predicted", pa.int32()),
        ("hash", pa.uint64()),
        ("sketch", pa.list_(pa.float32())),
    ]
)
DEV = pa.schema(
    [
        ("doc_id", pa.string()),
        ("label_id", pa.int32()),
        ("mask_sum", pa.int32()),
        ("hashes", pa.list_(pa.uint64())),
        ("probs", pa.list_(pa.float32())),
        ("sketches", pa.list_(pa.float32())),
    ]
)
SCHEMAS = {"examples": EXAMPLES, "steps": STEPS, "made": MADE, "dev": DEV}


@dataclass(frozen=True)
class Trace:
    """One training's trace.

    Attributes:
        facts: what trace.json holds.
        examples, steps: the tables of these schemas; without rows where nothing was seen.
        made, dev: likewise.
    """

    facts: dict[str, Any]
    examples: pa.Table
    steps: pa.Table
    made: pa.Table
    dev: pa.Table


def write_trace(folder: Path, trace: Trace) -> None:
    """Write a trace into `folder`, trace.json last; what is there of an earlier one is replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FACTS).unlink(missing_ok=True)
    for name in SCHEMAS:
        path, table = _table_path(folder, name), getattr(trace, name)
        if len(table) or name in ("examples", "steps"):
            tables.write_table(path, table)
        else:
            path.unlink(missing_ok=True)
    files.write_json(folder / FACTS, trace.facts)


def is_trace(folder: Path) -> bool:
    """Return whether `folder` holds a trace."""
    return (folder / FACTS).exists()


def read_trace(folder: Path) -> Trace:
    """Return the trace in `folder`.

    Raises:
        HierdocError: there is none, or a file of it is damaged or of a newer format.
    """
    path = folder / FACTS
    if not path.exists():
        raise HierdocError(f"{folder}: holds no trace ({FACTS} is missing)")
    facts = files.read_object(path)
    if facts.get("format") != FORMAT:
        raise HierdocError(f"{path}: `format` must be {FORMAT}, but is {facts.get('format')!r} instead")
    if facts.get("kind") not in KINDS:
        raise HierdocError(f"{path}: `kind` must be one of {', '.join(KINDS)}, but is {facts.get('kind')!r} instead")
    return Trace(facts, **{name: _read_table(_table_path(folder, name), schema) for name, schema in SCHEMAS.items()})


def _table_path(folder: Path, name: str) -> Path:
    return folder / f"trace-{name}.parquet"


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    if not path.exists():
        return schema.empty_table()
    try:
        table = tables.read_tables([path])
    except (OSError, pa.ArrowInvalid) as error:
        raise HierdocError(f"{path}: can't be read: {error}") from None
    if table.schema.equals(schema.remove(len(schema) - 1)):  # a dev table of before it held sketches
        table = table.append_column(schema.field(len(schema) - 1), pa.nulls(len(table), schema.types[-1]))
    if not table.schema.equals(schema):
        raise HierdocError(f"{path}: must have the columns {', '.join(schema.names)} of a trace, but has others")
    return table
