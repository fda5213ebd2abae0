"""hierdoc.trace.Recorder: what it writes of trainings with tf-keras and Keras 3, and of a loop of one's own."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorder_scenarios import DIM, DOCUMENTS, IDS, LABELS, NUM_DOCUMENTS, batch_of, run

from hierdoc.diagnosis.predictions import padding_attended
from hierdoc.diagnosis.reading_traces import evidence_of
from hierdoc.errors import HierdocError
from hierdoc.trace import Recorder
from hierdoc.tracing.files import Trace, read_trace
from hierdoc.tracing.hashing import hash_rows, sketch_rows

ROOT = Path(__file__).resolve().parents[1]


class Recorded:
    """The traces of all scenarios with one Keras, and the truth about them."""

    def __init__(self, folder: Path):
        self.folder, self.truth = folder, json.loads((folder / "truth.json").read_text())

    def read(self, name: str) -> tuple[Trace, list[dict[str, Any]], list[dict[str, Any]], dict[str, Any]]:
        """A trace, its steps and examples, and the truth."""
        trace = read_trace(self.folder / name)
        return trace, trace.steps.to_pylist(), trace.examples.to_pylist(), self.truth.get(name, {})


@pytest.fixture(scope="module", params=["tf_keras", "keras"])
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """Everything recorded with tf-keras here, and with Keras 3 in a process of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "tf_keras":
        from hierdoc.encoders import compat

        compat.load_tensorflow()
        run(importlib.import_module("tf_keras"), folder)
        return Recorded(folder)
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "0", "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests/recorder_scenarios.py"), str(folder)],
        env=environment, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return Recorded(folder)


def check_steps(steps: list[dict[str, Any]], examples: list[dict[str, Any]], seen: list[dict[str, Any]]) -> None:
    """Each step's examples, padded length and loss are those that the model saw and had."""
    assert len(steps) == len(seen)
    for number, (step, truth) in enumerate(zip(steps, seen, strict=True)):
        assert step["step"] == number
        first = [examples[example]["hashes"][0] for example in step["examples"]]
        assert first == hash_rows(np.float32(truth["first"])).tolist()
        assert step["padded_length"] == truth["length"]
        # Keras sums in float32
        assert step["loss"] == pytest.approx(truth["loss"], rel=1e-4)


def test_each_step_is_noted_as_the_model_saw_it(recorded: Recorded):
    trace, steps, examples, truth = recorded.read("generator")
    check_steps(steps, examples, truth["seen"])
    assert [step["epoch"] for step in steps] == [1] * 4 + [2] * 4 + [3] * 4
    assert [len(step["examples"]) for step in steps] == [4, 4, 3] * 4  # 4 steps an epoch, 3 batches a round
    np.testing.assert_allclose([step["learning_rate"] for step in steps], truth["rates"], rtol=1e-6)
    assert not any(step["mask_given"] for step in steps)
    assert [(row["label_id"], row["mask_sum"]) for row in examples] == [
        (label, len(vectors)) for label, vectors in zip(LABELS, DOCUMENTS)
    ]
    for row, vectors in zip(examples, DOCUMENTS, strict=True):
        assert row["hashes"] == hash_rows(vectors).tolist() and row["doc_id"] is None
        np.testing.assert_array_equal(np.float32(row["sketches"]).reshape(-1, 16), sketch_rows(vectors))


