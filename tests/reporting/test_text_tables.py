"""Readable tables of numbers for a terminal."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest

from hierdoc.reporting.tables import metrics_text, preview, text_table


def test_the_first_column_stands_left_and_the_numbers_right():
    found = text_table(["class", "f1", "documents"], [["a", 0.5, 12], ["longer name", 1.0, 3]])
    assert found == (
        "class           f1  documents\n"
        "-----------  -----  ---------\n"
        "a            0.500         12\n"
        "longer name  1.000          3"
    )


def test_a_table_without_rows_is_its_header():
    assert text_table(["class", "f1"], []) == "class  f1\n-----  --"


def test_floats_are_rounded_to_3_decimals():
    assert text_table(["x", "y"], [["a", 0.12351], ["b", 0.9996]]).splitlines()[2:] == ["a  0.124", "b  1.000"]


METRICS = {
    "head": "lstm",
    "split": "test",
    "document_accuracy": 0.911,
    "document_macro_f1": 0.822,
    "chunk_accuracy": 0.733,
    "average_accuracy": 0.644,
    "first_chunk_accuracy": 0.555,
    "tfidf_svm_accuracy": 0.466,
    "majority_accuracy": 0.377,
    "num_documents": 1234,
    "num_chunks": 56789,
    "labels": ["cats", "dogs"],
    "per_class": {
        "cats": {"precision": 0.101, "recall": 0.202, "f1": 0.303, "num_documents": 777},
        "dogs": {"precision": 0.404, "recall": 0.505, "f1": 0.606, "num_documents": 457},
    },
    "confusion_matrix": [[1, 2], [3, 4]],
    "accuracy_by_chunks": [
        {"chunks": "1", "num_documents": 1000, "accuracy": 0.707},
        {"chunks": "16+", "num_documents": 234, "accuracy": 0.808},
    ],
}


def test_evaluates_text_holds_every_number_beside_its_name():
    lines = metrics_text(METRICS).splitlines()
    for words in (
        ["test", "1234", "documents"],
        ["lstm", "0.911"],
        ["average", "0.644"],
        ["first chunk", "0.555"],
        ["TF-IDF", "0.466"],
        ["majority", "0.377"],
        ["single chunks", "0.733", "56789"],
        ["macro F1", "0.822"],
        ["cats", "0.101", "0.202", "0.303", "777"],
        ["dogs", "0.404", "0.505", "0.606", "457"],
    ):
        assert any(all(word in line for word in words) for line in lines), words
    assert any(line.split() == ["1", "1000", "0.707"] for line in lines)
    assert any(line.split() == ["16+", "234", "0.808"] for line in lines)


def test_what_is_left_without_near_duplicates_is_said_where_there_are_any():
    assert "near-duplicate" not in metrics_text(METRICS)
    accuracies = {"document": 0.911, "average": 0.622, "tfidf_svm": 0.455}
    without = {f"{name}_accuracy_without_near_duplicates": value for name, value in accuracies.items()}
    assert (
        "12 are near-duplicates of training documents; accuracy without: lstm over the chunk vectors 0.911, "
        "average of chunk probabilities 0.622, TF-IDF + linear SVM 0.455\n"
    ) in metrics_text({**METRICS, "num_near_duplicates_of_train": 12, **without})
    assert "1 is a near-duplicate of a training document; accuracy without: none are left\n" in metrics_text(
        {**METRICS, "num_near_duplicates_of_train": 1}
    )


@pytest.mark.parametrize(
    ("words", "said"), [(False, "lstm over the chunk vectors  "), (True, "lstm over the chunk vectors, and words  ")]
)
def test_a_head_that_is_joined_with_words_says_so(words: bool, said: str):
    assert said in metrics_text({**METRICS, "words": words})


def test_precision_recall_and_f1_stand_under_their_names():
    lines = metrics_text(METRICS).splitlines()
    (at,) = (at for at, line in enumerate(lines) if line.startswith("class"))
    names, numbers = lines[at].split(), lines[at + 2].split()
    assert dict(zip(names, numbers, strict=True)) == {
        "class": "cats", "precision": "0.101", "recall": "0.202", "f1": "0.303", "documents": "777"
    }  # fmt: skip
    ends = [match.end() for match in re.finditer(r"\S+", lines[at])]
    assert ends[1:] == [match.end() for match in re.finditer(r"\S+", lines[at + 2])][1:]


def test_the_preview_shows_the_first_documents_with_their_three_most_probable_classes():
    table = pa.table(
        {
            "doc_id": ["x1", "x2", "x3"],
            "label": ["d", "a", "b"],
            "probability": [0.5, 0.75, 0.5],
            "num_chunks": [3, 1, 12],
            "probability:a": [0.125, 0.75, 0.25],
            "probability:b": [0.0625, 0.125, 0.5],
            "probability:c": [0.3125, 0.0, 0.25],
            "probability:d": [0.5, 0.125, 0.0],
        }
    )
    assert preview(table.slice(0, 2)) == (
        "document  label  chunks              probabilities\n"
        "--------  -----  ------  -------------------------\n"
        "x1            d       3  d 0.500, c 0.312, a 0.125\n"
        "x2            a       1  a 0.750, b 0.125, d 0.125"
    )


def test_what_a_terminal_would_act_on_is_shown_as_an_escape_and_long_cells_are_cut():
    shown = text_table(["id"], [["a\n\x1b[31mb"], ["x" * 100]]).split("\n")
    assert shown[2] == "a\\n\\x1b[31mb"
    assert shown[3] == "x" * 79 + "…"
