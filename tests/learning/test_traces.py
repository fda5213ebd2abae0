"""What hierdoc's own trainings leave for the doctor, and that an interruption leaves the same bytes."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import CONFIG, VOCAB
from reference.numpy_bert import random_arrays
from safetensors.numpy import load_file, save_file

from hierdoc import HierdocFailure, chunk_documents, finetune_encoder, predict_documents
from hierdoc.encoders import compat
from hierdoc.encoders.dropout import dropout
from hierdoc.learning import checkpoints
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.history import History
from hierdoc.learning.loop import LabelledBatch, Trained, make_trained, train
from hierdoc.learning.traces import HeldOut, TrainingTrace, spread
from hierdoc.sequences.reading import read_chunks, read_split
from hierdoc.stages.finished import MANIFEST, fingerprint_of, read_stage
from hierdoc.tracing.files import FACTS, read_trace
from hierdoc.tracing.hashing import hash_rows

DOC_IDS = list("abcdef")
VECTORS = np.random.default_rng(0).standard_normal((6, 3, 2)).astype(np.float32)
LENGTHS = np.array([1, 3, 2, 3, 1, 2])
LABELS = np.int32([0, 1, 1, 0, 1, 0])
KERNEL = np.float32([[0.1, -0.2], [0.3, 0.4]])


def trace_files(folder: Path) -> list[Path]:
    """Return the files of the trace in `folder`."""
    assert (folder / FACTS).exists()
    return sorted(path for path in folder.iterdir() if path.name == FACTS or path.name.startswith("trace-"))


def batch_of(members: list[int], num_fillers: int = 0) -> LabelledBatch:
    """A batch of the documents above, and rows that only fill up."""
    rows = [*members, *[0] * num_fillers]
    mask = np.arange(3) < LENGTHS[rows][:, None]
    mask[len(members) :] = [True, False, False]
    weights = np.float32([1] * len(members) + [0] * num_fillers)
    vectors = np.where(mask[..., None], VECTORS[rows], 0)
    index = [np.arange(LENGTHS[member], dtype=np.int32) for member in members]
    return LabelledBatch((vectors, mask), LABELS[rows], weights, [DOC_IDS[member] for member in members], index)


class Stopped(Exception):
    """What an interruption is here."""


def forward_of(kernel):
    """Logits of a document: the sum of its vectors, dropout, a kernel."""
    tf = compat.load_tensorflow()

    def forward(vectors, mask, dropout_seed):
        return tf.matmul(dropout(tf.reduce_sum(vectors, axis=1), 0.5, dropout_seed, 0), kernel)

    return forward


def optimizer():
    """Adam, whose rate halves every two steps."""
    optimizers = compat.load_tensorflow().keras.optimizers
    return optimizers.Adam(optimizers.schedules.ExponentialDecay(0.1, 2, 0.5))


def training(folder: Path, stop_at: int | None) -> dict[str, bytes]:
    """Train for 3 epochs of 3 steps with dropout and a schedule; return the trace's files.

    The best epoch is the second. A checkpoint is written after each step; the step `stop_at` does not come to its end.
    """
    kernel = compat.load_tensorflow().Variable(KERNEL, name="kernel")

    real = make_trained(forward_of(kernel), [kernel], optimizer(), 3, True)

    def take_step(batch: LabelledBatch, number: int) -> float:
        loss = real.take_step(batch, number)
        if number == stop_at:
            raise Stopped
        return loss

    def batches_of(epoch: int) -> list[Callable[[], LabelledBatch]]:
        order = np.random.default_rng(epoch).permutation(6).tolist()
        return [lambda at=at: batch_of(order[at : at + 2], num_fillers=1) for at in (0, 2, 4)]

    history = History(folder / "history.jsonl")
    trace = TrainingTrace(folder / "trace", "a run", "documents", ["no", "yes"], 6)

    def read_dev() -> dict[str, float]:
        trace.note_dev(VECTORS.sum(axis=1) @ kernel.numpy())
        return {"accuracy": {1: 0.5, 2: 0.9, 3: 0.6}[len(history.epochs) + 1]}

    train(
        Trained(real.variables, real.optimizer_variables, take_step, real.optimizer), batches_of, read_dev,
        lambda new, best: new["accuracy"] > best["accuracy"], history, Checkpoints(folder), 3, None, "test", "rows", trace,
    )  # fmt: skip
    trace.save(history.epochs, HeldOut(DOC_IDS, LABELS, list(VECTORS)), finished=True)
    return {path.name: path.read_bytes() for path in trace_files(folder / "trace")}


def always_checkpoint(patch: pytest.MonkeyPatch) -> None:
    """Let a checkpoint be due after each step."""
    patch.setattr(checkpoints, "FEWEST_SECONDS", 0)
    patch.setattr(checkpoints, "MOST_SHARE", math.inf)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training that was not interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    training(folder, None)
    return folder


@pytest.mark.parametrize("stop_at", [0, 1, 3, 5, 8])
def test_a_training_that_goes_on_leaves_the_same_trace_as_one_that_was_not_interrupted(
    whole: Path, tmp_path: Path, stop_at: int, monkeypatch: pytest.MonkeyPatch
):
    always_checkpoint(monkeypatch)
    with pytest.raises(Stopped):
        training(tmp_path, stop_at)
    assert training(tmp_path, None) == {path.name: path.read_bytes() for path in trace_files(whole / "trace")}
    assert {path.name for path in (whole / "trace").iterdir()} == {
        "trace-dev.parquet", "trace-examples.parquet", "trace-steps.parquet", "trace.json",
    }  # fmt: skip


def test_a_trace_says_what_each_step_was_given(whole: Path):
    trace = read_trace(whole / "trace")
    steps, examples = trace.steps.to_pylist(), trace.examples.to_pylist()
    orders = [np.random.default_rng(epoch).permutation(6).tolist() for epoch in range(3)]
    seen = [[examples[number]["doc_id"] for number in step["examples"]] for step in steps]
    assert seen == [[DOC_IDS[at] for at in order[two : two + 2]] for order in orders for two in (0, 2, 4)]
    assert len(examples) == 6  # those that only fill up are none
    for row in examples:
        member = DOC_IDS.index(row["doc_id"])
        assert row["hashes"] == hash_rows(VECTORS[member, : LENGTHS[member]]).tolist()
        assert row["chunk_index"] == list(range(LENGTHS[member])) and row["label_id"] == LABELS[member]
        assert row["sketches"] is None
    rates = [0.1 * 0.5 ** (step / 2) for step in range(9)]
    np.testing.assert_allclose([step["learning_rate"] for step in steps], rates, rtol=1e-6)
    assert {(step["padded_length"], step["mask_given"]) for step in steps} == {(3, True)}
    history = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    losses = np.array([step["loss"] for step in steps]).reshape(3, 3)
    np.testing.assert_allclose(losses.mean(axis=1), [epoch["train_loss"] for epoch in history], rtol=1e-6)
    assert trace.facts["epochs"] == history and trace.facts["finished"] is True
    (weights,) = trace.facts["weights"]
    assert weights["name"] == "kernel" and weights["norm_before"] == pytest.approx(np.linalg.norm(KERNEL))
    assert weights["norm_of_change"] > 0.01 and weights["is_constant_before"] is False


def test_dev_is_that_of_the_epoch_that_was_kept(whole: Path):
    trace = read_trace(whole / "trace")
    probs = np.array(trace.dev["probs"].to_pylist())
    logits = VECTORS.sum(axis=1)  # times a kernel, of which the norm is known
    ratios = np.log(probs[:, 1] / probs[:, 0])
    difference = np.linalg.lstsq(logits, ratios, rcond=None)[0]  # of the kernel's two columns
    np.testing.assert_allclose(logits @ difference, ratios, atol=1e-5)
    kept, after_all = (kernel[:, 1] - kernel[:, 0] for kernel in kernels_after(6, 9))
    np.testing.assert_allclose(difference, kept, atol=1e-5)
    assert np.abs(difference - after_all).max() > 1e-3
    assert trace.dev["doc_id"].to_pylist() == DOC_IDS and trace.dev["label_id"].to_pylist() == LABELS.tolist()


def kernels_after(*num_steps: int) -> list[np.ndarray]:
    """The kernel after so many steps of the training above, without its loop."""
    tf = compat.load_tensorflow()
    kernel, kernels = tf.Variable(KERNEL), []
    trained = make_trained(forward_of(kernel), [kernel], optimizer(), 3, True)
    for number in range(max(num_steps)):
        order = np.random.default_rng(number // 3).permutation(6).tolist()
        trained.take_step(batch_of(order[number % 3 * 2 : number % 3 * 2 + 2], num_fillers=1), number)
        kernels += [kernel.numpy()] if number + 1 in num_steps else []
    return kernels


def test_a_batch_that_is_not_what_was_planned_is_noted_as_it_is(tmp_path: Path):
    trace = TrainingTrace(tmp_path, "run", "documents", ["no", "yes"], 6)
    batch = batch_of([1, 3])
    trace.add_step(batch.examples(), 1, 0.5, None)
    swapped = replace(batch, inputs=(batch.inputs[0][::-1], batch.inputs[1]))
    trace.add_step(swapped.examples(), 1, 0.5, None)
    trace.save([], None, finished=False)
    rows = read_trace(tmp_path).examples.to_pylist()
    assert [row["doc_id"] for row in rows] == ["b", "d", "b", "d"]
    assert rows[2]["hashes"] == rows[1]["hashes"] and rows[3]["hashes"] == rows[0]["hashes"]


def test_a_loss_that_is_no_number_leaves_an_unfinished_trace_and_names_the_doctor(tmp_path: Path):
    losses = iter([1.0, 0.5, math.nan])
    trace = TrainingTrace(tmp_path, "my run", "documents", ["no", "yes"], 6)
    with pytest.raises(HierdocFailure) as error:
        train(
            Trained([], [], lambda batch, number: next(losses)), lambda epoch: [lambda: batch_of([0, 1])] * 2, dict,
            lambda new, best: True, History(tmp_path / "h.jsonl"), Checkpoints(tmp_path), 2, None, "lstm", "documents", trace,
        )  # fmt: skip
    assert str(error.value) == (
        "lstm: the loss is nan in epoch 2, step 1; try a lower learning rate, "
        "or ask why with: python -m hierdoc.doctor 'my run'"
    )
    left = read_trace(tmp_path)
    assert left.facts["finished"] is False and len(left.facts["epochs"]) == 1
    assert left.steps["loss"].to_pylist()[:2] == [1.0, 0.5] and math.isnan(left.steps["loss"][2].as_py())
    assert left.steps["epoch"].to_pylist() == [1, 1, 2]


def test_examples_to_probe_are_of_many_lengths_and_not_long():
    lengths = np.array([900, 3, 1, 70, 2, 2, 64, 5, 4, 1])
    assert lengths[spread(lengths, 4, 64)].tolist() == [1, 2, 4, 64]
    assert lengths[spread(lengths, 20, 64)].tolist() == sorted(lengths.tolist())  # too few others: all
    assert spread(np.array([900, 800]), 8, 64).tolist() == [1, 0]


def test_finetune_leaves_a_trace_of_its_chunks(tiny_run: Path):
    chunk, finetune = read_stage(tiny_run, "chunk"), read_stage(tiny_run, "finetune")
    trace, chunks = read_trace(finetune.path), read_chunks(chunk, "train")
    assert {path.name for path in trace_files(finetune.path)} <= set(finetune.manifest["files"])
    facts = trace.facts
    assert (facts["kind"], facts["num_classes"], facts["labels"]) == ("chunks", 3, ["cats", "dogs", "fish"])
    assert (facts["num_documents"], facts["weights_loaded"], facts["weights_expected"]) == (len(chunks.doc_ids), 0, 0)
    assert facts["finished"] is True and facts["optimizer"]["name"] == "Adam"
    rows = trace.examples.to_pylist()
    found = {(row["doc_id"], *row["chunk_index"]): (row["label_id"], row["mask_sum"], row["hashes"]) for row in rows}
    assert found == {
        (chunks.doc_ids[document], index): (label, len(ids), hash_rows(ids[None]).tolist())
        for document, index, label, ids in zip(chunks.document_of, chunks.chunk_index, chunks.label_ids, chunks.rows)
    }
    steps = trace.steps.to_pylist()
    assert sorted(number for step in steps for number in step["examples"]) == list(range(len(chunks.rows)))
    sizes, losses = [len(step["examples"]) for step in steps], [step["loss"] for step in steps]
    assert np.average(losses, weights=sizes) == pytest.approx(facts["epochs"][0]["train_loss"], rel=1e-6)
    rates = [step["learning_rate"] for step in steps]
    assert rates[0] == pytest.approx(1e-2 / max(1, round(len(steps) / 10))) and max(rates) == pytest.approx(1e-2)
    dev = trace.dev.to_pylist()
    right = [np.argmax(row["probs"]) == row["label_id"] for row in dev]
    assert np.mean(right) == facts["epochs"][0]["dev_chunk_accuracy"] == finetune.details["dev_chunk_accuracy"]
    changed = {entry["name"]: entry for entry in facts["weights"]}
    assert len(changed) == 37 + 2 and all(entry["norm_of_change"] > 0 for entry in changed.values())
    kernel = load_file(finetune.path / "chunk_head.safetensors")["kernel"]
    assert changed["chunk_head/kernel"]["norm_after"] == pytest.approx(np.linalg.norm(kernel), rel=1e-6)
    # float32, other shapes; law 1
    assert facts["probe"]["num_examples"] == 4
    assert all(facts["probe"][name] < 1e-5 for name in ("company", "padding", "repeat"))


def test_a_head_leaves_a_trace_of_its_documents_and_of_the_vectors_of_embed(tiny_run: Path):
    stages = {name: read_stage(tiny_run, name) for name in ("chunk", "embed", "heads/lstm")}
    head = stages["heads/lstm"]
    trace, documents = read_trace(head.path), read_split(stages["chunk"], stages["embed"], "train")
    rows = {row["doc_id"]: row for row in trace.examples.to_pylist()}
    assert sorted(rows) == documents.documents.doc_ids
    for place, doc_id in enumerate(documents.documents.doc_ids):
        start, end = documents.documents.starts[place : place + 2]
        assert rows[doc_id]["hashes"] == hash_rows(documents.documents.vectors[start:end]).tolist()
        assert rows[doc_id]["chunk_index"] == list(range(end - start)) and rows[doc_id]["mask_sum"] == end - start
        assert rows[doc_id]["label_id"] == documents.label_ids[place]
    facts = trace.facts
    assert facts["kind"] == "documents" and facts["num_documents"] == len(rows) and facts["finished"] is True
    assert len(trace.steps) % len(facts["epochs"]) == 0 and max(trace.steps["epoch"].to_pylist()) == len(
        facts["epochs"]
    )
    dev = trace.dev.to_pylist()
    right = np.mean([np.argmax(row["probs"]) == row["label_id"] for row in dev])
    assert right == head.details["dev_accuracy"] and len({row["doc_id"] for row in dev}) == len(dev)
    assert facts["optimizer"]["parameters"]["learning_rate"] == pytest.approx(1e-3)
    assert facts["probe"]["num_examples"] == min(8, len(dev))
    assert all(facts["probe"][name] < 1e-5 for name in ("company", "padding", "repeat"))
    assert "dense/kernel" in {entry["name"] for entry in facts["weights"]}


def test_without_epochs_there_are_examples_and_dev_but_no_steps(tiny_csv: Path, tmp_path: Path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    save_file(random_arrays(CONFIG, 0) | {"pooler.dense.bias": np.zeros(8, np.float32)}, folder / "model.safetensors")
    run = tmp_path / "run"
    chunk_documents(tiny_csv, run, id_column="id", split_column="split", encoder=str(folder), chunk_size=10)
    finetune_encoder(run, epochs=0, precision="float32")
    trace, chunks = read_trace(run / "finetune"), read_chunks(read_stage(run, "chunk"), "train")
    facts = trace.facts
    assert (facts["weights_loaded"], facts["weights_expected"], facts["finished"]) == (37, 37, True)
    assert facts["optimizer"] is facts["weights"] is facts["probe"] is None
    assert len(trace.steps) == 0 and len(trace.examples) == len(chunks.rows) and len(trace.dev) > 0
    assert [epoch["epoch"] for epoch in facts["epochs"]] == [0]


def test_a_stage_of_before_there_were_traces_is_still_read(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    for name in ("finetune", "heads/lstm"):
        shutil.copytree(tiny_run / name, run / name)
    for path in trace_files(run / "heads/lstm"):
        path.unlink()
    manifest = json.loads((run / "heads/lstm" / MANIFEST).read_text())
    manifest["files"] = {name: facts for name, facts in manifest["files"].items() if not name.startswith("trace")}
    assert len(manifest["files"]) == 3
    content = {key: value for key, value in manifest.items() if key not in ("fingerprint", "versions")}
    manifest["fingerprint"] = fingerprint_of(content)
    (run / "heads/lstm" / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / "new.csv").write_text("id,text\na,the cat sat\n")
    assert len(predict_documents(run, tmp_path / "new.csv")) == 1
    assert not (run / "heads/lstm" / FACTS).exists()
