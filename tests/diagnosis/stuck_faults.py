"""Faults that experiments/020-stuck-at-chance injected and that the doctor missed there at first, and one a red team had left."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc

from hierdoc.tracing.files import Trace
from tests.diagnosis.faults import Fault, at
from tests.diagnosis.simulation import Simulation


@at("vectors")
def same_window(sim: Simulation, strength: float) -> None:
    for doc in np.flatnonzero(sim.rng.random(len(sim.labels)) < strength):
        rows = np.flatnonzero(sim.owners == doc)
        sim.vectors[rows] = sim.vectors[rows[0]]


@at("vectors")
def another_encoders_for_some_chunks_of_train(sim: Simulation, strength: float) -> None:
    rows = np.flatnonzero(sim.in_train() & (sim.rng.random(len(sim.owners)) < strength))
    turn = np.linalg.qr(sim.rng.standard_normal((sim.vectors.shape[1],) * 2))[0]
    sim.vectors[rows] = sim.vectors[rows] @ turn + 2 * sim.vectors.std()


@at("traces")
def nothing_to_train(sim: Simulation, strength: float) -> None:
    sim.traces["head"].facts["weights"] = []


@at("grouped")
def first_chunk_only_in_dev(sim: Simulation, strength: float) -> None:
    docs = np.arange(sim.num_train, len(sim.labels))
    for doc in docs[sim.rng.random(len(docs)) < strength]:
        sim.groups[doc] = sim.groups[doc][:1]


def first_rows_of_dev(sim: Simulation, now: str, strength: float) -> None:
    if now == "traces":
        trace = sim.traces["head"]
        first = max(1, round((1 - strength) * sim.world.num_classes))
        dev = trace.dev.filter(pc.less(trace.dev["label_id"], first))
        sim.traces["head"] = Trace(trace.facts, trace.examples, trace.steps, trace.made, dev)


STUCK = {
    "first chunk only in dev": Fault(
        first_chunk_only_in_dev, {"chunks-left-out"}, {"notes_dev_vectors": False, "fewest_chunks": 2}
    ),
    "nothing to train": Fault(nothing_to_train, {"weights-did-not-move"}),
    "first rows of dev": Fault(
        first_rows_of_dev, {"held-out-lacks-classes", "held-out-one-class"}, strengths=(1.0, 0.5)
    ),
    "same window": Fault(same_window, {"chunks-repeated"}),
    "another encoder's for some chunks of train": Fault(
        another_encoders_for_some_chunks_of_train, {"held-out-vectors-foreign"}, strengths=(0.6, 0.3)
    ),
}
