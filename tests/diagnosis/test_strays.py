"""Vectors that the chunk model did not make as it did at fine-tuning, in arrays typed by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Vectors
from hierdoc.diagnosis.grouping import chunks_repeated
from hierdoc.diagnosis.probes import lonely_region
from hierdoc.diagnosis.strays import answered_otherwise, may_be_an_earlier_epochs, region_of_training_only
from tests.diagnosis.simulation import Simulation, World

OWNERS = np.repeat([f"d{number}" for number in range(50)], 4)


@pytest.mark.parametrize(
    ("num_other", "in_documents", "said", "many"),
    [
        (0, 1, False, False),
        (2, 2, False, False),  # 1 % of the chunks: rounding
        (9, 9, False, False),  # 4.5 %
        (20, 20, True, False),  # 10 %
        (40, 40, True, True),  # 20 %, in 40 of 50 documents
        (12, 3, False, False),  # 6 %, but all of three documents
    ],
)
def test_other_classes_for_the_same_chunks_are_more_than_rounding(num_other, in_documents, said, many):
    before = np.tile([0, 1, 2, 3], 50)
    changed = np.arange(num_other) % in_documents * 4 + np.arange(num_other) // in_documents
    stored = before.copy()
    stored[changed] = (stored[changed] + 1) % 4
    lines, are_many = answered_otherwise(before, stored, OWNERS)
    assert bool(lines) == said and are_many == many
    if many:
        assert "gives 20 % of the held-out chunks another class" in lines[0] and "in 40 of 50 documents" in lines[0]


@pytest.mark.parametrize(
    ("accuracies", "kept_epoch", "may_be"),
    [
        ([0.5, 0.6, 0.7], None, False),
        ([0.5, 0.8, 0.7], None, True),
        ([0.5, 0.7, 0.7], None, True),
        ([0.5, 0.8, 0.7], 2, False),  # a run says whose weights were kept
        ([0.7], None, False),
        ([], None, False),
        ([None, None], None, False),
    ],
)
def test_an_earlier_epoch_that_was_as_good_may_have_been_gone_back_to(accuracies, kept_epoch, may_be):
    readings = [{"loss": 1.0} if value is None else {"loss": 1.0, "val_accuracy": value} for value in accuracies]
    training = dataclasses.replace(chunk_training(), readings=readings, kept_epoch=kept_epoch)
    assert may_be_an_earlier_epochs(training) == may_be


def chunk_training():
    from hierdoc.diagnosis.reading_traces import evidence_of

    return evidence_of(Simulation(World(seed=0)).run())[0].chunks


def made(lonely: float, right_there: float, held_out_there: float = 0.0, times: int = 1) -> Evidence:
    """300 training and 100 held-out vectors of two classes, of which some lie far away and are named less well there."""
    rng = np.random.default_rng(0)
    num_train, num = 300 * times, 400 * times
    labels = np.arange(num) % 2
    values = rng.standard_normal((num, 16)) + 3 * labels[:, None]
    predicted = labels.copy()
    wrong = rng.random(num) < 0.2
    predicted[wrong] = 1 - predicted[wrong]
    sizes = round(num_train * lonely), round((num - num_train) * held_out_there)
    away = np.concatenate([np.arange(sizes[0]), num_train + np.arange(sizes[1])])
    values[away] = rng.standard_normal((len(away), 16)) - 9
    predicted[away] = np.where(np.arange(len(away)) < right_there * len(away), labels[away], 1 - labels[away])
    splits = np.array(["train"] * num_train + ["dev"] * (num - num_train), object)
    doc_ids = np.array([str(number) for number in range(num)], object)
    return Evidence(
        made=Vectors(
            doc_ids, splits, np.zeros(num, np.int64), labels, predicted, np.arange(num).astype(np.uint64),
            values.astype(np.float32),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (made(lonely=0.0, right_there=0.5), False),
        (made(lonely=0.3, right_there=0.3), True),
        (made(lonely=0.3, right_there=0.9), False),  # a kind of documents that was not held out
        (made(lonely=0.3, right_there=0.3, held_out_there=0.3), False),  # a hard kind that was
        (made(lonely=0.03, right_there=0.0, times=10), False),  # few
    ],
)
def test_vectors_that_lie_apart_and_have_lost_their_classes_are_told(evidence: Evidence, said: bool):
    lines = region_of_training_only(evidence)
    assert bool(lines) == said
    if said:
        assert lines[0].startswith("30 % of training's vectors lie apart, where only 0 % of the held-out ones lie")


def test_the_loneliest_region_is_found():
    rng = np.random.default_rng(0)
    one, other = rng.standard_normal((200, 4)), rng.standard_normal((100, 4))
    one[:40] += 20
    inside, beside = lonely_region(one, other, 0.2)
    assert inside.tolist() == [True] * 40 + [False] * 160 and not beside.any()
    assert not lonely_region(np.ones((5, 3)), np.ones((5, 3)), 0.2)[0].any()  # one point has one region


def noted(documents: list[list[int]]) -> Evidence:
    """Vectors by hash, as they were noted for training's documents."""
    doc_ids = np.array([f"d{number}" for number, hashes in enumerate(documents) for _ in hashes], object)
    hashes = np.array([one for hashes in documents for one in hashes], np.uint64)
    unknown = np.full(len(hashes), UNKNOWN)
    splits = np.array(["train"] * len(hashes), object)
    return Evidence(made=Vectors(doc_ids, splits, np.arange(len(hashes)), unknown, unknown, hashes, None))


@pytest.mark.parametrize(
    ("documents", "weight"),
    [
        ([[1, 2, 3], [4, 5], [6]], None),
        ([[1, 1, 1], [4, 4], [6]], "cause"),  # the window does not move
        ([[1, 1], [4, 4], [6, 6], [7, 8, 7, 8]], None),  # all of them were noted twice
        ([[1, 1], *([number, number + 1] for number in range(10, 210, 2))], "note"),  # one document repeats itself
    ],
)
def test_documents_that_were_made_of_one_vector_are_told(documents: list[list[int]], weight: str | None):
    found = chunks_repeated(noted(documents))
    assert (None if found is None else found.weight) == weight
