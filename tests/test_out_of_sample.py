"""experiments/012-out-of-sample: which encoder has seen which documents, and its own code as an arm."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.evaluate import evaluate_own
from hierdoc.sequences.reading import read_split
from hierdoc.stages.finished import read_stage

CODE = Path(__file__).parent.parent / "experiments/012-out-of-sample/ways_out.py"


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("ways_out", CODE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "ways_out", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def task(ways: Any, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A task whose encoders put (their half's number, the document's number, chunk) in vectors and probabilities."""
    monkeypatch.setattr(ways, "near_duplicate_groups", lambda texts: np.arange(len(texts)))  # the tiny ones all are
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("evaluate"))
    task = ways.Task(run, 0, *(read_stage(run, name) for name in ("chunk", "finetune", "embed")))

    def marked(task: Any, place: Path, chunks: dict[str, Any], train: Any) -> dict[str, np.ndarray]:
        number = int(place.name.split("-")[1])
        learned.append((number, train))
        arrays = {}
        for split, of in chunks.items():
            ids = np.asarray([int(of.doc_ids[document]) for document in of.document_of])
            facts = np.stack([np.full(len(ids), number), ids, of.chunk_index], axis=1).astype(np.float32)
            arrays |= {f"{split}_vectors": facts, f"{split}_probs": facts}
        return arrays

    learned: list[tuple[int, Any]] = []
    monkeypatch.setattr(ways, "_train_and_encode", marked)
    task.__dict__["learned"] = learned
    return task


def test_each_half_has_half_of_each_class(ways: Any, task: Any):
    in_half = ways.halves(task)
    train = task.read("train")
    for label_id in range(3):
        of_class = in_half[train.label_ids == label_id]
        assert abs((of_class == 0).sum() - (of_class == 1).sum()) <= 1 and len(of_class) > 4


def test_near_duplicates_are_in_one_half(ways: Any, task: Any, monkeypatch: pytest.MonkeyPatch):
    groups = np.repeat(np.arange(0, 24, 3), 3)
    monkeypatch.setattr(ways, "near_duplicate_groups", lambda texts: groups)
    in_half = ways.halves(task)
    assert len(in_half) == len(groups) and {*in_half.tolist()} == {0, 1}
    assert all(len(set(in_half[groups == group])) == 1 for group in set(groups.tolist()))
    assert near_duplicate_groups(["a b", "a b"]).tolist() == [0, 0]  # the real one's shape of answer


def test_an_encoder_learns_from_its_half_alone_and_training_documents_get_the_others_word(ways: Any, task: Any):
    in_half, found = ways.halves(task), ways.crossfit(task)
    train = task.read("train").documents
    half_of = dict(zip(train.doc_ids, in_half.tolist(), strict=True))
    assert [number for number, _ in task.learned] == [0, 1]
    for number, chunks in task.learned:
        assert {half_of[doc_id] for doc_id in chunks.doc_ids} == {number}
        assert len(chunks.rows) == sum(
            count for doc_id, count in zip(train.doc_ids, train.num_chunks.tolist()) if half_of[doc_id] == number
        )
        for row, document, label_id in zip(chunks.rows, chunks.document_of, chunks.label_ids, strict=True):
            assert int(chunks.doc_ids[document]) % 3 == label_id and len(row)
    for split in ("train", "dev", "test"):
        of = found[split].documents
        owners = np.repeat([int(doc_id) for doc_id in of.doc_ids], of.num_chunks)
        assert of.vectors[:, 1].tolist() == owners.tolist()  # each chunk has its own document's
        assert of.vectors[:, 2].tolist() == np.concatenate([np.arange(count) for count in of.num_chunks]).tolist()
        if split == "train":
            assert of.vectors[:, 0].tolist() == [1 - half_of[f"{owner:03d}"] for owner in owners]
        else:
            assert set(of.vectors[:, 0].tolist()) == {0.5}


def test_the_head_of_a_half_learns_from_the_other_half(ways: Any, task: Any, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def fit(task: Any, train: Any, dev: Any) -> Any:
        asked.append(train)
        return lambda documents: np.zeros((len(documents), 3))

    monkeypatch.setattr(ways, "fit_lstm", fit)
    ways.half(task, "test")
    in_half, whole = ways.halves(task), task.read("train")
    (train,) = asked
    assert [place.name.rsplit("-", 1)[0] for place in task.trained] == ["half-0"]  # and the fitted head's own folder
    assert train.documents.doc_ids == [doc_id for doc_id, half in zip(whole.documents.doc_ids, in_half) if half == 1]
    assert set(train.documents.vectors[:, 0].tolist()) == {0.0}
    owners = np.repeat([int(doc_id) for doc_id in train.documents.doc_ids], train.documents.num_chunks)
    assert train.documents.vectors[:, 1].tolist() == owners.tolist()
    assert train.label_ids.tolist() == [int(doc_id) % 3 for doc_id in train.documents.doc_ids]


def test_own_code_is_measured_as_others_are_and_keeps_its_head(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("evaluate"))
    code = tmp_path / "ways_out.py"
    code.write_text(CODE.read_text().replace("EPOCHS = 50", "EPOCHS = 2"))
    arguments = {"way": "noise", "standard_deviations": 1.0}
    evaluate_own(run, code, seed=0, split="dev", arguments=arguments)
    weights = (run / "own/weights.safetensors").stat().st_mtime_ns
    stage = evaluate_own(run, code, seed=0, split="test", arguments=arguments)
    assert (run / "own/weights.safetensors").stat().st_mtime_ns == weights
    metrics = json.loads((stage.path / "metrics.json").read_text())
    table = pq.read_table(stage.path / "predictions.parquet").to_pylist()
    right = [row["label"] == row["true_label"] for row in table]
    assert metrics["document_accuracy"] == np.mean(right) and metrics["own_code"] == "ways_out.py"
    # what training took is that of the shared encoder and of the head, though the head was trained when dev was asked
    took = [json.loads((run / place / "timings.json").read_text())["seconds"] for place in ("finetune", "own")]
    said = json.loads((stage.path / "timings.json").read_text())["training_seconds"]
    assert said == pytest.approx(sum(took)) and min(took) > 0
    test = read_split(read_stage(run, "chunk"), read_stage(run, "embed"), "test")
    assert [row["doc_id"] for row in table] == test.documents.doc_ids
    assert len((run / "own/history.jsonl").read_text().splitlines()) == 2


@pytest.mark.slow
def test_halves_are_trained_and_encoded(ways: Any, tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("evaluate"))
    task = ways.Task(run, 0, *(read_stage(run, name) for name in ("chunk", "finetune", "embed")))
    ways.near_duplicate_groups = lambda texts: np.arange(len(texts))
    probs = ways.crossfit_average(task, "test")
    assert np.allclose(probs.sum(axis=1), 1, atol=1e-5)
    vectors = [ways.encoded_by_half(task, number, ways.halves(task))["test"].documents.vectors for number in (0, 1)]
    assert vectors[0].shape == vectors[1].shape and not np.allclose(*vectors)
