"""What a loop of one's own tells of its steps."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hierdoc.diagnosis.diagnosing import diagnose
from hierdoc.diagnosis.reading_traces import evidence_of
from hierdoc.trace import Recorder
from hierdoc.tracing.files import read_trace
from hierdoc.tracing.hashing import sketch_rows

IDS = np.array([[101, 7, 8, 102, 0, 0], [101, 9, 102, 0, 0, 0]])


def test_held_out_vectors_are_sketched_as_those_of_training(tmp_path: Path):
    vectors = np.random.default_rng(0).standard_normal((2, 3, 4)).astype(np.float32)
    mask = np.array([[1, 1, 0], [1, 1, 1]])
    recorder = Recorder(tmp_path, "documents", 2)
    recorder.note_dev([0, 1], np.eye(2), vectors=vectors, mask=mask)
    recorder.note_dev([1], np.eye(2)[1:], vectors=vectors[:1], mask=mask[:1])
    recorder.save()
    sketches = read_trace(tmp_path).dev["sketches"].to_pylist()
    for row, noted in zip((vectors[0, :2], vectors[1], vectors[0, :2]), sketches, strict=True):
        np.testing.assert_array_equal(np.float32(noted).reshape(-1, 16), sketch_rows(row))


def test_a_step_that_is_told_of_no_mask_does_not_say_that_the_model_was_given_none(tmp_path: Path):
    recorder = Recorder(tmp_path, "chunks", 2)
    recorder.step(0.7, label_ids=[0, 1], token_ids=IDS)
    recorder.step(0.6, label_ids=[0, 1], token_ids=IDS, mask=IDS != 0)
    for _ in recorder.watch([(IDS, [0, 1])]):
        recorder.step(0.5)  # a watched batch is all that the model is given
    recorder.save()
    trace = read_trace(tmp_path)
    assert trace.steps["mask_given"].to_pylist() == [None, True, False]
    found = diagnose("steps", evidence_of({"chunks": trace}))
    lines = [line for finding in found.causes if finding.code == "padding-attended" for line in finding.evidence]
    assert lines == ["chunks: 1 of 3 steps (33 %) hold padding and give the model no mask"]
