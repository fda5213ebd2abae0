"""Held-out examples of some classes only: by chance, or by how they were cut."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hierdoc.diagnosis.evidence import Evidence
from hierdoc.diagnosis.labels import held_out_lacks_classes, held_out_one_class
from hierdoc.diagnosis.reading_traces import evidence_of
from tests.diagnosis.simulation import Simulation, World


def with_labels(train: list[int], held_out: list[int]) -> Evidence:
    """A simulated set whose documents have these labels, each as many times as there is room."""
    world = World(seed=0, num_documents=200, num_classes=20, num_held_out=60)
    documents = evidence_of(Simulation(world).run())[0].documents
    labels = np.resize(train, len(documents.examples)), np.asarray(held_out)
    kept = np.arange(len(held_out))
    predictions = dataclasses.replace(
        documents.held_out, label_ids=labels[1], doc_ids=documents.held_out.doc_ids[kept], probs=documents.held_out.probs[kept],
        mask_sums=documents.held_out.mask_sums[kept], splits=documents.held_out.splits[kept],
    )  # fmt: skip
    examples = dataclasses.replace(documents.examples, label_ids=labels[0])
    return Evidence(documents=dataclasses.replace(documents, examples=examples, held_out=predictions))


ALIKE = list(range(20))
UNEQUAL = [3] * 4 + list(range(4, 20))  # class 3 is a fifth of all


@pytest.mark.parametrize(
    ("train", "held_out", "lacks", "is_one"),
    [
        (ALIKE, [0] * 30 + [1] * 30, True, False),  # 2 of 20 classes, in 60 documents
        (ALIKE, [*range(8), *range(7)], False, False),  # 8 of 20 in 15: chance
        (ALIKE, [*range(3)] * 5, True, False),  # 3 of 20 in 15: comb(20, 3) * 0.15 ** 15 is 5e-10
        (UNEQUAL, [*range(4, 20)] * 3 + [*range(4, 16)], False, False),  # surely without class 3, and not worth a word
        (ALIKE, [5] * 15, False, True),
        (ALIKE, [5] * 3, False, False),  # 20 * 0.05 ** 3 is 2.5e-3
    ],
)
def test_classes_are_lacking_where_chance_does_not_leave_them_out(train, held_out, lacks: bool, is_one: bool):
    evidence = with_labels(train, held_out)
    assert (held_out_lacks_classes(evidence) is not None) == lacks
    assert (held_out_one_class(evidence) is not None) == is_one
