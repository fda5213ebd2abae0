"""Encoder and head trained together: one step against a direct computation, and the command from two stages on."""

from __future__ import annotations

import importlib.util
import json
import shutil
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import CONFIG, tiny_rows, write_csv
from reference.numpy_bert import random_arrays
from test_encoder_training import FULL, chunks_of

from hierdoc import (
    HierdocError,
    chunk_documents,
    embed_chunks,
    evaluate_head,
    finetune,
    finetune_encoder,
    train_sequence_head,
)
from hierdoc.encoders import compat
from hierdoc.encoders.bert import BertEncoder
from hierdoc.heads import HEADS
from hierdoc.learning import checkpoints, joint
from hierdoc.learning.joint import JointStep, Model
from hierdoc.learning.seeds import seed_tensorflow
from hierdoc.objectives import ANY_LABELS, ONE_LABEL, Objective
from hierdoc.objectives.classification import ChunkHead
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import read_chunks
from hierdoc.stages.finished import read_stage

ROOT = Path(__file__).parent.parent.parent
LENGTHS = [3, 1, 4, 2]  # chunks of each document
DIM = CONFIG["hidden_size"]


def a_model(head: str, objective: Objective, dropped: bool) -> Model:
    encoder = BertEncoder(FULL)
    encoder.assign(random_arrays(FULL, 0), "the test")
    seed_tensorflow(0)
    seed = None if not dropped else "given"

    def encode(token_ids: Any, mask: Any, dropout_seed: Any) -> Any:
        return encoder(token_ids, mask, dropout_seed if seed else None)

    return Model(encode, encoder.trainable(), HEADS[head](DIM, 3), ChunkHead(DIM, 3), objective, objective.loss)


def direct(
    model: Model, blocks: list[joint.Block], label_ids: np.ndarray, seed: int, number: int
) -> tuple[float, list[Any]]:
    """The same loss in one tape over all chunks."""
    tf = compat.load_tensorflow()
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    with tf.GradientTape() as tape:
        rows: list[Any] = [None] * sum(LENGTHS)
        for at, block in enumerate(blocks):
            vectors = model.encode(
                *map(tf.constant, block.make_inputs()), tf.constant([seed, number * joint.BLOCKS + at], tf.int64)
            )
            for place, member in enumerate(block.members.tolist()):
                rows[member] = vectors[place]
        padded, mask = [], np.zeros((len(LENGTHS), max(LENGTHS)), bool)
        for document, length in enumerate(LENGTHS):
            mine = rows[starts[document] : starts[document + 1]]
            padded.append(tf.stack(mine + [tf.zeros(DIM)] * (max(LENGTHS) - length)))
            mask[document, :length] = True
        loss = model.objective.loss(model.head([tf.stack(padded), mask]), label_ids, np.ones(len(LENGTHS), np.float32))
    return float(loss), tape.gradient(loss, [*model.body, *model.head.trainable_variables])


@pytest.mark.parametrize(
    ("head", "objective", "dropped", "at_once"),
    [
        ("lstm", ONE_LABEL, False, 3),
        ("lstm", ONE_LABEL, True, 1),
        ("mean_pool", ANY_LABELS, False, 1),
        ("mean_pool", ANY_LABELS, True, 3),
        ("mean_pool", ONE_LABEL, True, 16),
    ],
)
def test_a_step_is_a_direct_computation(head: str, objective: Objective, dropped: bool, at_once: int):
    tf = compat.load_tensorflow()
    model = a_model(head, objective, dropped)
    train = chunks_of([0, 1, 2, 0, 1, 2, 0, 1, 2, 0], 0)
    blocks = joint._blocks(train, 16, at_once, None, np.arange(10))
    assert max(len(block.members) for block in blocks) <= at_once
    label_ids = (
        np.int32([0, 1, 2, 1])
        if objective is ONE_LABEL
        else np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]], bool)
    )
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    documents = DocumentVectors(list("abcd"), np.zeros((10, DIM), np.float32), np.zeros((10, 0), np.float32), starts)
    loss, gradients = JointStep(model).gradients(blocks, documents, label_ids, seed=3, number=5)
    wanted_loss, wanted = direct(model, blocks, label_ids, seed=3, number=5)
    assert loss == pytest.approx(wanted_loss, abs=1e-5)
    for variable, found, expected in zip(model.variables, gradients, wanted):
        np.testing.assert_allclose(
            found.numpy(), tf.convert_to_tensor(expected).numpy(), rtol=0, atol=1e-5, err_msg=variable.name
        )
    assert any(np.abs(tf.convert_to_tensor(gradient).numpy()).max() > 1e-3 for gradient in wanted)


