"""What a document classifier has to beat, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc.errors import HierdocError
from hierdoc.evaluation import baselines
from hierdoc.evaluation.baselines import BASELINES, RULES, Material, answer
from hierdoc.sequences.grouping import DocumentVectors

# Documents of 3, 1 and 2 chunks; the first chunk, the majority of chunks and the average name different classes.
PROBS = np.float32(
    [
        [0.9, 0.1, 0.0],
        [0.0, 0.3, 0.7],
        [0.0, 0.4, 0.6],
        [0.2, 0.5, 0.3],
        [0.6, 0.4, 0.0],
        [0.0, 0.5, 0.5],
    ]
)
DOCUMENTS = DocumentVectors(["a", "b", "c"], np.zeros((6, 2), np.float32), PROBS, np.array([0, 3, 4, 6]))


def test_the_average_is_over_each_documents_own_chunks():
    found = RULES["average"](DOCUMENTS)
    wanted = [[0.9 / 3, 0.8 / 3, 1.3 / 3], [0.2, 0.5, 0.3], [0.3, 0.45, 0.25]]
    np.testing.assert_allclose(found, wanted, atol=1e-7)  # the probabilities typed above are rounded to float32
    assert found.argmax(axis=1).tolist() == [2, 1, 1]


def test_the_first_and_the_last_chunk_are_each_documents_own():
    np.testing.assert_array_equal(RULES["first_chunk"](DOCUMENTS), PROBS[[0, 3, 4]])
    np.testing.assert_array_equal(RULES["last_chunk"](DOCUMENTS), PROBS[[2, 3, 5]])
    np.testing.assert_allclose(
        RULES["first_and_last_chunk"](DOCUMENTS), [[0.45, 0.25, 0.3], [0.2, 0.5, 0.3], [0.3, 0.45, 0.25]], atol=1e-7
    )


def test_the_maximum_is_each_class_highest_and_sums_to_one():
    wanted = np.array([[0.9, 0.4, 0.7], [0.2, 0.5, 0.3], [0.6, 0.5, 0.5]])
    np.testing.assert_allclose(RULES["max"](DOCUMENTS), wanted / wanted.sum(axis=1, keepdims=True), atol=1e-7)


def test_the_vote_counts_chunks_and_the_higher_average_decides_a_tie():
    found = RULES["vote"](DOCUMENTS)
    # the chunks say 0, 2, 2 / 1 / 0 and (0.5, 0.5, the first) 1; the last document's averages are 0.3, 0.45, 0.25
    np.testing.assert_allclose(found, [[1 / 3, 0, 2 / 3], [0, 1, 0], [0.5, 0.5, 0]], atol=2e-6)
    assert found.argmax(axis=1).tolist() == [2, 1, 1]
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_every_rule_gives_a_distribution_for_each_document():
    for name, rule in RULES.items():
        found = rule(DOCUMENTS)
        assert found.shape == (3, 3) and (found >= 0).all(), name
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6, err_msg=name)


def test_the_majority_class_is_the_most_frequent_and_the_first_of_them_on_ties():
    held_out = Material(np.int32([0, 0]))
    for ids, wanted in (([2, 1, 2, 0], 2), ([2, 1, 1, 2, 0], 1)):
        found = answer("majority", Material(np.int32(ids)), held_out, held_out, 4)
        assert found.label_ids.tolist() == [wanted, wanted]
        assert found.probs.tolist() == [[ids.count(label) / len(ids) for label in range(4)]] * 2


TRAIN = ["the cat sat far", "a cat sat", "the dog ran far", "a dog ran", "the fish swam far", "a fish swam"]
LABELS = [0, 0, 1, 1, 2, 2]


def ask(name: str, texts: list[str], train: list[str] = TRAIN, labels: list[int] = LABELS) -> baselines.Answers:
    dev = Material(np.int32([0, 2]), ["cat sat", "fish swam"])
    return answer(name, Material(np.int32(labels), train), dev, Material(np.zeros(len(texts)), texts), 3)


@pytest.mark.parametrize("name", ["tfidf_svm", "tfidf_logistic"])
def test_words_name_the_class_whose_words_a_text_has(name: str):
    assert ask(name, ["fish swam", "sat the cat", "far ran dog dog"]).label_ids.tolist() == [2, 0, 1]


def test_a_word_of_one_training_document_is_not_read_as_long_as_others_are_left():
    train = [TRAIN[0], "a cat sat zebra zebra", *TRAIN[2:]]
    zebra, nothing = ask("tfidf_svm", ["zebra", ""], train).label_ids
    assert zebra == nothing != 0  # read, it would be a sure sign of class 0


def test_where_no_word_stands_in_two_documents_every_word_counts():
    train = ["red rose", "green grass", "blue sky"]
    assert ask("tfidf_svm", ["sky", "rose", "grass"], train, [0, 1, 2]).label_ids.tolist() == [2, 0, 1]


@pytest.mark.parametrize("train", [["", "", ""], ["a", "I", "!"]])
def test_where_the_training_texts_have_no_word_the_majority_class_is_named(train: list[str]):
    """scikit-learn's words have two letters or more."""
    assert ask("tfidf_svm", ["word", ""], train, [0, 1, 1]).label_ids.tolist() == [1, 1]


