"""Classes come from the training documents and have one order."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from hierdoc.corpus.labels import UNSEEN, label_ids, order_labels, rare_and_unseen
from hierdoc.errors import HierdocError


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["b", "a", "b"], ["a", "b"]),
        (["10", "9", "2"], ["2", "9", "10"]),
        (["10", "9", "x"], ["10", "9", "x"]),
        (["1.5", "-3", "1e1"], ["-3", "1.5", "1e1"]),
        (["1.0", "1", "01"], ["01", "1", "1.0"]),
        (["True", "False"], ["False", "True"]),
        (["B", "a", "", " "], ["", " ", "B", "a"]),
        (["é", "z", "中"], ["z", "é", "中"]),
    ],
)
def test_labels_are_in_order_of_number_when_all_are_numbers_else_of_name(labels: list[str], order: list[str]):
    for shuffled in itertools.permutations(labels):
        assert order_labels(shuffled) == order


def test_a_label_that_is_not_a_number_to_sort_by_puts_all_in_order_of_name():
    # float("nan") is a float, but neither less nor greater than another: the order would be that of a set
    labels = ["nan", "NaN", "30", "4", "200", "1", "7", "50", "6"]
    assert order_labels(labels) == ["1", "200", "30", "4", "50", "6", "7", "NaN", "nan"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "the training documents must have at least two classes, but have 0 instead"),
        (["a", "a"], "the training documents must have at least two classes, but have 1 instead: 'a'"),
    ],
)
def test_fewer_than_two_classes_are_refused(labels: list[str], message: str):
    with pytest.raises(HierdocError) as error:
        order_labels(labels)
    assert str(error.value) == message


def test_label_ids_are_places_in_the_order_and_unseen_labels_have_their_own():
    ids = label_ids(["b", "a", "zebra", "b"], ["a", "b"])
    assert ids.tolist() == [1, 0, UNSEEN, 1] == [1, 0, -1, 1]
    assert ids.dtype == np.int32 and label_ids([], ["a"]).shape == (0,)


def test_rare_and_unseen_classes_are_counted_without_excluded_documents():
    labels = ["a", "a", "a", "b", "b", "b", "c", "d", "d", "d"]
    splits = ["train", "dev", "test", "train", "test", "excluded", "train", "test", "dev", "excluded"]
    rare, unseen = rare_and_unseen(labels, splits, ["a", "b", "c"])
    assert rare == {"b": 2, "c": 1} and unseen == {"d": 2}
    rare, unseen = rare_and_unseen(labels, splits, ["a", "b", "c"], fewest=2)
    assert rare == {"c": 1}
    assert rare_and_unseen(["x"], ["excluded"], ["a"], fewest=1) == ({"a": 0}, {})