def test_the_chunk_head_learns_from_the_vectors_and_moves_nothing_else():
    model = a_model("mean_pool", ONE_LABEL, False)
    model.chunk_head.kernel.assign(np.ones((DIM, 3), np.float32) * [[5.0, -5.0, 0.0]])
    blocks = joint._blocks(chunks_of([0] * 10, 0), 16, 16, None, np.arange(10))
    starts = np.concatenate([[0], np.cumsum(LENGTHS)])
    documents = DocumentVectors(list("abcd"), np.zeros((10, DIM), np.float32), np.zeros((10, 0), np.float32), starts)
    label_ids = np.int32([0, 1, 2, 1])
    _, gradients = JointStep(model).gradients(blocks, documents, label_ids, 0, 0)
    _, wanted = direct(model, blocks, label_ids, 0, 0)
    np.testing.assert_allclose(
        gradients[5].numpy(), compat.load_tensorflow().convert_to_tensor(wanted[5]).numpy(), atol=1e-5
    )
    tf = compat.load_tensorflow()
    with tf.GradientTape() as tape:
        owners = np.repeat(label_ids, LENGTHS)
        loss = ONE_LABEL.loss(model.chunk_head(tf.constant(documents.vectors)), owners, np.ones(10, np.float32))
    np.testing.assert_allclose(gradients[-2].numpy(), tape.gradient(loss, model.chunk_head.kernel).numpy(), atol=1e-5)


def test_k_chunks_of_a_document_are_drawn_anew_and_stand_in_order():
    starts = np.array([0, 9, 10, 40])
    plans = [joint._plan_epoch(starts, 3, 0, epoch) for epoch in range(5)]
    seen = set()
    for plan in plans:
        documents = sorted((places for step in plan for places in step), key=lambda places: places[0])
        assert [len(places) for places in documents] == [3, 1, 3]
        for places, low, high in zip(documents, starts, starts[1:], strict=False):
            assert (np.diff(places) > 0).all() and low <= places[0] and places[-1] < high
        seen.add(tuple(documents[0].tolist()))
    assert len(seen) > 1
    (everything,) = [[places for step in plan for places in step] for plan in [joint._plan_epoch(starts, None, 0, 0)]]
    assert sorted(np.concatenate(everything).tolist()) == list(range(40))


@pytest.fixture(scope="module")
def two_stages(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: str) -> Path:
    """A run of two stages with a head. Do not write into it."""
    place = tmp_path_factory.mktemp("joint")
    data = write_csv(place / "tiny.csv", tiny_rows())
    run = place / "two"
    chunk_documents(data, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10)
    finetune_encoder(run, epochs=1, learning_rate=1e-3, precision="float32")
    embed_chunks(run, precision="float32")
    train_sequence_head(run, "mean_pool", epochs=2)
    return run


JOINT = {"epochs": 2, "learning_rate": 5e-3, "precision": "float32"}


