"""Documents with any number of labels, before they are cut: columns of a matrix, strata, counts and warnings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hierdoc.corpus.documents import Columns, read_documents
from hierdoc.corpus.finding import find_sources
from hierdoc.corpus.labels import check_dev_labels, check_labels, label_matrix, shown, strata
from hierdoc.corpus.split_documents import split_documents
from hierdoc.errors import HierdocError


def test_a_matrix_has_a_column_for_each_label_that_train_knows():
    found = label_matrix([("a", "c"), (), ("new", "b")], ["a", "b", "c"])
    assert found.dtype == bool and found.tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_a_document_is_dealt_by_its_rarest_label_and_by_name_where_two_are_as_rare():
    labels = [("a", "b"), ("a",), ("b", "c"), ("c", "d", "a"), (), ("d", "c")]
    assert strata(labels) == ["b", "a", "b", "d", "", "d"]
    assert strata(["x", "y"]) == ["x", "y"]  # one label each is dealt by it


def test_lists_are_counted_and_what_is_odd_about_them_is_said(capsys):
    labels = [("a", "b"), ("a",), (), ("b",), ("new", "a"), ("b",)]
    found = check_labels(labels, ["train", "train", "train", "train", "test", "dev"], "d.csv")
    assert found["labels"] == ["a", "b"] and found["unseen_classes"] == {"new": 1}
    assert found["num_without_label"] == 1 and found["mean_labels"] == round(7 / 6, 4)
    said = capsys.readouterr().err
    assert "1 of 6 documents have no label" in said and "1 labels of documents are some that train never saw" in said


def test_dev_must_have_a_label_that_train_knows(capsys):
    check_labels([("a", "b"), ("b",), ("new",)], ["train", "train", "dev"], "d.csv")
    assert "of dev are all of classes that train never saw" in capsys.readouterr().err
    with pytest.raises(HierdocError, match="no epoch can be chosen"):
        check_dev_labels(np.zeros((2, 3), bool), Path("r/chunk"))
    check_dev_labels(np.array([[False, False], [False, True]]), Path("r/chunk"))


def test_train_must_have_two_labels():
    with pytest.raises(HierdocError, match="at least two classes, but have 1 instead: 'a'"):
        check_labels([("a",), ("a",), ()], ["train"] * 3, "d.csv")


def test_near_duplicates_with_the_same_labels_in_another_order_do_not_conflict(capsys):
    text = " ".join(f"word{number}" for number in range(60))
    frame = pd.DataFrame({"text": [text, text, "x y z", text], "label": [["a", "b"], ["b", "a"], ["a"], ["b"]]})
    documents = read_documents(find_sources(frame, None, None, "utf-8"), Columns(label="label"), "|")
    decided = split_documents(documents, (0.5, 0.25, 0.25), 0)
    assert decided.num_conflicting == 1 and len(set(decided.split_of[at] for at in (0, 1, 3))) == 1
    assert "'1' is 'a', 'b', '2' is 'b', 'a'" in capsys.readouterr().err


def test_several_labels_are_shown_one_after_the_other():
    assert shown(("a", "b")) == "'a', 'b'" and shown(()) == "without a label"
