"""A loss that is not the crossentropy of the answers, on a simulated set whose losses and answers are replaced."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hierdoc.diagnosis.accuracies import last_reading
from hierdoc.diagnosis.checks import find
from hierdoc.diagnosis.evidence import Evidence
from hierdoc.diagnosis.loss_kind import loss_of_another_kind
from hierdoc.diagnosis.optimisation import loss_did_not_fall
from hierdoc.diagnosis.reading_traces import evidence_of
from hierdoc.objectives.losses import uninformed_loss
from tests.diagnosis.simulation import Simulation, World


@pytest.fixture(scope="module")
def healthy() -> Evidence:
    return evidence_of(Simulation(World(seed=1, num_documents=200, num_classes=10, num_held_out=80)).run())[0]


def with_losses(evidence: Evidence, times: float, begins: int = 0, is_lost: bool = False) -> Evidence:
    """The same set with flat losses of so many times ln 10 from a step on, the answers guesses if it is lost."""
    training, rng = evidence.documents, np.random.default_rng(0)
    losses = np.full(len(training.steps), np.log(10)) * (1 + 0.1 * rng.standard_normal(len(training.steps)))
    losses[begins:] *= times
    held_out = training.held_out
    if is_lost:
        held_out = dataclasses.replace(held_out, probs=rng.dirichlet(np.ones(10), len(held_out)))
    training = dataclasses.replace(
        training, steps=dataclasses.replace(training.steps, losses=losses), held_out=held_out, readings=[]
    )
    return Evidence(evidence.chunks, training, evidence.made)


@pytest.mark.parametrize("times", [12, 0.1])
def test_a_lost_model_with_such_a_loss_is_told_why(healthy: Evidence, times: float):
    causes = [finding.code for finding in find(with_losses(healthy, times, is_lost=True)) if finding.weight == "cause"]
    assert causes == ["loss-of-another-kind"]


@pytest.mark.parametrize(("times", "weight"), [(12, "note"), (2, None), (1, None), (0.5, None), (0.1, "note")])
def test_a_model_that_is_right_gets_a_note(healthy: Evidence, times: float, weight: str | None):
    found = loss_of_another_kind(with_losses(healthy, times))
    assert (None if found is None else found.weight) == weight


def test_a_loss_that_weighs_classes_is_held_against_its_own_beginning(healthy: Evidence):
    """9 to 1 documents of two classes: balanced weights begin at ln 2, which is far above the labels' entropy."""
    labels = np.repeat([0, 1], [90, 10])
    steps = dataclasses.replace(
        healthy.documents.steps, losses=np.linspace(np.log(2), 0.35, len(healthy.documents.steps))
    )
    examples = dataclasses.replace(
        healthy.documents.examples, label_ids=np.resize(labels, len(healthy.documents.examples))
    )
    training = dataclasses.replace(healthy.documents, num_classes=2, steps=steps, examples=examples)
    assert loss_did_not_fall(Evidence(None, training, None)) is not None
    balanced = dataclasses.replace(training, uninformed_loss=uninformed_loss(labels, np.array([100 / 180, 5.0])))
    assert balanced.uninformed_loss == pytest.approx(np.log(2))
    assert loss_did_not_fall(Evidence(None, balanced, None)) is None


def test_an_accuracy_in_percent_is_passed_over(healthy: Evidence):
    for readings, wanted in (([{"acc": 0.5}, {"acc": 61.5}], 0.5), ([{"acc": 61.5}], None), ([{"acc": 1}], 1.0)):
        assert last_reading(dataclasses.replace(healthy.documents, readings=readings), ["acc"]) == wanted


def test_a_loss_that_jumps_is_not_of_another_kind(healthy: Evidence):
    evidence = with_losses(healthy, 50, begins=3, is_lost=True)
    weights = [{**weight, "norm_of_change": 9 * (weight["norm_before"] or 1)} for weight in evidence.documents.weights]
    thrown = Evidence(evidence.chunks, dataclasses.replace(evidence.documents, weights=weights), evidence.made)
    codes = {finding.code for finding in find(thrown)}
    assert "learning-rate-too-large" in codes and "loss-of-another-kind" not in codes


def test_what_chance_changes_padding_does_not(healthy: Evidence):
    training = dataclasses.replace(healthy.documents, probe={"company": 0.3, "padding": 0.95, "repeat": 0.3})
    weights = {finding.code: finding.weight for finding in find(Evidence(healthy.chunks, training, healthy.made))}
    assert weights["answers-by-chance"] == "cause" and weights["padding-attended"] == "symptom"
    training = dataclasses.replace(healthy.documents, probe={"company": 0.0, "padding": 0.95, "repeat": 0.0})
    weights = {finding.code: finding.weight for finding in find(Evidence(healthy.chunks, training, healthy.made))}
    assert weights["padding-attended"] == "cause"
