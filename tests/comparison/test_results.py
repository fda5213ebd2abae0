"""A result is what its predictions give, and nothing else is read."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pyarrow as pa
import pytest
from results_by_hand import facts, predictions, three_arms, write

from hierdoc.comparison.results import metrics_of, read_results, write_result
from hierdoc.errors import HierdocError
from hierdoc.stages import files, tables


def test_the_metrics_are_of_all_parts_together():
    found = metrics_of(predictions(["a", "a", "b", "c", "c", "c"]))
    assert found["document_accuracy"] == pytest.approx(4 / 6) and found["num_documents"] == 6
    assert found["labels"] == ["a", "b", "c"] and found["confusion_matrix"] == [[2, 0, 0], [0, 1, 2], [0, 0, 1]]
    assert found["log_loss"] == pytest.approx(-(4 * math.log(0.8) + 2 * math.log(0.2)) / 6, rel=1e-6)
    assert found["expected_calibration_error"] == pytest.approx(0.8 - 4 / 6, abs=1e-6)
    # F1: a 1, b 2·1/(3+1), c 2·1/(1+3)
    assert found["document_macro_f1"] == pytest.approx((1 + 0.5 + 0.5) / 3)


def test_a_class_that_was_only_answered_counts_against_macro_f1():
    assert metrics_of(predictions(["a", "a", "b", "b", "z", "c"]))["document_macro_f1"] == pytest.approx(
        (1 + 0.8 + 1 + 0) / 4
    )


def test_without_probabilities_nothing_is_said_of_calibration():
    assert "log_loss" not in metrics_of(predictions(["a"] * 6, probability=None))


def test_a_result_comes_back_sorted_whatever_the_order_of_its_rows(tmp_path: Path):
    shuffled = predictions(list("aabbcc")).take(pa.array([3, 0, 5, 1, 4, 2]))
    path = tmp_path / "results" / "letters.lstm.seed-0.json"
    write_result(path, facts("lstm"), shuffled)
    (found,) = read_results(tmp_path)
    assert found.predictions["doc_id"].to_pylist() == [f"d{at}" for at in range(6)]
    assert found.correct.tolist() == [True, True, True, True, False, True]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda metrics: metrics.update(document_accuracy=0.95), "says document_accuracy 0.95, but .* give 0.83"),
        (lambda metrics: metrics.update(log_loss=metrics["log_loss"] + 1e-6), "says log_loss"),
        (lambda metrics: metrics.update(document_macro_f1=math.nan), "says document_macro_f1 nan"),
        (lambda metrics: metrics.update(num_documents=999), "says num_documents 999, but its predictions give 6"),
        (lambda metrics: metrics["per_class"]["c"].update(f1=1.0), "says per_class"),
        (lambda metrics: metrics.pop("log_loss"), "says log_loss nothing, but its predictions give"),
        (lambda metrics: metrics.update(award=1), "says award 1, but its predictions give nothing"),
    ],
)
def test_a_figure_that_the_predictions_do_not_give_is_refused(change, said: str, tmp_path: Path):
    path = write(tmp_path, "lstm", list("aabbcc"))
    content = json.loads(path.read_text())
    change(content["metrics"])
    path.write_text(json.dumps(content))
    with pytest.raises(HierdocError, match=f"seed-0.json: {said}"):
        read_results(tmp_path)


def test_a_result_under_another_name_is_refused(tmp_path: Path):
    path = write(tmp_path, "lstm", list("aabbcc"))
    copied = path.with_name("letters.lstm.seed-7.json")
    copied.write_text(path.read_text())
    with pytest.raises(HierdocError, match="seed-7.json: is the result of letters.lstm.seed-0.json under another name"):
        read_results(tmp_path)


def test_a_document_in_the_test_of_two_folds_is_refused(tmp_path: Path):
    table = predictions(list("aabbcc"), doc_id=["d0", "d1", "d2", "d0", "d4", "d5"])
    write_result(tmp_path / "results/letters.lstm.seed-0.json", facts("lstm"), table)
    with pytest.raises(HierdocError, match="seed-0.parquet: document 'd0' is in it twice"):
        read_results(tmp_path)


def test_predictions_that_have_changed_or_are_missing_are_refused(tmp_path: Path):
    path = write(tmp_path, "lstm", list("aabbcc"))
    table = path.with_suffix(".parquet")
    tables.write_table(table, predictions(list("aabbbc")))
    with pytest.raises(HierdocError, match=r"seed-0.parquet: the predictions of letters.lstm.seed-0.json have changed"):
        read_results(tmp_path)
    table.unlink()
    with pytest.raises(HierdocError, match="are missing since they were made"):
        read_results(tmp_path)


def test_predictions_of_other_columns_are_refused(tmp_path: Path):
    path = write(tmp_path, "lstm", list("aabbcc"))
    table = path.with_suffix(".parquet")
    tables.write_table(table, predictions(list("aabbcc")).drop_columns(["part"]))
    content = json.loads(path.read_text())
    content["predictions"]["sha256"] = files.sha256_of(table)
    path.write_text(json.dumps(content))
    with pytest.raises(HierdocError, match="must have the columns doc_id, part"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ({"splits": [{"file": "fold-1.csv", "sha256": "9" * 64}]}, "its splits differ"),
        ({"data_sha256": ["e" * 64]}, "its data_sha256 differ"),
    ],
)
def test_results_of_other_splits_or_data_are_not_compared(others: dict, said: str, tmp_path: Path):
    write(tmp_path, "average", list("aabbcc"))
    write(tmp_path, "lstm", list("aabbcc"), **others)
    with pytest.raises(HierdocError) as refused:
        read_results(tmp_path)
    assert str(refused.value).endswith(
        f"letters.lstm.seed-0.json: can't be compared with letters.average.seed-0.json: {said}"
    )


@pytest.mark.parametrize(("column", "values"), [("doc_id", list("uvwxyz")), ("true_label", list("aaabbc"))])
def test_results_of_other_documents_are_not_compared(column: str, values: list[str], tmp_path: Path):
    write(tmp_path, "average", list("aabbcc"))
    path = tmp_path / "results" / "letters.lstm.seed-0.json"
    write_result(path, facts("lstm"), predictions(list("aabbcc"), **{column: values}))
    with pytest.raises(HierdocError, match=f"the {column}s of its predictions differ"):
        read_results(tmp_path)


def test_other_data_sets_may_have_other_splits(tmp_path: Path):
    write(tmp_path, "lstm", list("aabbcc"))
    write(tmp_path, "lstm", list("aabbcc"), dataset="mail", splits=[{"file": "s.csv", "sha256": "3" * 64}])
    assert len(read_results(tmp_path)) == 2


def test_no_results_and_another_format_are_told(tmp_path: Path):
    with pytest.raises(HierdocError, match="holds no results; make them with: python -m hierdoc.experiment"):
        read_results(tmp_path)
    path = write(tmp_path, "lstm", list("aabbcc"))
    path.write_text('{"format": 2}')
    with pytest.raises(HierdocError, match="`format` must be 1, but is 2 instead"):
        read_results(tmp_path)
    path.write_text('{"format": 1, "dataset": "letters"}')
    with pytest.raises(HierdocError, match="letters.lstm.seed-0.json: must have a key `arm`"):
        read_results(tmp_path)


def test_three_arms_are_read_by_name(tmp_path: Path):
    names = [result.path.name for result in three_arms(tmp_path)]
    assert names == [f"letters.{name}.json" for name in ("average.seed-0", "lstm.seed-0", "lstm.seed-1", "svm.seed-0")]
