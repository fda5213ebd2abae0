"""Classes come from the training documents and have one order."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from hierdoc.corpus.labels import (
    UNSEEN,
    check_dev_labels,
    check_labels,
    label_ids,
    order_labels,
    rare_and_unseen,
    shown,
)
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
        assert order_labels(shuffled, "d.csv") == order


def test_a_label_that_is_not_a_number_to_sort_by_puts_all_in_order_of_name():
    # float("nan") is a float, but neither less nor greater than another: the order would be that of a set
    labels = ["nan", "NaN", "30", "4", "200", "1", "7", "50", "6"]
    assert order_labels(labels, "d.csv") == ["1", "200", "30", "4", "50", "6", "7", "NaN", "nan"]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([], "d.csv: the training documents must have at least two classes, but have 0 instead"),
        (["a", "a"], "d.csv: the training documents must have at least two classes, but have 1 instead: 'a'"),
    ],
)
def test_fewer_than_two_classes_are_refused(labels: list[str], message: str):
    with pytest.raises(HierdocError) as error:
        order_labels(labels, "d.csv")
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
    assert rare_and_unseen(["x"], ["excluded"], ["a"]) == ({"a": 0}, {})


def test_a_long_label_is_cut_in_messages():
    assert shown("x" * 60) == "'" + "x" * 60 + "'"
    assert shown("x" * 61) == "'" + "x" * 59 + "…'"
    assert shown("a\nb") == "'a\\nb'"
    with pytest.raises(HierdocError) as error:
        order_labels(["y" * 1000], "d.csv")
    assert str(error.value).endswith(" but have 1 instead: '" + "y" * 59 + "…'")


def test_rare_and_unseen_classes_are_warned_about_by_name_and_kept(capsys: pytest.CaptureFixture[str]):
    labels = ["a"] * 3 + ["b"] * 3 + ["new"] * 2 + ["rare"] * 2
    splits = ["train", "dev", "test"] * 2 + ["test", "dev"] + ["train", "test"]
    assert check_labels(labels, splits, "d.csv") == {
        "labels": ["a", "b", "rare"], "rare_classes": {"rare": 2}, "unseen_classes": {"new": 2},
    }  # fmt: skip
    assert capsys.readouterr().err == (
        "warning: 1 classes have fewer than 3 documents: 'rare'\n"
        "warning: 2 documents are of classes that train never saw, and count as wrong: 'new'\n"
    )


def test_a_warning_names_five_classes_shortly_and_counts_the_others(capsys: pytest.CaptureFixture[str]):
    labels = [f"{n}" + "z" * 100 for n in range(8)]
    check_labels(labels, ["train"] * 8, "d.csv")
    named = ", ".join(f"'{n}" + "z" * 58 + "…'" for n in range(5))
    assert capsys.readouterr().err == f"warning: 8 classes have fewer than 3 documents: {named} and 3 more\n"


def test_a_dev_split_without_any_class_of_train_is_said(capsys: pytest.CaptureFixture[str]):
    labels = ["a"] * 3 + ["b"] * 3 + ["x", "y", "x"]
    check_labels(labels, ["train"] * 6 + ["dev"] * 3, "d.csv")
    assert capsys.readouterr().err.splitlines()[-1] == (
        "warning: the 3 documents of dev are all of classes that train never saw, so that no epoch can be chosen on "
        "them: 'x', 'y'"
    )
    check_labels([*labels, "a"], ["train"] * 6 + ["dev"] * 4, "d.csv")
    assert "no epoch" not in capsys.readouterr().err


def test_dev_ids_that_are_all_unseen_are_refused():
    for fine in ([], [0], [UNSEEN, 2, UNSEEN]):
        check_dev_labels(np.asarray(fine, np.int32), Path("r/chunk"))
    with pytest.raises(HierdocError) as error:
        check_dev_labels(np.asarray([UNSEEN, UNSEEN], np.int32), Path("r/chunk"))
    assert str(error.value) == (
        "r/chunk: the documents of dev are all of classes that train never saw, so that no epoch can be chosen on them"
    )
