"""Figures of answers with any number of labels, beside scikit-learn's and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn import metrics

from hierdoc.evaluation import baselines
from hierdoc.evaluation.multi_label import multi_label_scores
from hierdoc.evaluation.truth import Truth
from hierdoc.sequences.grouping import DocumentVectors

RNG = np.random.default_rng(0)
TRUTH = RNG.random((50, 6)) < [0.5, 0.3, 0.2, 0.1, 0.05, 0.0]
TRUTH[:3] = False  # documents without a label
PROBS = np.clip(TRUTH * 0.4 + RNG.random((50, 6)) * 0.6, 0.01, 0.99)
GIVEN = PROBS >= 0.5
CHUNKS = RNG.integers(1, 20, 50)
LABELS = list("abcdef")
NONE = np.zeros(50, int)


def test_the_figures_are_scikit_learns():
    found = multi_label_scores(TRUTH, GIVEN, PROBS, CHUNKS, LABELS, NONE)
    assert found["document_micro_f1"] == pytest.approx(metrics.f1_score(TRUTH, GIVEN, average="micro"))
    assert found["micro_precision"] == pytest.approx(metrics.precision_score(TRUTH, GIVEN, average="micro"))
    assert found["micro_recall"] == pytest.approx(metrics.recall_score(TRUTH, GIVEN, average="micro"))
    present = (TRUTH | GIVEN).any(axis=0)
    macro = metrics.f1_score(TRUTH[:, present], GIVEN[:, present], average="macro", zero_division=0)
    assert found["document_macro_f1"] == pytest.approx(macro)
    assert found["document_f1"] == pytest.approx(metrics.f1_score(TRUTH, GIVEN, average="samples", zero_division=1))
    assert found["exact_match"] == pytest.approx(metrics.accuracy_score(TRUTH, GIVEN))
    tells = TRUTH.any(axis=1)
    wanted = metrics.label_ranking_average_precision_score(TRUTH[tells], PROBS[tells])
    assert found["ranking_precision"] == pytest.approx(wanted)
    assert found["ranking_loss"] == pytest.approx(metrics.label_ranking_loss(TRUTH[tells], PROBS[tells]))
    assert found["log_loss"] == pytest.approx(
        sum(metrics.log_loss(TRUTH[:, at], PROBS[:, at], labels=[False, True]) for at in range(6)), rel=1e-9
    )
    assert found["num_without_label"] == int((~tells).sum()) >= 3
    assert sum(row["num_documents"] for row in found["f1_by_chunks"]) == 50
    assert found["per_class"]["a"]["f1"] == pytest.approx(metrics.f1_score(TRUTH[:, 0], GIVEN[:, 0]))


def test_a_label_that_train_never_saw_is_missed():
    one = np.array([[True, False]])
    found = multi_label_scores(one, one, one.astype(float), np.array([1]), ["a", "b"], np.array([1]), 1)
    assert found["document_macro_f1"] == 0.5
    assert found["document_micro_f1"] == pytest.approx(2 / 3) == found["document_f1"]
    assert found["micro_recall"] == 0.5 and found["micro_precision"] == 1
    assert found["exact_match"] == 0 and found["num_unseen_labels"] == 1


def test_scores_without_probabilities_say_nothing_of_ranking_and_calibration():
    found = multi_label_scores(TRUTH, GIVEN, np.full(TRUTH.shape, np.nan), CHUNKS, LABELS, NONE)
    assert not {"ranking_precision", "ranking_loss", "log_loss", "expected_calibration_error"} & found.keys()


def test_truth_of_lists_is_judged_by_its_micro_f1_and_of_classes_by_accuracy():
    lists = Truth(np.array([[True, True], [False, False]]), [("a", "b", "new"), ()], ["a", "b"])
    answers = np.array([[True, False], [False, True]])
    assert lists.measure == "micro_f1" and lists.judge(answers) == pytest.approx(2 / (3 + 2))
    assert lists.judge(answers, np.array([True, False])) == pytest.approx(2 / (3 + 1))
    assert lists.scores(answers, answers.astype(float), np.array([1, 1]))["num_unseen_labels"] == 1
    classes = Truth(np.array([0, 1, -1]), ["a", "b", "new"], ["a", "b"])
    assert classes.measure == "accuracy" and classes.judge(np.array([0, 0, 0])) == pytest.approx(1 / 3)


def documents(probs: list[list[float]], lengths: list[int]) -> DocumentVectors:
    """Documents whose chunks have these probabilities, and the same for vectors."""
    array = np.float32(probs)
    return DocumentVectors(
        [str(at) for at in range(len(lengths))], array, array, np.concatenate([[0], np.cumsum(lengths)])
    )


def material(truth: list[list[int]], texts: list[str], probs: list[list[float]]) -> baselines.Material:
    lengths = [len(probs) // len(truth)] * len(truth)
    return baselines.Material(np.array(truth, bool), texts, documents(probs, lengths))


@pytest.mark.parametrize(
    ("rule", "wanted", "given"),
    [
        # of dev's documents one has the first label, another the second: one threshold for both, midway between scores
        ("average", [0.5, 0.3], [True, True]),  # dev 0.85, 0.1 and 0.075, 0.3: from 0.2 on
        ("max", [0.9, 0.4], [True, True]),  # 0.9, 0.1 and 0.1, 0.3: from 0.2 on
        ("vote", [0.5, 0], [True, False]),  # 1, 0 and 0, 0: from 0.5 or from 0 on with the same F1, so 0.5
        ("last_chunk", [0.1, 0.4], [False, True]),  # 0.8, 0.1 and 0.1, 0.3: from 0.2 on
    ],
)
def test_a_rule_answers_by_thresholds_of_dev(rule: str, wanted: list[float], given: list[bool]):
    held_out = material([[1, 0]], ["x"], [[0.9, 0.2], [0.1, 0.4]])
    dev = material([[1, 0], [0, 1]], ["x", "y"], [[0.9, 0.1], [0.8, 0.1], [0.05, 0.3], [0.1, 0.3]])
    train = material([[1, 0], [0, 1]], ["x", "y"], [[0.9, 0.1], [0.1, 0.9]])
    found = baselines.answer(rule, train, dev, held_out, 2)
    np.testing.assert_allclose(found.probs, [wanted], rtol=1e-6)
    assert found.label_ids.dtype == bool and found.label_ids.tolist() == [given]


@pytest.mark.parametrize("baseline", ["tfidf_svm", "tfidf_logistic", "mean_logistic", "majority"])
def test_every_baseline_gives_each_label_by_itself(baseline: str):
    kinds = [([1, 0, 0], "cat sat"), ([0, 1, 0], "dog ran"), ([1, 1, 0], "cat dog"), ([0, 0, 0], "sea ice")]
    truth, texts = [kind for kind, _ in kinds] * 6, [text for _, text in kinds] * 6
    vectors = [[kind[0] + 0.01 * at, kind[1], 1.0] for at, kind in enumerate(truth)]
    train = material(truth, texts, vectors)
    found = baselines.answer(baseline, train, train, train, 3)
    if baseline == "majority":
        np.testing.assert_allclose(found.probs[0], [0.5, 0.5, 0])
    else:
        np.testing.assert_array_equal(found.label_ids, train.label_ids)
    assert np.isnan(found.probs).all() == (baseline == "tfidf_svm")
    assert math.isnan(found.probs[0, 0]) or (found.probs[:, 2] == 0).all()  # no training document has it


@pytest.mark.parametrize("baseline", ["tfidf_svm", "tfidf_logistic"])
def test_without_words_the_most_frequent_labels_are_given(baseline: str):
    """And not every label to everyone, as thresholds for each would have it."""
    truth = [[1, 0]] * 9 + [[0, 1]]
    train = material(truth, ["!"] * 10, [[1.0]] * 10)
    found = baselines.answer(baseline, train, train, train, 2)
    assert found.label_ids.tolist() == [[True, False]] * 10


def test_the_most_frequent_labels_are_those_from_a_share_on_that_dev_decides():
    rng = np.random.default_rng(0)
    shares = np.array([0.4, 0.2] + [0.03] * 30)
    train, dev = (baselines.Material(rng.random((2000, 32)) < shares) for _ in range(2))
    found = baselines.answer("majority", train, dev, dev, 32)
    assert found.label_ids[0].tolist() == [True, True] + [False] * 30 and (found.label_ids == found.label_ids[0]).all()


@pytest.mark.parametrize("baseline", ["tfidf_logistic", "mean_logistic"])
@pytest.mark.parametrize("kinds", [[[1, 1], [1, 0]], [[1, 0], [1, 0]]], ids=["one varies", "none varies"])
def test_a_label_that_all_training_documents_have_needs_no_regression(baseline: str, kinds: list[list[int]]):
    texts = ["cat sat", "dog ran"] * 6
    train = material(kinds * 6, texts, [[kind[1], 1.0] for kind in kinds] * 6)
    found = baselines.answer(baseline, train, train, train, 2)
    assert (found.probs[:, 0] == 1).all() and found.label_ids.tolist() == (np.array(kinds * 6) == 1).tolist()