def test_the_facts_of_a_training_are_noted_once(recorded: Recorded):
    trace, _, _, truth = recorded.read("generator")
    facts = trace.facts
    assert (facts["kind"], facts["num_classes"], facts["labels"]) == ("documents", 3, ["a", "b", "c"])
    assert (facts["num_documents"], facts["weights_loaded"], facts["weights_expected"]) == (NUM_DOCUMENTS, 0, 0)
    assert facts["finished"] is True
    assert [epoch["loss"] for epoch in facts["epochs"]] == pytest.approx(truth["history"]["loss"])
    assert [epoch["val_accuracy"] for epoch in facts["epochs"]] == pytest.approx(truth["history"]["val_accuracy"])
    assert facts["optimizer"]["name"].lower() == "adam"
    schedule = facts["optimizer"]["parameters"]["learning_rate"]
    assert schedule["class_name"] == "ExponentialDecay" and schedule["config"]["initial_learning_rate"] == 0.1
    assert {entry["name"]: entry["norm_of_change"] for entry in facts["weights"]} == pytest.approx(
        truth["changes"], rel=1e-5
    )
    assert {entry["name"]: entry["norm_before"] for entry in facts["weights"]} == pytest.approx(
        truth["norms"], rel=1e-5
    )
    constant = {entry["name"].split("/")[-1]: entry["is_constant_before"] for entry in facts["weights"]}
    assert constant == {"kernel": False, "recurrent_kernel": False, "bias": True}  # the dense layer's bias, the last
    # float32 arithmetic of other batch sizes
    assert facts["probe"]["num_examples"] == 6
    assert max(facts["probe"][name] for name in ("company", "padding", "repeat")) < 1e-5


def test_dev_is_read_with_the_weights_at_the_end(recorded: Recorded):
    trace, _, _, truth = recorded.read("generator")
    rows = trace.dev.to_pylist()
    assert [row["doc_id"] for row in rows] == [f"d{at}" for at in (*range(6), *range(5))]
    assert [row["label_id"] for row in rows] == LABELS.tolist()
    assert [row["mask_sum"] for row in rows] == [len(vectors) for vectors in DOCUMENTS]
    assert [row["hashes"] for row in rows] == [hash_rows(vectors).tolist() for vectors in DOCUMENTS]
    np.testing.assert_allclose([row["probs"] for row in rows], truth["dev"], atol=1e-6)


def test_a_training_that_is_killed_leaves_the_epochs_before(recorded: Recorded):
    trace, steps, _, truth = recorded.read("generator-after-1")
    assert trace.facts["finished"] is False and len(steps) == 4 and len(trace.facts["epochs"]) == 1
    assert [step["loss"] for step in steps] == pytest.approx([seen["loss"] for seen in recorded.truth["generator"]["seen"][:4]], rel=1e-4)  # fmt: skip


def test_a_generator_that_ends_is_followed_as_each_keras_does(recorded: Recorded):
    _, steps, examples, truth = recorded.read("finite")
    check_steps(steps, examples, truth["seen"])
    assert [step["epoch"] for step in steps][:4] == [1] * 4
    # Keras 3 goes on with the first two batches alone; tf-keras stops
    again = [step["epoch"] for step in steps[4:]]
    assert again == ([2, 2, 3, 3] if len(truth["seen"]) == 8 else [])


def test_what_keras_asked_for_ahead_in_one_fit_is_not_taken_for_the_next_ones(recorded: Recorded):
    _, steps, examples, truth = recorded.read("fitted-twice")
    check_steps(steps, examples, truth["seen"])
    assert [step["epoch"] for step in steps] == [1, 1, 2, 2]
    assert [step["examples"][0] for step in steps] == [0, 4, 0, 4]


def test_a_mask_is_noted_and_rows_of_weight_0_are_left_out(recorded: Recorded):
    trace, steps, examples, truth = recorded.read("masked")
    assert all(step["mask_given"] for step in steps) and len(steps) == 6
    kept = [at for at in range(NUM_DOCUMENTS) if at % 4 != 1]
    assert [row["hashes"] for row in examples] == [hash_rows(DOCUMENTS[at]).tolist() for at in kept]
    assert [row["mask_sum"] for row in examples] == [len(DOCUMENTS[at]) for at in kept]
    assert [step["examples"] for step in steps[:3]] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert trace.facts["probe"]["padding"] < 1e-5 and trace.facts["probe"]["num_examples"] in (3, 4)
    assert len(trace.dev) == 0


