"""experiments/014-supervision: its own code as arms, on the tiny run and piece by piece."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierdoc import HierdocError, finetune_encoder
from hierdoc.embed import embed_chunks
from hierdoc.encoders import compat
from hierdoc.learning.loop import LabelledBatch, make_trained
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import TrainingChunks
from hierdoc.stages.finished import read_stage

CODE = Path(__file__).parent.parent / "experiments/014-supervision/supervision.py"


@pytest.fixture
def supervision(monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("supervision", CODE)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "supervision", module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def half_frozen_run(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("supervised") / "run"
    run.mkdir()
    shutil.copytree(tiny_run / "chunk", run / "chunk")
    finetune_encoder(run, epochs=2, learning_rate=1e-2, trainable_layers=1, precision="float32")
    embed_chunks(run)
    return run


@pytest.mark.parametrize(
    "way", ["plain", "plain_4", "smoothing", "agreement", "distillation", "average_of_weights", "pool_mean", "pool_max", "pool_attention"]
)  # fmt: skip
def test_each_way_answers_for_every_document(supervision: Any, half_frozen_run: Path, way: str):
    num = len(read_stage(half_frozen_run, "chunk").details["labels"])
    for read in ("pool", "logistic"):
        said = supervision.answer(half_frozen_run, "test", 0, way, read)
        assert said.probs.shape == (len(said.label_ids), num)
        np.testing.assert_allclose(said.probs.sum(axis=1), 1, atol=1e-6)
        assert said.training_seconds > 0


def chunks_of(lengths: list[list[int]]) -> TrainingChunks:
    """Documents of chunks of these lengths."""
    flat = [length for document in lengths for length in document]
    document_of = np.repeat(np.arange(len(lengths)), [len(document) for document in lengths])
    places = np.concatenate([np.arange(len(document)) for document in lengths]).astype(np.int32)
    rows = [np.full(length, 5, np.int32) for length in flat]
    ids = [f"d{at}" for at in range(len(lengths))]
    return TrainingChunks(rows, np.asarray(flat), document_of, (document_of % 3).astype(np.int32), places, ids)


def test_a_step_of_documents_has_each_once_with_chunks_in_a_row(supervision: Any):
    rng = np.random.default_rng(0)
    train = chunks_of([rng.integers(3, 41, rng.integers(1, 9)).tolist() for _ in range(60)])
    plans = [supervision._plan_documents(train, 40, 0, epoch) for epoch in range(2)]
    for plan in plans:
        seen = [int(train.document_of[members[0]]) for _, documents in plan for members in documents]
        assert sorted(seen) == list(range(60))
        for length, documents in plan:
            assert sum(map(len, documents)) <= supervision.CHUNKS_PER_STEP
            for members in documents:
                of_document = np.flatnonzero(train.document_of == train.document_of[members[0]])
                assert len(members) == min(len(of_document), supervision.MOST_CHUNKS)
                assert (np.diff(members) == 1).all() and set(members) <= set(of_document)
                assert train.lengths[members].max() <= length
    drawn = [sorted(members[0] for _, documents in plan for members in documents) for plan in plans]
    assert drawn[0] != drawn[1]


@pytest.mark.parametrize("way", ["pool_mean", "pool_max", "pool_attention"])
def test_a_document_is_asked_by_the_rule_it_was_trained_by(supervision: Any, way: str):
    tf = compat.load_tensorflow()
    rng = np.random.default_rng(1)
    starts = np.array([0, 1, 4, 6])
    vectors = rng.normal(size=(6, 5)).astype(np.float32)
    arrays = {
        "kernel": rng.normal(size=(5, 3)), "bias": rng.normal(size=3),
        "hidden": rng.normal(size=(5, 4)).astype(np.float32), "query": rng.normal(size=(4, 1)).astype(np.float32),
    }  # fmt: skip
    asked = supervision.document_probs(DocumentVectors(list("abc"), vectors, vectors, starts), arrays, way)
    membership = np.zeros((3, 6), np.float32)
    for document in range(3):
        membership[document, starts[document] : starts[document + 1]] = 1 / (starts[document + 1] - starts[document])
    logits = tf.constant((vectors @ arrays["kernel"] + arrays["bias"]).astype(np.float32))
    trained = supervision._pooled_logits(way, vectors, logits, membership, arrays)
    np.testing.assert_allclose(tf.nn.softmax(trained).numpy(), asked, atol=1e-5)


def test_averaged_weights_are_read_and_the_others_go_on(supervision: Any, monkeypatch: pytest.MonkeyPatch):
    tf = compat.load_tensorflow()
    monkeypatch.setattr(supervision, "EMA_MOMENTUM", 0.5)
    kernel = tf.Variable([[0.0, 0.0]])
    gradient = lambda logits, label_ids, weights: tf.reduce_sum(kernel * [[1.0, -1.0]])  # noqa: E731

    def sgd() -> Any:
        return tf.keras.optimizers.SGD(1.0)

    plain = make_trained(lambda x, dropout_seed: tf.matmul(x, kernel), [kernel], sgd(), 0, True, loss_of=gradient)
    read_at = []
    trained, read = supervision._averaging_weights(plain, lambda: read_at.append(kernel.numpy()[0, 0]) or {})
    batch = LabelledBatch((np.ones((1, 1), np.float32),), np.zeros(1, np.int32), np.ones(1, np.float32))
    mean, raw = 0.0, 0.0
    for number in range(6):
        trained.take_step(batch, number)
        raw -= 1
        momentum = min(0.5, (1 + number) / (10 + number))
        mean = momentum * mean + (1 - momentum) * raw
        if number % 2:
            read()
            assert read_at[-1] == pytest.approx(mean) and kernel.numpy()[0, 0] == pytest.approx(mean)
    assert len(read_at) == 3


def test_what_is_not_followed_is_refused(supervision: Any):
    followed = {"precision": "float32", "epochs": 1, "learning_rate": 0.1, "layer_decay": 0.8, "trainable_layers": 1}
    supervision._check_followed(followed)
    for asked in ({"trainable_layers": None}, {"class_weight": "balanced"}, {"batch_size": 8}, {"r_drop": 1.0}):
        with pytest.raises(HierdocError, match=f"`{next(iter(asked))}` of finetune"):
            supervision._check_followed(followed | asked)


def test_seconds_of_an_interrupted_training_count(supervision: Any, half_frozen_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(half_frozen_run, run, ignore=shutil.ignore_patterns("supervision-*"))
    place = supervision.Task(run, 0, "plain", *(read_stage(run, name) for name in ("chunk", "finetune", "embed"))).place
    place.mkdir(parents=True)
    (place / "timings.json").write_text('{"seconds": 1000.0}')
    assert 1000 < supervision.answer(run, "test", 0, "plain", "pool").training_seconds < 2000