@pytest.mark.parametrize("flags", [{}, {"chunks_per_document": 2}, {"trainable_layers": 1}], ids=str)
def test_the_command_goes_on_from_two_stages_and_the_rest_follows(
    flags: dict, two_stages: Path, tmp_path: Path, capsys
):
    run = tmp_path / "joint"
    stage = finetune_encoder(run, joint=two_stages, **JOINT, **flags)
    said = capsys.readouterr().err
    assert "joint: before it, dev_accuracy is " in said and f"its chunks are those of {two_stages}" in said
    history = [json.loads(line) for line in (stage.path / "history.jsonl").read_text().splitlines()]
    assert (
        history[1]["train_loss"] < history[0]["train_loss"]
        and {"dev_accuracy", "dev_loss", "dev_chunk_accuracy"} <= history[0].keys()
    )
    best = max(history, key=lambda epoch: (epoch["dev_accuracy"], -epoch["dev_loss"]))
    assert stage.details["best_epoch"] == best["epoch"] and stage.details["dev_accuracy"] == best["dev_accuracy"]
    assert (stage.path / "encoder.safetensors").read_bytes() != (
        two_stages / "finetune/encoder.safetensors"
    ).read_bytes()
    embed_chunks(run, precision="float32")
    train_sequence_head(run, "mean_pool", epochs=2)
    assert evaluate_head(run).details["num_documents"] == 6
    assert finetune_encoder(run, joint=two_stages, **JOINT, **flags).fingerprint == stage.fingerprint


def test_a_joint_training_interrupted_twice_comes_to_the_same_bytes(two_stages: Path, tmp_path: Path, monkeypatch):
    whole = finetune_encoder(tmp_path / "whole", joint=two_stages, **JOINT)
    real, calls = checkpoints.Checkpoints.save, []

    def save_and_stop(self, *given):
        real(self, *given)
        calls.append(1)
        if len(calls) in (1, 3):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(checkpoints.Checkpoints, "is_due", lambda self: True)
        patch.setattr(checkpoints.Checkpoints, "save", save_and_stop)
        for saved in (1, 3):
            with pytest.raises(KeyboardInterrupt):
                finetune_encoder(tmp_path / "cut", joint=two_stages, **JOINT)
            assert len(calls) == saved
    cut = finetune_encoder(tmp_path / "cut", joint=two_stages, **JOINT)
    for name in ("encoder.safetensors", "chunk_head.safetensors", "history.jsonl"):
        assert (whole.path / name).read_bytes() == (cut.path / name).read_bytes(), name


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"joint_head": "lstm"}, "`joint_head` has no effect without `joint`"),
        ({"chunks_at_once": 4}, "`chunks_at_once` has no effect without `joint`"),
        ({"chunks_at_once": 0, "joint": "."}, "`chunks_at_once` must be at least 1, but is 0 instead"),
        ({"joint": ".", "batch_size": 8}, "`batch_size` is not to be had together with `joint`"),
        ({"joint": ".", "r_drop": 1.0}, "`r_drop` is not to be had together with `joint`"),
        ({"joint": ".", "epochs": 0}, "`joint` needs `epochs` of at least 1"),
        ({"joint": ".", "trainable_layers": 0}, "`joint` needs `trainable_layers` of at least 1"),
        ({"trainable_layers": 2.5}, "`trainable_layers` must be at least 0, but is 2.5 instead"),
        ({"freeze_embeddings": "no"}, "`freeze_embeddings` must be True or False, but is 'no' instead"),
        (
            {"freeze_embeddings": True, "trainable_layers": 1},
            "`freeze_embeddings` has no effect with `trainable_layers`, which leaves them alone, too",
        ),
        ({"layer_decay": 0.8, "trainable_layers": 0}, "`layer_decay` has no effect with `trainable_layers` 0"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments: dict, said: str, tmp_path: Path):
    with pytest.raises(HierdocError) as error:
        finetune_encoder(tmp_path / "run", **arguments)
    assert str(error.value) == said


def test_a_run_whose_documents_were_cut_again_is_no_start(two_stages: Path, tiny_encoder: str, tmp_path: Path, capsys):
    other = tmp_path / "other"
    shutil.copytree(two_stages, other)
    renamed = write_csv(tmp_path / "renamed.csv", [{**row, "label": row["label"][::-1]} for row in tiny_rows()])
    chunk_documents(
        renamed, other, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10, overwrite=True
    )
    assert finetune.main([str(tmp_path / "new"), "--joint", str(other)]) == 2
    assert "chunk: has been made again since" in capsys.readouterr().err and not (tmp_path / "new").exists()


