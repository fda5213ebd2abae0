"""The probes on vectors whose answers are known."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hierdoc.diagnosis.probes import classify, coherence, cross_classify, document_means, own_side
from hierdoc.diagnosis.renaming import find_renaming, renaming_of

rng = np.random.default_rng(0)


def test_a_documents_mean_is_that_of_its_vectors():
    means = document_means(np.array([[1.0, 2.0], [3.0, 4.0], [9.0, 9.0]]), np.array([0, 0, 2]), 3)
    assert means[[0, 2]].tolist() == [[2.0, 3.0], [9.0, 9.0]] and np.isnan(means[1]).all()


def test_the_classifier_agrees_with_scikit_learns():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    labels = rng.integers(0, 4, 300)
    features = np.eye(4)[labels] @ rng.standard_normal((4, 6)) * 2 + rng.standard_normal((300, 6))
    wanted = rng.standard_normal((500, 6)) * 2
    theirs = LinearDiscriminantAnalysis(solver="lsqr").fit(features, labels).predict(wanted)
    assert (classify(features, labels, wanted) == theirs).mean() > 0.97  # ours shrinks a little


def test_labels_of_noise_can_not_be_told_and_the_documents_own_label_is_not_used():
    labels = rng.integers(0, 2, 400)
    assert (cross_classify(rng.standard_normal((400, 16)), labels) == labels).mean() == pytest.approx(0.5, abs=0.1)
    assert (cross_classify(labels[:, None] + 0.1 * rng.standard_normal((400, 16)), labels) == labels).all()


def test_coherence_is_there_when_documents_hold_their_own_vectors_only():
    owners = np.repeat(np.arange(30), 5)
    values = rng.standard_normal((30, 8))[owners] + rng.standard_normal((150, 8))
    explained, z = coherence(values, owners)
    assert z > 10 and explained > 0.3
    assert abs(coherence(values, rng.permutation(owners))[1]) < 4
    assert coherence(np.ones((10, 3)), np.arange(10)) == (0.0, 0.0)


def test_two_sets_lie_apart_or_do_not():
    one = rng.standard_normal((100, 8))
    share, size = own_side(one, rng.standard_normal((60, 8)))
    assert share == pytest.approx(0.5, abs=0.15) and size == 60
    assert own_side(one, one + 20)[0] == 1.0


def test_a_renaming_is_found_where_there_is_one():
    truth = rng.integers(0, 4, 200)
    predicted = np.where(rng.random(200) < 0.9, np.array([0, 2, 1, 3])[truth], rng.integers(0, 4, 200))
    found = find_renaming(truth, predicted)
    assert found.table == {1: 2, 2: 1} and found.gained > 60 and found.lost < 10 and found.after > 0.85 > found.before
    strange = np.array([-100, 7, 10**9, 12])  # whatever the classes are called
    assert find_renaming(strange[truth], strange[predicted]) == dataclasses.replace(
        found, table={int(strange[old]): int(strange[new]) for old, new in found.table.items()}
    )
    none = find_renaming(truth, np.where(rng.random(200) < 0.5, truth, rng.integers(0, 4, 200)))
    assert none.gained <= none.lost + 5


def test_a_table_of_renaming_is_one_to_one_and_nearly_always_right():
    old = np.array([0, 1, 2, 3] * 25)
    assert renaming_of(old, (old + 1) % 4) == {0: 1, 1: 2, 2: 3, 3: 0}
    assert renaming_of(old, old) == {}
    assert renaming_of(old, np.minimum(old, 2)) == {}  # two names for one
    assert renaming_of(old, rng.permutation(old)) == {}
    assert renaming_of(np.zeros(0, np.int64), np.zeros(0, np.int64)) == {}
