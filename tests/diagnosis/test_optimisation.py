"""How far the weights of an encoder moved, on a simulated set whose chunk model's losses and weights are replaced."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hierdoc.diagnosis.accuracies import label_entropy
from hierdoc.diagnosis.evidence import Evidence
from hierdoc.diagnosis.optimisation import learning_rate_too_large, weights_did_not_move
from hierdoc.diagnosis.reading_traces import evidence_of
from tests.diagnosis.simulation import Simulation, World, weight_row


def moved(by: float, ends: float, loaded: int, arrays: int = 100) -> Evidence:
    """A set whose encoder's arrays moved by so many times their norm; its loss stays at so many times the labels' entropy."""
    evidence = evidence_of(Simulation(World(seed=0)).run())[0]
    chunks = evidence.chunks
    losses = np.full(len(chunks.steps), ends * label_entropy(chunks))
    chunks = dataclasses.replace(
        chunks, steps=dataclasses.replace(chunks.steps, losses=losses), weights_loaded=loaded, weights_expected=loaded,
        weights=[
            weight_row(f"layer_{number}/kernel", 1000, 10.0, 10.0 * (1 + by), 10.0 * by, is_constant=False)
            for number in range(arrays)
        ],
    )  # fmt: skip
    return Evidence(chunks, evidence.documents, evidence.made)


@pytest.mark.parametrize(
    ("by", "ends", "loaded", "arrays", "accused"),
    [
        (2.0, 1.01, 199, 100, True),  # a deep encoder that was loaded, at the very entropy
        (0.2, 1.01, 199, 100, True),
        (0.2, 0.98, 199, 100, False),  # below it: it learned a little
        (2.0, 0.5, 199, 100, False),  # it learned
        (0.1, 1.01, 199, 100, False),  # it moved as encoders do
        (0.2, 1.01, 199, 8, False),  # a shallow one may move so far and have nothing to learn
        (0.4, 1.1, 199, 8, True),
        (2.0, 1.01, 0, 100, False),  # from random weights: nothing to throw away
        (6.0, 1.1, 0, 100, True),
    ],
)
def test_a_loaded_encoder_that_is_thrown_far_and_learns_nothing_had_too_large_a_rate(by, ends, loaded, arrays, accused):
    assert (learning_rate_too_large(moved(by, ends, loaded, arrays)) is not None) == accused


def test_a_model_with_nothing_to_train_is_told_unless_nobody_trained_it():
    evidence = moved(0.1, 1.0, 199)
    assert weights_did_not_move(evidence) is None
    nothing = dataclasses.replace(evidence.chunks, trains_nothing=True, weights=[])
    found = weights_did_not_move(Evidence(nothing, evidence.documents, evidence.made))
    assert found.title == "No weight is trained" and "had no weight to train" in found.evidence[0]
    none = np.zeros(0, np.int64)
    steps = dataclasses.replace(nothing.steps, epochs=none)
    unasked = dataclasses.replace(nothing, steps=steps)
    assert weights_did_not_move(Evidence(unasked, evidence.documents, evidence.made)) is None