def test_what_is_refused_copies_no_chunks(two_stages: Path, tmp_path: Path, capsys):
    assert finetune.main([str(tmp_path / "new"), "--joint", str(two_stages), "--trainable-layers", "9"]) == 2
    assert (
        "`trainable_layers` must be between 0 and 2, the encoder's layers, but is 9 instead" in capsys.readouterr().err
    )
    assert not (tmp_path / "new").exists()


def test_of_several_heads_the_flag_is_named_that_says_which(two_stages: Path, tmp_path: Path, capsys):
    other = tmp_path / "other"
    shutil.copytree(two_stages, other)
    train_sequence_head(other, "attention", epochs=1)
    assert finetune.main([str(tmp_path / "new"), "--joint", str(other)]) == 2
    assert "heads: has attention, mean_pool; say by `joint_head` which one" in capsys.readouterr().err
    assert finetune.main([str(tmp_path / "new"), "--joint", str(other), "--joint-head", "tree"]) == 2
    assert "`joint_head` must be one of" in capsys.readouterr().err


def test_of_frozen_layers_only_what_is_drawn_is_computed(two_stages: Path, tmp_path: Path, monkeypatch):
    asked = []
    plain = joint.FrozenOutputs

    def noting(path: Path, encoder: Any, num_layers: int, rows: Any, drawn: np.ndarray, *rest: Any) -> Any:
        asked.append((len(rows), drawn))
        return plain(path, encoder, num_layers, rows, drawn, *rest)

    monkeypatch.setattr(joint, "FrozenOutputs", noting)
    arguments = {**JOINT, "epochs": 1, "chunks_per_document": 1, "trainable_layers": 1}
    finetune_encoder(tmp_path / "one", joint=two_stages, **arguments)
    ((num_rows, drawn),) = asked
    documents = len(read_chunks(read_stage(two_stages, "chunk"), "train").doc_ids)
    assert len({*drawn.tolist()}) == documents < num_rows


def test_chunks_are_copied_whole_or_not_at_all(two_stages: Path, tmp_path: Path, capsys, monkeypatch):
    from hierdoc.stages import store
    from hierdoc.stages.finished import read_stage

    chunk = read_stage(two_stages, "chunk")
    (tmp_path / "mine/chunk").mkdir(parents=True)
    (tmp_path / "mine/chunk/thesis.txt").write_text("years of work")
    assert finetune.main([str(tmp_path / "mine"), "--joint", str(two_stages)]) == 2
    assert "holds files that are not of a stage" in capsys.readouterr().err
    (tmp_path / "file").mkdir()
    (tmp_path / "file/chunk").write_text("a file")
    assert finetune.main([str(tmp_path / "file"), "--joint", str(two_stages)]) == 2
    assert "must be a directory for the stage" in capsys.readouterr().err

    def killed(source: Path, place: Path) -> None:
        place.mkdir()
        (place / "documents-00000.parquet").write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(store.shutil, "copytree", killed)
        store.copy(chunk, tmp_path / "cut")
    assert not (tmp_path / "cut/chunk/manifest.json").exists()
    store.copy(chunk, tmp_path / "cut")
    assert read_stage(tmp_path / "cut", "chunk").fingerprint == chunk.fingerprint
    assert {path.name for path in (tmp_path / "cut").iterdir()} <= {"chunk", ".chunk.lock"}


def test_a_run_can_not_go_on_from_itself_nor_from_other_chunks(
    two_stages: Path, tiny_run: Path, tmp_path: Path, capsys
):
    copy = tmp_path / "copy"
    shutil.copytree(two_stages, copy)
    assert finetune.main([str(copy), "--joint", str(copy)]) == 2
    assert "goes on from another run, whose encoder this one's would replace" in capsys.readouterr().err
    other = tmp_path / "other"
    chunk_documents(two_stages.parent / "tiny.csv", other, id_column="id", split_column="split",
                    encoder=json.loads((two_stages / "chunk/manifest.json").read_text())["details"]["encoder"], chunk_size=12)  # fmt: skip
    assert finetune.main([str(other), "--joint", str(two_stages)]) == 2
    assert "was cut otherwise than" in capsys.readouterr().err
    assert finetune.main([str(tmp_path / "new"), "--joint", str(tmp_path / "nowhere")]) == 2