def test_fit_on_arrays_has_steps_of_unknown_examples(recorded: Recorded):
    trace, steps, examples, truth = recorded.read("arrays")
    assert len(steps) == 6  # the batches of validation are none
    assert [step["examples"] for step in steps] == [None] * 6 and steps[0]["padded_length"] is None
    assert [step["loss"] for step in steps] == pytest.approx([seen["loss"] for seen in truth["seen"]], rel=1e-4)
    assert [row["doc_id"] for row in examples] == [str(at) for at in range(NUM_DOCUMENTS)]
    assert [row["label_id"] for row in examples] == (LABELS > 0).astype(int).tolist()
    probs = np.array(trace.dev["probs"].to_pylist())
    assert probs.shape == (3, 2)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-6)
    assert trace.facts["probe"]["num_examples"] == 8  # of what was noted


def test_steps_that_keras_takes_at_once_share_their_mean_loss(recorded: Recorded):
    trace, steps, examples, truth = recorded.read("at-once")
    assert len(steps) == 8
    assert [step["examples"] for step in steps[:3]] == [[0, 1], [1, 2], [2, 3]]
    assert [row["doc_id"] for row in examples][:9] == [f"d{at}" for at in range(9)]
    assert examples[1]["hashes"] == hash_rows(IDS[1][None, :4]).tolist() and examples[1]["mask_sum"] == 4
    losses = [step["loss"] for step in steps]
    assert losses[::2] == losses[1::2] and len(set(losses)) == 4
    assert [np.mean(losses[:4]), np.mean(losses[4:])] == pytest.approx(truth["losses"], rel=1e-4)
    assert trace.facts["probe"]["padding"] > 1e-3  # Flatten and Dense take one length, and read all of it


def test_a_model_of_one_length_that_masks_padding_inside_is_not_taken_for_one_that_reads_it(recorded: Recorded):
    trace, _, _, truth = recorded.read("pinned")
    assert trace.facts["probe"]["padding"] == 0
    # what was tried with the embeddings has been put back
    assert [weight["norm_after"] for weight in trace.facts["weights"]] == pytest.approx(truth["norms"], rel=1e-6)
    (evidence,) = evidence_of({"chunks": trace})
    assert padding_attended(evidence) is None


def test_a_train_step_of_ones_own_reports_each_steps_loss(recorded: Recorded):
    trace, steps, _, _ = recorded.read("own-train-step")
    assert [step["loss"] for step in steps] == [5, 3, 1, 4]
    assert {(entry["norm_before"], entry["is_constant_before"]) for entry in trace.facts["weights"]} == {(None, None)}


def test_a_loss_that_is_no_number_is_noted_from_its_step_on(recorded: Recorded):
    trace, steps, _, _ = recorded.read("nan")
    assert [np.isfinite(step["loss"]) for step in steps] == [True, True, False]
    assert trace.facts["epochs"][0]["loss"] is None and trace.facts["finished"] is True
    assert np.isnan(np.array(trace.dev["probs"].to_pylist())).all() and len(trace.dev) == NUM_DOCUMENTS
    assert trace.facts["probe"]["company"] is None


def test_a_training_that_raises_leaves_what_there_was(recorded: Recorded):
    trace, steps, examples, truth = recorded.read("raising")
    assert truth["raised"] is not None and trace.facts["finished"] is False
    check_steps(steps, examples, truth["seen"])
    assert len(steps) >= 4


def test_labels_out_of_range_are_there_although_no_step_was_done(recorded: Recorded):
    trace, steps, examples, truth = recorded.read("out-of-range")
    assert truth["raised"] is not None, "Keras on a processor refuses them"
    assert {row["label_id"] for row in examples} == {1, 2, 3} and trace.facts["finished"] is False


def test_importing_it_imports_no_tensorflow():
    code = "import sys, hierdoc.trace; sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=60).returncode == 0


OWN_LOOP = """
import sys
import numpy as np
from hierdoc.trace import Recorder
recorder = Recorder(sys.argv[1], "chunks", 10)
for number in range(3):
    recorder.step(2.5 - number, 1e-3, label_ids=[10, 1], token_ids=[[101, number, 102], [101, 9, 102]])
raise RuntimeError("the loop has a fault")
"""


