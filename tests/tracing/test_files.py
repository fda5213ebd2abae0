"""A trace comes back as it was written, and a damaged one is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hierdoc.errors import HierdocError
from hierdoc.stages import tables
from hierdoc.tracing.files import DEV, EXAMPLES, FORMAT, MADE, STEPS, Trace, is_trace, read_trace, write_trace
from hierdoc.tracing.hashing import hash_rows, sketch_rows

FACTS = {"format": FORMAT, "kind": "documents", "num_classes": 2}


def small_trace() -> Trace:
    examples = pa.Table.from_pylist(
        [{"example": 0, "doc_id": "a", "label_id": 1, "mask_sum": 2, "chunk_index": [0, 1], "hashes": [2**64 - 1, 5]}],
        schema=EXAMPLES,
    )
    steps = pa.Table.from_pylist([{"step": 0, "epoch": 1, "loss": float("nan"), "examples": [0]}], schema=STEPS)
    return Trace(FACTS, examples, steps, MADE.empty_table(), DEV.empty_table())


def test_a_trace_is_read_as_it_was_written(tmp_path: Path):
    write_trace(tmp_path / "trace", small_trace())
    read = read_trace(tmp_path / "trace")
    assert is_trace(tmp_path / "trace") and not is_trace(tmp_path)
    assert read.facts == FACTS
    assert read.examples.to_pylist()[0]["hashes"] == [2**64 - 1, 5] and read.examples.to_pylist()[0]["sketches"] is None
    assert np.isnan(read.steps["loss"][0].as_py()) and read.steps["learning_rate"][0].as_py() is None
    assert len(read.made) == 0 and read.made.schema == MADE
    assert sorted(path.name for path in (tmp_path / "trace").iterdir()) == [
        "trace-examples.parquet", "trace-steps.parquet", "trace.json",
    ]  # fmt: skip


def test_an_earlier_trace_is_replaced_whole(tmp_path: Path):
    made = pa.Table.from_pylist([{"doc_id": "a", "chunk_index": 0, "hash": 1}], schema=MADE)
    earlier = small_trace()
    write_trace(tmp_path, Trace(earlier.facts, earlier.examples, earlier.steps, made, earlier.dev))
    assert len(read_trace(tmp_path).made) == 1
    write_trace(tmp_path, small_trace())
    assert len(read_trace(tmp_path).made) == 0


def test_held_out_predictions_of_before_they_had_sketches_are_read(tmp_path: Path):
    dev = pa.Table.from_pylist([{"doc_id": "a", "label_id": 1, "hashes": [5], "probs": [0.5, 0.5]}], schema=DEV)
    earlier = small_trace()
    write_trace(tmp_path, Trace(earlier.facts, earlier.examples, earlier.steps, earlier.made, dev))
    tables.write_table(tmp_path / "trace-dev.parquet", dev.drop_columns(["sketches"]))
    assert read_trace(tmp_path).dev.equals(dev)


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("trace.json", b'{"format": 2}', "trace.json: `format` must be 1, but is 2 instead"),
        ("trace.json", b'{"format": 1, "kind": "words"}', "`kind` must be one of chunks, documents, but is 'words'"),
        ("trace-steps.parquet", b"PAR1", "trace-steps.parquet: can't be read"),
    ],
)
def test_a_damaged_trace_is_named(file: str, content: bytes, said: str, tmp_path: Path):
    write_trace(tmp_path, small_trace())
    (tmp_path / file).write_bytes(content)
    with pytest.raises(HierdocError) as refused:
        read_trace(tmp_path)
    assert said in str(refused.value)


def test_no_trace_is_said(tmp_path: Path):
    with pytest.raises(HierdocError, match="holds no trace"):
        read_trace(tmp_path)


def test_the_same_numbers_have_the_same_hash_whatever_their_width():
    vectors = np.random.default_rng(0).standard_normal((3, 5)).astype(np.float32)
    assert hash_rows(vectors.astype(np.float64)).tolist() == hash_rows(vectors).tolist()
    assert len(set(hash_rows(vectors).tolist())) == 3
    ids = np.array([[101, 7, 102]])
    assert hash_rows(ids).tolist() == hash_rows(ids.astype(np.int32)).tolist()
    # by hand: printf '\x65\0\0\0\x07\0\0\0\x66\0\0\0' | b2sum -l 64
    assert hash_rows(ids)[0].tobytes().hex() == EXPECTED


EXPECTED = "968ac1d4be88787e"


def test_a_sketch_keeps_what_is_near_near():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((50, 384))
    near = vectors + 0.1 * rng.standard_normal((50, 384))
    one, other = sketch_rows(vectors), sketch_rows(near)
    assert one.shape == (50, 16) and one.dtype == np.float32
    moved = np.linalg.norm(one - other, axis=1)
    apart = np.linalg.norm(one - np.roll(other, 1, axis=0), axis=1)
    assert moved.max() < apart.min()