def test_the_experiments_arm_answers_by_a_head_on_the_joint_encoder(two_stages: Path, tmp_path: Path):
    run = tmp_path / "run"
    for stage in ("chunk", "finetune", "embed"):
        shutil.copytree(two_stages / stage, run / stage)
    spec = importlib.util.spec_from_file_location("joint_arm", ROOT / "experiments/042-joint/joint.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    said = module.answer(run, "test", 0, head="mean_pool", epochs=1, learning_rate=5e-3)
    table = pq.read_table(evaluate_head(run / "joint").path / "predictions.parquet")
    names = [name for name in table.column_names if name.startswith("probability:")]
    np.testing.assert_array_equal(said.probs, np.stack([table[name].to_numpy() for name in names], axis=1))
    trained = [run / "finetune", run / "heads/mean_pool", run / "joint/finetune", run / "joint/heads/mean_pool"]
    seconds = [json.loads((stage / "timings.json").read_text())["seconds"] for stage in trained]
    assert said.training_seconds == pytest.approx(sum(seconds))
    again = module.answer(run, "dev", 0, head="mean_pool", epochs=1, learning_rate=5e-3)
    assert len(again.label_ids) == 7 and again.training_seconds == said.training_seconds


def test_a_blocks_inputs_are_made_when_it_is_computed_and_not_kept(two_stages: Path, tmp_path: Path, monkeypatch):
    events, alive = [], []
    make, begin = joint._inputs, joint.JointStep.__init__

    def noting_what_is_made(*given: Any) -> Any:
        made = make(*given)
        alive.append(weakref.ref(made[0]))
        events.append(("made", sum(ref() is not None for ref in alive)))
        return made

    def noting_what_is_computed(self: joint.JointStep, model: Any) -> None:
        begin(self, model)
        for name in ("_encode", "_pass_on"):
            compute = getattr(self, name)
            setattr(self, name, lambda *given, compute=compute: (events.append(("computed", 0)), compute(*given))[1])

    monkeypatch.setattr(joint, "_inputs", noting_what_is_made)
    monkeypatch.setattr(joint.JointStep, "__init__", noting_what_is_computed)
    finetune_encoder(tmp_path / "joint", joint=two_stages, trainable_layers=1, chunks_at_once=2, **JOINT)
    assert len(events) > 40 and [what for what, _ in events] == ["made", "computed"] * (len(events) // 2)
    assert max(count for _, count in events) <= 2  # the last one's, while the next is made


def test_a_joint_training_that_only_does_harm_is_warned_of(two_stages: Path, tmp_path: Path, capsys, monkeypatch):
    real, calls = joint._read_dev, []

    def worse_later(*given: Any) -> dict[str, float]:
        calls.append(1)
        return {**real(*given), "dev_accuracy": 0.9 if len(calls) == 1 else 0.4}

    monkeypatch.setattr(joint, "_read_dev", worse_later)
    stage = finetune_encoder(tmp_path / "joint", joint=two_stages, **JOINT)
    assert "warning: joint: dev_accuracy was 0.9000 before it and is 0.4000" in capsys.readouterr().err
    assert finetune.describe(stage).endswith(f"epoch {stage.details['best_epoch']} of 2, dev accuracy 0.4000")


def test_another_pooling_than_the_run_has_is_refused_by_name(two_stages: Path, tmp_path: Path, capsys):
    assert finetune.main([str(tmp_path / "new"), "--joint", str(two_stages), "--pooling", "mean"]) == 2
    assert f"`pooling` must be cls, as in {two_stages}, but is mean instead" in capsys.readouterr().err
    other = tmp_path / "other"
    shutil.copytree(two_stages, other)
    finetune_encoder(other, epochs=1, precision="float32", pooling="mean", overwrite=True)
    embed_chunks(other, precision="float32", overwrite=True)
    train_sequence_head(other, "mean_pool", epochs=1, overwrite=True)
    assert finetune.main([str(tmp_path / "new"), "--joint", str(other), "--pooling", "cls"]) == 2
    assert f"`pooling` must be mean, as in {other}, but is cls instead" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
