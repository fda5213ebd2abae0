"""One split's chunk vectors out of finished stages."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import tiny_rows

from hierdoc import HierdocError
from hierdoc.sequences.reading import read_chunks, read_documents, read_split
from hierdoc.stages import files
from hierdoc.stages.finished import FinishedStage, read_stage


@pytest.mark.parametrize("split", ["train", "dev", "test"])
def test_a_split_holds_its_documents_with_their_labels_and_vectors_in_order(tiny_run: Path, split: str):
    found = read_split(read_stage(tiny_run, "chunk"), read_stage(tiny_run, "embed"), split)
    wanted = {row["id"]: row["label"] for row in tiny_rows() if row["split"] == split}
    assert found.documents.doc_ids == sorted(wanted) and len(found) == len(wanted)
    assert found.labels == [wanted[doc_id] for doc_id in found.documents.doc_ids]
    assert found.label_ids.tolist() == [["cats", "dogs", "fish"].index(label) for label in found.labels]
    stored = {}
    for path in (tiny_run / "embed").glob("vectors-*.parquet"):
        for row in pq.read_table(path).to_pylist():
            stored[row["doc_id"], row["chunk_index"]] = (row["vector"], row["probs"])
    at = 0
    for doc_id, count in zip(found.documents.doc_ids, found.documents.num_chunks.tolist(), strict=True):
        assert (doc_id, count) not in stored and (doc_id, count - 1) in stored
        for index in range(count):
            vector, probs = stored[doc_id, index]
            assert found.documents.vectors[at].tolist() == vector and found.documents.probs[at].tolist() == probs
            at += 1
    assert at == len(found.documents.vectors) == len(found.documents.probs)


def test_a_splits_documents_are_read_in_their_order_with_the_columns_asked_for(tiny_run: Path):
    table = read_documents(read_stage(tiny_run, "chunk"), "dev", ["text", "doc_id"])
    assert table.column_names == ["text", "doc_id"]
    assert [(row["doc_id"], row["text"]) for row in table.to_pylist()] == [
        (row["id"], row["text"]) for row in tiny_rows() if row["split"] == "dev"
    ]


def test_a_split_without_documents_is_empty(tiny_run: Path):
    found = read_split(read_stage(tiny_run, "chunk"), read_stage(tiny_run, "embed"), "excluded")
    assert len(found) == 0 and found.documents.doc_ids == [] and found.label_ids.shape == (0,)


class Disk:
    """Stands for shutil: a disk on which so much is free, and what lies at the path besides."""

    def __init__(self, free: int):
        self._free = free

    def disk_usage(self, folder: Path) -> SimpleNamespace:
        return SimpleNamespace(free=self._free - sum(path.stat().st_size for path in Path(folder).iterdir()))


def test_vectors_in_a_file_are_those_in_memory(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stages = read_stage(tiny_run, "chunk"), read_stage(tiny_run, "embed")
    wanted = read_split(*stages, "train").documents
    (tmp_path / "scratch").write_bytes(b"of an interrupted run" * 1000)
    monkeypatch.setattr(files, "shutil", Disk(free=4 * wanted.vectors.size + 100))
    found = read_split(*stages, "train", scratch=tmp_path / "scratch").documents
    assert isinstance(found.vectors, np.memmap) and found.doc_ids == wanted.doc_ids
    assert (tmp_path / "scratch").stat().st_size == 4 * wanted.vectors.size
    for name in ("vectors", "probs", "starts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    assert len(read_split(*stages, "excluded", scratch=tmp_path / "none")) == 0 and not (tmp_path / "none").exists()
    monkeypatch.setattr(files, "shutil", Disk(free=4 * wanted.vectors.size - 1))
    with pytest.raises(HierdocError, match="scratch: takes 0.0 GiB, and 0.0 are free; make room"):
        read_split(*stages, "train", scratch=tmp_path / "scratch")


@pytest.mark.parametrize("inputs", ["vectors", "probs", "both"])
def test_rows_may_stand_in_any_shard_in_any_order(tiny_run: Path, tmp_path: Path, inputs: str):
    chunk, embed = read_stage(tiny_run, "chunk"), read_stage(tiny_run, "embed")
    table = pa.concat_tables([pq.read_table(path) for path in embed.files("vectors-")])
    dealt = np.random.default_rng(0).permutation(len(table))
    names = [f"vectors-{number:05d}.parquet" for number in range(3)]
    for name, rows in zip(names, np.array_split(dealt, 3), strict=True):
        pq.write_table(table.take(rows), tmp_path / name)
    other = FinishedStage(tmp_path, {**embed.manifest, "files": dict.fromkeys(names, {})})
    found, wanted = (read_split(chunk, stage, "train", inputs).documents for stage in (other, embed))
    assert found.doc_ids == wanted.doc_ids and len(wanted.vectors) > 20
    for name in ("vectors", "probs", "starts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))
    parts = {
        "vectors": [wanted.vectors],
        "probs": [wanted.probs],
        "both": [read_split(chunk, embed, "train").documents.vectors, wanted.probs],
    }
    np.testing.assert_array_equal(wanted.vectors, np.concatenate(parts[inputs], axis=1))


def test_labels_that_train_never_saw_have_the_id_minus_1(tiny_run: Path):
    chunk = read_stage(tiny_run, "chunk")
    fewer = dataclasses.replace(
        chunk, manifest={**chunk.manifest, "details": {**chunk.details, "labels": ["dogs", "fish"]}}
    )
    found = read_split(fewer, read_stage(tiny_run, "embed"), "test")
    assert found.label_ids.tolist() == [{"cats": -1, "dogs": 0, "fish": 1}[label] for label in found.labels]
    assert -1 in found.label_ids


def without(tiny_run: Path, folder: Path, dropped: pc.Expression) -> FinishedStage:
    """The embed stage without some rows."""
    embed = read_stage(tiny_run, "embed")
    table = pa.concat_tables([pq.read_table(path) for path in embed.files("vectors-")])
    pq.write_table(table.filter(~dropped), folder / "vectors-00000.parquet")
    return FinishedStage(folder, {**embed.manifest, "files": {"vectors-00000.parquet": {}}})


def test_the_order_of_the_rows_in_either_table_does_not_matter(tiny_run: Path, tmp_path: Path):
    """Labels and vectors meet by document id; the tables of the other tests happen to be sorted by it."""
    shuffled = []
    for name, prefix in (("chunk", "documents-"), ("embed", "vectors-")):
        stage = read_stage(tiny_run, name)
        table = pa.concat_tables([pq.read_table(path) for path in stage.files(prefix)])
        order = np.random.default_rng(1).permutation(len(table))
        pq.write_table(table.take(pa.array(order)), tmp_path / f"{prefix}00000.parquet")
        shuffled.append(FinishedStage(tmp_path, {**stage.manifest, "files": {f"{prefix}00000.parquet": {}}}))
    wanted = read_split(read_stage(tiny_run, "chunk"), read_stage(tiny_run, "embed"), "train")
    found = read_split(*shuffled, "train")
    assert found.documents.doc_ids == wanted.documents.doc_ids and found.labels == wanted.labels
    np.testing.assert_array_equal(found.label_ids, wanted.label_ids)
    np.testing.assert_array_equal(found.documents.vectors, wanted.documents.vectors)


def longest_test_document() -> str:
    return max((row for row in tiny_rows() if row["split"] == "test"), key=lambda row: len(row["text"]))["id"]


def test_a_document_that_embed_lacks_is_counted(tiny_run: Path, tmp_path: Path):
    embed = without(tiny_run, tmp_path, pc.field("doc_id") == longest_test_document())
    with pytest.raises(HierdocError, match="holds 5 of the 6 documents of test; embed again"):
        read_split(read_stage(tiny_run, "chunk"), embed, "test")


def test_a_last_chunk_that_embed_lacks_is_missed(tiny_run: Path, tmp_path: Path):
    doc_id, chunk = longest_test_document(), read_stage(tiny_run, "chunk")
    counts = {
        row["doc_id"]: row["num_chunks"]
        for path in chunk.files("documents-")
        for row in pq.read_table(path).to_pylist()
    }
    embed = without(
        tiny_run, tmp_path, (pc.field("doc_id") == doc_id) & (pc.field("chunk_index") == counts[doc_id] - 1)
    )
    with pytest.raises(
        HierdocError, match=f"document '{doc_id}' must have {counts[doc_id]} vectors, but has {counts[doc_id] - 1}"
    ):
        read_split(chunk, embed, "test")
    np.testing.assert_equal(len(read_split(chunk, embed, "train")), sum(row["split"] == "train" for row in tiny_rows()))


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_splits_chunks_come_with_their_documents_label(tiny_run: Path, split: str):
    chunk = read_stage(tiny_run, "chunk")
    found = read_chunks(chunk, split)
    labels = {row["id"]: ["cats", "dogs", "fish"].index(row["label"]) for row in tiny_rows() if row["split"] == split}
    stored = [
        row for path in chunk.files("chunks-") for row in pq.read_table(path).to_pylist() if row["doc_id"] in labels
    ]
    assert [row.tolist() for row in found.rows] == [row["token_ids"] for row in stored]
    assert found.lengths.tolist() == [len(row["token_ids"]) for row in stored]
    assert found.label_ids.tolist() == [labels[row["doc_id"]] for row in stored]
    by_number = dict(zip(found.document_of.tolist(), (row["doc_id"] for row in stored), strict=True))
    assert [by_number[number] for number in found.document_of.tolist()] == [row["doc_id"] for row in stored]
    assert sorted(by_number) == list(range(len(labels)))


def test_a_split_without_documents_has_no_chunks(tiny_run: Path):
    found = read_chunks(read_stage(tiny_run, "chunk"), "excluded")
    assert found.rows == [] and found.label_ids.shape == found.lengths.shape == found.document_of.shape == (0,)