def test_the_svm_has_no_probabilities_and_the_regression_has_them_for_classes_of_train_only():
    assert np.isnan(ask("tfidf_svm", ["cat"]).probs).all()
    found = ask("tfidf_logistic", ["cat sat", "dog ran"], TRAIN[:4], LABELS[:4])
    np.testing.assert_allclose(found.probs.sum(axis=1), 1)
    assert (found.probs[:, 2] == 0).all() and found.probs.argmax(axis=1).tolist() == [0, 1]


def test_dev_alone_chooses_among_the_models_and_the_first_wins_a_tie():
    """Stand-in classifiers: up to a penalty of 1 they answer 0, above it 1."""

    class Stub:
        def __init__(self, penalty: float):
            self.C = penalty

        def fit(self, features, label_ids):
            return self

        def predict(self, features):
            return np.full(features.shape[0], 1 if self.C > 1 else 0)

    features = [np.zeros((2, 1)), np.zeros((4, 1)), np.zeros((3, 1))]
    train = Material(np.int32([0, 1]))
    for dev_labels, penalty, label in (([1, 1, 1, 0], 3.0, 1), ([0, 0, 1, 0], 0.3, 0), ([0, 1, 0, 1], 0.3, 0)):
        models = [Stub(0.3), Stub(1.0), Stub(3.0), Stub(10.0)]
        found = baselines._by_dev(features, train, Material(np.int32(dev_labels)), 2, models)
        assert found.chosen["penalty"] == penalty and found.label_ids.tolist() == [label] * 3
    assert found.chosen["dev_accuracy"] == 0.5


def test_the_mean_vector_is_each_documents_own_and_order_does_not_matter():
    """Class 0 has a mean below, class 1 above; the number of chunks says nothing."""
    rows = np.float32([[-1], [-3], [-2], [2], [1], [3], [2], [1]])
    train = DocumentVectors(list("abcd"), rows, np.zeros((8, 2), np.float32), np.array([0, 2, 3, 5, 8]))
    held_out = DocumentVectors(
        ["x", "y"], np.float32([[5], [-4], [-3], [1]]), np.zeros((4, 2), np.float32), np.array([0, 3, 4])
    )
    material = Material(np.int32([0, 0, 1, 1]), documents=train)
    found = answer("mean_logistic", material, material, Material(np.int32([0, 1]), documents=held_out), 2)
    # the means are -2, -2, 1.5, 2 and, held out, -2/3 and 1
    assert found.probs[1, 1] > 0.5 > found.probs[0, 1]
    swapped = DocumentVectors(["x", "y"], held_out.vectors[[2, 0, 1, 3]], held_out.probs, held_out.starts)
    again = answer("mean_logistic", material, material, Material(np.int32([0, 1]), documents=swapped), 2)
    np.testing.assert_allclose(again.probs, found.probs, atol=1e-6)


def test_a_baselines_name_is_of_a_rule_or_a_classifier_and_of_no_head():
    from hierdoc.heads import HEADS

    assert not {*RULES} & {*BASELINES} and not {*RULES, *BASELINES} & {*HEADS}
    with pytest.raises(HierdocError, match="`baseline` must be one of average, .*, vote, but is 'mean' instead"):
        baselines.check_baseline("mean")


def test_words_of_dev_are_not_counted():
    train = Material(np.int32([0, 0, 1, 1]), ["the cat sat", "the cat ran", "the dog sat", "the dog zebra ran"])

    def ask(*dev: str) -> np.ndarray:
        dev_material = Material(np.int32([0, 0]), dev)
        return answer("tfidf_logistic", train, dev_material, Material(np.zeros(2, int), ["zebra cat dog", ""]), 2).probs

    # "zebra" stands in one training document only, and would be a word if dev's documents were counted
    np.testing.assert_array_equal(ask("zebra", "zebra cat"), ask("the", "cat"))


def test_vectors_are_standardised_by_train_alone():
    def material(*means: float) -> Material:
        vectors = np.float32(means)[:, None]
        documents = DocumentVectors(
            [str(at) for at in range(len(means))], vectors, np.zeros((len(means), 2)), np.arange(len(means) + 1)
        )
        return Material(np.int32([0, 1] * len(means))[: len(means)], (), documents)

    train = material(0.0, 1.0, 0.1, 0.9)
    alone = answer("mean_logistic", train, material(0.0, 0.0), material(1.0), 2).probs
    beside = answer("mean_logistic", train, material(50.0, 0.0), material(1.0, 99.0), 2).probs
    np.testing.assert_array_equal(alone[0], beside[0])
