"""Tables come back as they were written, with the agreed columns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from hierdoc.stages import tables


def test_a_table_comes_back_and_the_same_table_makes_the_same_bytes(tmp_path: Path):
    table = pa.table({"doc_id": ["a", "b"], "n": [1, 2]})
    for name in ("one", "two"):
        tables.write_table(tmp_path / name, table)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert tables.read_tables([tmp_path / "one", tmp_path / "two"])["doc_id"].to_pylist() == ["a", "b", "a", "b"]
    assert tables.read_tables([tmp_path / "one"], ["n"]).column_names == ["n"]


def test_a_table_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(table: pa.Table, path: Path, **options) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(tables.pq, "write_table", fail)
    with pytest.raises(OSError, match="disk full"):
        tables.write_table(tmp_path / "x.parquet", pa.table({"n": [1]}))
    assert list(tmp_path.iterdir()) == []


def test_a_matrix_goes_through_a_column_and_back(tmp_path: Path):
    matrix = np.asarray([[1, 2, 3], [4, 5, 6.5], [-0.0, 1e-30, 3e38], [7, 8, 9]], np.float32)
    schema = tables.vectors_schema(3, 2)
    probs = np.asarray([[0.25, 0.75]] * 4, np.float64)
    table = pa.Table.from_arrays(
        [
            pa.array(["a"] * 4),
            pa.array(range(4), pa.int32()),
            tables.fixed_lists(matrix[:, ::-1]),
            tables.fixed_lists(probs),
        ],
        schema=schema,
    )
    for number, piece in enumerate((table.slice(0, 1), table.slice(1))):
        tables.write_table(tmp_path / f"{number}", piece)
    read = tables.read_tables([tmp_path / "0", tmp_path / "1"])
    got = tables.matrix_of(read["vector"])
    assert got.dtype == np.float32 and got.tobytes() == np.ascontiguousarray(matrix[:, ::-1]).tobytes()
    assert tables.matrix_of(read["probs"]).tolist() == [[0.25, 0.75]] * 4
    assert tables.matrix_of(table.slice(1, 2)["vector"]).tolist() == matrix[1:3, ::-1].tolist(), (
        "a slice begins where it begins"
    )
    fixed = [pa.list_(pa.float32(), 3), pa.list_(pa.float32(), 2)]
    assert [field.type for field in schema] == [pa.string(), pa.int32(), *fixed]
    assert schema.names == ["doc_id", "chunk_index", "vector", "probs"]


def test_ragged_lists_come_back_one_by_one():
    lists = [[1, 2, 3], [], [4], [5, 6]]
    whole = pa.chunked_array([pa.array(lists[:2], pa.list_(pa.int32())), pa.array(lists[2:], pa.list_(pa.int32()))])
    assert [row.tolist() for row in tables.ragged_of(whole)] == lists
    assert [row.tolist() for row in tables.ragged_of(whole.slice(1, 3))] == lists[1:]
    one = pa.chunked_array([pa.array(lists, pa.list_(pa.int32())).slice(2)])
    assert [row.tolist() for row in tables.ragged_of(one)] == lists[2:]


def test_predictions_name_the_answers_class_with_its_probability():
    probs = np.asarray([[0.2, 0.5, 0.3], [0.4, 0.2, 0.4], [0, 0, 1]], np.float32)
    labels, chunks = ["b", "a", "é"], np.asarray([3, 1, 2])
    table = tables.predictions_table(["x", "y", "z"], probs.argmax(axis=1), probs, chunks, labels, ["a", "b", "new"])
    third = float(np.float32(0.3))
    assert table.slice(0, 1).to_pylist() == [
        {"doc_id": "x", "label": "a", "probability": 0.5, "num_chunks": 3, "true_label": "a",
         "probability:b": float(np.float32(0.2)), "probability:a": 0.5, "probability:é": third}
    ]  # fmt: skip
    assert table["label"].to_pylist() == ["a", "b", "é"]
    without = tables.predictions_table(["x"], np.asarray([1]), probs[:1], chunks[:1], labels)
    assert without.column_names == [
        "doc_id",
        "label",
        "probability",
        "num_chunks",
        "probability:b",
        "probability:a",
        "probability:é",
    ]
    assert [str(field.type) for field in without.schema] == [
        "string",
        "string",
        "float",
        "int32",
        "float",
        "float",
        "float",
    ]


def test_an_answer_without_probabilities_has_null_for_them():
    probs = np.asarray([[np.nan, np.nan], [0.25, 0.75]])
    table = tables.predictions_table(["x", "y"], np.asarray([1, 0]), probs, np.asarray([1, 1]), ["a", "b"])
    assert table["label"].to_pylist() == ["b", "a"]
    assert table["probability"].to_pylist() == [None, 0.25]
    assert table["probability:a"].to_pylist() == [None, 0.25]