def test_what_is_not_saved_when_the_interpreter_ends_is_saved_then(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", OWN_LOOP, str(tmp_path / "trace")], cwd=ROOT, capture_output=True, timeout=60
    )
    assert done.returncode == 1
    trace = read_trace(tmp_path / "trace")
    assert trace.facts["finished"] is False
    assert trace.steps["loss"].to_pylist() == [2.5, 1.5, 0.5]
    assert trace.steps["examples"].to_pylist() == [[0, 1], [2, 1], [3, 1]]
    assert trace.examples["label_id"].to_pylist() == [10, 1, 10, 10]


def test_a_loop_of_ones_own_notes_the_same_by_hand(tmp_path: Path):
    x, y = batch_of([0, 1, 5])
    recorder = Recorder(tmp_path, "documents", 3, pad_value=-99.0)
    for epoch in range(2):
        for given, labels in recorder.watch([(x, y), (x[:1], y[:1])]):
            assert (given is x and labels is y) or len(given) == 1  # handed on as they came
            recorder.step(1.0 / (epoch + 1))
        recorder.note_epoch({"loss": np.float32(0.5), "val_loss": float("nan")})
    recorder.note_optimizer("own", {"learning_rate": np.float64(0.1), "schedule": "none"})
    recorder.note_weights({"w": np.array([3.0, 4.0])}, {"w": np.array([3.0, 4.0 + 1e-3]), "new": np.zeros(0)})
    recorder.note_dev(y, np.eye(3), doc_ids=["a", "b", "c"], vectors=x)
    recorder.note_dev(y[:1], [[9.0, -9.0, -9.0]], doc_ids=["d"], vectors=x[:1])
    recorder.probe(lambda vectors: np.eye(3)[np.zeros(len(vectors), int)], (x, y))
    recorder.save()
    trace = read_trace(tmp_path)
    assert [(step["epoch"], step["examples"], step["loss"]) for step in trace.steps.to_pylist()] == [
        (1, [0, 1, 2], 1.0), (1, [0], 1.0), (2, [0, 1, 2], 0.5), (2, [0], 0.5),
    ]  # fmt: skip
    facts = trace.facts
    assert facts["epochs"] == [{"loss": 0.5, "val_loss": None}] * 2 and facts["finished"] is True
    assert facts["optimizer"] == {"name": "own", "parameters": {"learning_rate": 0.1, "schedule": "none"}}
    first, second = facts["weights"]
    assert (first["name"], first["size"], first["norm_before"], first["is_constant_before"]) == ("w", 2, 5.0, False)
    assert first["norm_of_change"] == pytest.approx(1e-3) and second["norm_before"] is None
    assert facts["probe"] == {"num_examples": 3, "company": 0.0, "padding": 0.0, "repeat": 0.0}
    assert [row["doc_id"] for row in trace.dev.to_pylist()] == list("abcd")
    assert trace.dev["probs"][3].as_py() == pytest.approx([1, 0, 0], abs=1e-6)


def test_vectors_are_noted_as_they_are_made_batch_after_batch(tmp_path: Path):
    vectors = np.random.default_rng(2).standard_normal((5, DIM))
    with Recorder(tmp_path, "documents", 10) as recorder:
        recorder.note_made([7, 7, 8], vectors[:3], label_ids=[1, 1, 10], predicted=np.eye(10)[[1, 2, 3]])
        recorder.note_made(np.array([8, 7]), vectors[3:], split="train")
        recorder.note_made(["7"], vectors[:1], chunk_index=[4], split="dev")
        recorder.note_made(["7"], vectors[:1], split="test")
    rows = read_trace(tmp_path).made.to_pylist()
    assert [(row["split"], row["doc_id"], row["chunk_index"]) for row in rows] == [
        ("train", "7", 0), ("train", "7", 1), ("train", "8", 0), ("train", "8", 1), ("train", "7", 2),
        ("dev", "7", 4), ("test", "7", 0),
    ]  # fmt: skip
    assert [row["label_id"] for row in rows] == [1, 1, 10, None, None, None, None]
    assert [row["predicted"] for row in rows][:4] == [1, 2, 3, None]
    assert [row["hash"] for row in rows][:5] == hash_rows(vectors).tolist()
    np.testing.assert_array_equal(np.float32([row["sketch"] for row in rows])[:5], sketch_rows(vectors))


