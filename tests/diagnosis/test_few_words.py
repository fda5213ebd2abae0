"""What simulations do not show: facts of runs, symptoms, notes, and what explains what, on evidence typed by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hierdoc.diagnosis import held_out, order, predictions, vectors
from hierdoc.diagnosis.checks import find, sort, weigh
from hierdoc.diagnosis.evidence import Evidence, Run
from hierdoc.diagnosis.findings import CAUSE, INFERRED, MEASURED, NOTE, PROVEN, SYMPTOM, Finding
from hierdoc.diagnosis.reading_traces import evidence_of
from tests.diagnosis.faults import FAULTS
from tests.diagnosis.simulation import Simulation, World

RUN = Run(
    out_of_date=[],
    unfinished=[],
    details={},
    splits=np.array(["train"] * 90 + ["dev"] * 100, object),
    label_ids=np.zeros(190, np.int64),
    near_duplicate=np.zeros(190, bool),
    num_chunks=np.full(190, 10),
    num_dropped=np.zeros(190, np.int64),
    num_tokens=np.full(190, 1000),
    num_unknown=np.zeros(190, np.int64),
    tfidf_svm_accuracy=None,
)


def weight_of(finding: Finding | None) -> str | None:
    return None if finding is None else finding.weight


@pytest.mark.parametrize(("dropped", "weight"), [(0, None), (1, NOTE), (9, NOTE), (11, CAUSE)])
def test_dropped_chunks_are_a_cause_where_most_are(dropped: int, weight: str | None):
    run = replace(RUN, num_dropped=np.full(190, dropped))
    assert weight_of(held_out.chunks_dropped(Evidence(run=run))) == weight


@pytest.mark.parametrize(("unknown", "weight"), [(0, None), (299, None), (301, CAUSE)])
def test_unknown_tokens_are_a_cause_from_a_third_on(unknown: int, weight: str | None):
    run = replace(RUN, num_unknown=np.full(190, unknown))
    assert weight_of(vectors.tokens_unknown(Evidence(run=run))) == weight


@pytest.mark.parametrize(("num", "weight"), [(0, None), (1, NOTE), (5, NOTE), (6, CAUSE)])
def test_near_duplicates_of_given_splits_are_noted_and_accused_where_they_are_many(num: int, weight: str | None):
    near = np.zeros(190, bool)
    near[90 : 90 + num] = True
    near[0] = True  # of train, which does not count
    assert weight_of(held_out.near_duplicates(Evidence(run=replace(RUN, near_duplicate=near)))) == weight


def evidence_with(**changes: object) -> Evidence:
    (evidence,) = evidence_of(Simulation(World(num_held_out=80, head_epochs=20, **changes)).run())
    return evidence


def test_chance_is_told_beside_what_guessing_gives_and_what_a_bag_of_words_reaches():
    evidence = evidence_with()
    answers = evidence.documents.held_out
    constant = replace(answers, probs=np.eye(5)[np.zeros(80, int)])
    lost = replace(evidence, documents=replace(evidence.documents, held_out=constant), keep={})
    chance, same = predictions.at_chance(lost), predictions.constant_answers(lost)
    share = (answers.label_ids == 0).mean()
    assert chance.weight == same.weight == SYMPTOM
    assert chance.evidence[0].startswith(
        f"head: {100 * share:.0f} % on held-out data; guessing: uniform 20 %, majority"
    )
    assert same.evidence == ["head: 100 % of the held-out answers are class 0"]
    with_svm = replace(lost, run=replace(RUN, tfidf_svm_accuracy=0.94), keep={})
    assert predictions.at_chance(with_svm).evidence[-1] == "TF-IDF + linear SVM on test: 94 %"
    assert predictions.at_chance(evidence) is None and predictions.constant_answers(evidence) is None


def test_an_order_that_never_changes_and_is_no_order_by_label_is_a_note():
    def fixed(sim: Simulation, now: str, strength: float) -> None:
        if now == "head training":
            batches = np.array_split(sim.rng.permutation(sim.num_train), 12)
            sim.head_order = lambda epoch: batches

    (evidence,) = evidence_of(Simulation(World(), fixed).run())
    note = order.never_shuffled(evidence)
    assert note.weight == NOTE and note.evidence == ["head: the batches are the same in every epoch"]
    assert not [finding for finding in find(evidence) if finding.weight == CAUSE]
    assert order.never_shuffled(evidence_with()) is None


def test_short_trainings_are_noted():
    (evidence,) = evidence_of(Simulation(World(head_epochs=1)).run())
    assert order.few_steps(evidence).evidence == ["head: 12 steps in all"] and order.few_steps(evidence).weight == NOTE


def test_what_is_proven_explains_what_is_inferred():
    found = [
        Finding("only-memorised", "", [], CAUSE, INFERRED),
        Finding("unexplained", "", [], CAUSE, INFERRED),
        Finding("padding-attended", "", [], CAUSE, MEASURED),
        Finding("labels-changed", "", [], CAUSE, PROVEN),
        Finding("never-shuffled", "", [], NOTE),
        Finding("at-chance", "", [], SYMPTOM),
    ]
    assert [(finding.code, finding.weight) for finding in sort(weigh(found))] == [
        ("labels-changed", CAUSE),
        ("padding-attended", CAUSE),
        ("at-chance", SYMPTOM),
        ("only-memorised", SYMPTOM),
        ("never-shuffled", NOTE),
    ]


def test_what_explains_nothing_leaves_the_rest_accused():
    found = [
        Finding("near-duplicates", "", [], CAUSE, MEASURED),
        Finding("unexplained", "", [], CAUSE, INFERRED),
        Finding("leak", "", [], CAUSE),
    ]
    assert [finding.code for finding in sort(weigh(found)) if finding.weight == CAUSE] == [
        "leak", "near-duplicates", "unexplained",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["labels shuffled", "vectors dealt at random", "stale vectors", "sorted by label"])
def test_the_first_cause_is_the_fault_and_there_is_no_second(name: str):
    fault = FAULTS[name]
    (evidence,) = evidence_of(Simulation(World(**fault.world), fault.breaks, 1.0).run())
    causes = [finding.code for finding in find(evidence) if finding.weight == CAUSE]
    assert len(causes) == 1 and causes[0] in fault.codes