def test_a_block_that_raises_is_not_finished(tmp_path: Path):
    with pytest.raises(ZeroDivisionError), Recorder(tmp_path, "chunks", 2) as recorder:
        recorder.step(1.0, label_ids=[0], token_ids=[[5]])
        1 / 0  # noqa: B018
    assert read_trace(tmp_path).facts["finished"] is False


@pytest.mark.parametrize(
    ("use", "said"),
    [
        (lambda r: Recorder("t", "words", 2), "`kind` must be one of chunks, documents, but is 'words' instead"),
        (lambda r: Recorder("t", "chunks", 0), "`num_classes` must be a whole number of at least 1, but is 0 instead"),
        (lambda r: Recorder("t", "chunks", True), "`num_classes` must be a whole number of at least 1, but is True"),
        (lambda r: Recorder("t", "chunks", 2, ["a"]), "`labels` must be 2, as `num_classes` says, but are 1 instead"),
        (lambda r: Recorder(__file__, "chunks", 2), f"{__file__}: a trace is a folder, and this is a file"),
        (lambda r: Recorder("t", "chunks", 2, dev=[]), "`dev` must be a function that returns batches"),
        (lambda r: next(r.watch([np.zeros((2, 3))])), "a watched batch must be a tuple (x, y), but is ndarray instead"),
        (lambda r: next(r.watch([(0, 1)], with_doc_ids=True)), "a watched batch must be a tuple (x, y, doc_ids)"),
        (
            lambda r: r.note_examples(np.zeros(600), token_ids=np.ones((700, 2))),
            "`labels` must be of 188 examples as x is",
        ),
        (lambda r: r.note_examples([1]), "give either `token_ids` or `vectors`"),
        (lambda r: r.note_examples([1], token_ids=[[1]], vectors=[[[1.0]]]), "give either `token_ids` or `vectors`"),
        (lambda r: r.note_examples([0, 1], token_ids=[[5, 6], [7]]), "`token_ids` must be one array: pad its rows"),
        (lambda r: r.note_made(["a"], np.zeros((2, 3))), "`vectors` must be of 1 chunks as doc_ids, but is of 2"),
        (lambda r: r.note_made(["a"], np.zeros((1, 2, 3))), "`vectors` must have shape (N, D), but has (1, 2, 3)"),
    ],
)
def test_what_can_not_be_noted_is_said(use: Any, said: str, tmp_path: Path):
    with pytest.raises(HierdocError) as refused:
        use(Recorder(tmp_path, "chunks", 2))
    assert str(refused.value).startswith(said)


def test_a_file_that_only_has_a_traces_name_is_left_alone(tmp_path: Path):
    (tmp_path / "trace.json").write_text('{"mine": 1}')
    with pytest.raises(HierdocError, match="trace.json: is not of a trace, and would be replaced"):
        Recorder(tmp_path, "chunks", 2)
    (tmp_path / "trace.json").unlink()
    Recorder(tmp_path, "chunks", 2).save()
    Recorder(tmp_path, "chunks", 2).save()  # an earlier trace is replaced


def test_large_arrays_are_noted_a_part_at_a_time(tmp_path: Path):
    ids = np.arange(1, 1301)[:, None] * [[1, 1]]
    recorder = Recorder(tmp_path, "chunks", 2)
    recorder.note_examples(
        np.arange(1300), doc_ids=np.arange(1300) // 10, chunk_index=np.arange(1300) % 10, token_ids=ids
    )
    recorder.save()
    rows = read_trace(tmp_path).examples.to_pylist()
    assert [row["label_id"] for row in rows] == list(range(1300))
    assert (rows[1299]["doc_id"], rows[1299]["chunk_index"]) == ("129", [9])
    assert rows[700]["hashes"] == hash_rows(ids[700:701]).tolist()
