"""Arms over seeds, against the baseline, by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from results_by_hand import three_arms, write

from hierdoc.comparison.results import read_results
from hierdoc.comparison.summary import mean_and_spread, summarise
from hierdoc.errors import HierdocError

ARMS = ["lstm", "average", "svm"]
SELECTION = {"letters": {"chosen": "lstm", "mean_dev_accuracy": {"lstm": 0.8, "average": 0.7}}}


def summary_of(folder: Path, baseline: str = "svm", selection: dict = SELECTION):
    (found,) = summarise(three_arms(folder), ARMS, ["letters"], baseline, selection)
    return found


def test_hits_are_shares_of_seeds_and_accuracies_are_for_each_seed(tmp_path: Path):
    lstm, average, svm = summary_of(tmp_path).arms
    # truth aabbbc; seed 0 says aabbcc, seed 1 says abbbcc
    assert lstm.hits.tolist() == [1, 0.5, 1, 1, 0, 1] and lstm.seeds == [0, 1]
    np.testing.assert_allclose(lstm.accuracy(), [5 / 6, 4 / 6])
    np.testing.assert_allclose(average.accuracy(), [3 / 6])
    np.testing.assert_allclose(lstm.accuracy(np.array([0, 1, 0, 0, 1, 0], bool)), [0.5, 0])
    assert svm.values("log_loss") == [] and len(lstm.values("log_loss")) == 2


def test_a_difference_is_paired_by_document_and_tested_seed_by_seed(tmp_path: Path):
    summary = summary_of(tmp_path)
    difference = summary.difference(summary.arms[0])
    # svm says abab cb: right on d0 and d3
    assert difference.interval.estimate == pytest.approx(np.mean([0, 0.5, 1, 0, 0, 1]))
    assert [(test.only_first, test.only_second) for test in difference.tests] == [(3, 0), (2, 0)]
    assert [test.p_value for test in difference.tests] == pytest.approx([2 * 0.5**3, 2 * 0.5**2])


def test_a_seed_is_tested_against_the_baselines_same_seed(tmp_path: Path):
    write(tmp_path, "average", list("aabbbc"), seed=1)
    summary = summary_of(tmp_path, baseline="average")
    tests = summary.difference(summary.arms[0]).tests
    # seed 0 of the average: aabccb, of the lstm: aabbcc; seed 1: all right against abbbcc
    assert [(test.only_first, test.only_second) for test in tests] == [(2, 0), (0, 2)]


def test_bins_and_long_documents_are_by_the_baselines_chunks(tmp_path: Path):
    summary = summary_of(tmp_path)
    assert [(name, np.flatnonzero(members).tolist()) for name, members in summary.by_chunks()] == [
        ("1", [0, 4]), ("2-3", [1]), ("4-7", [2, 3]), ("16+", [5]),
    ]  # fmt: skip
    assert np.flatnonzero(summary.long).tolist() == [2, 3, 5]
    estimate = summary.difference(summary.arms[0], summary.long).interval.estimate
    assert estimate == pytest.approx(np.mean([1, 0, 1]))


def test_what_dev_prefers_is_featured_and_later_arms_are_named(tmp_path: Path):
    summary = summary_of(tmp_path)
    assert summary.featured.name == summary.chosen.name == "lstm" and summary.late == ["svm"]
    without = summary_of(tmp_path, selection={})
    assert without.chosen is None and without.featured.name == "lstm" and without.late == []


def test_what_config_does_not_name_and_a_missing_baseline_are_refused(tmp_path: Path):
    results = three_arms(tmp_path)
    with pytest.raises(HierdocError, match="average.seed-0.json: is of arm 'average', which config.yaml does not name"):
        summarise(results, ["lstm", "svm"], ["letters"], "svm", {})
    with pytest.raises(HierdocError, match="is of dataset 'letters'"):
        summarise(results, ARMS, ["mail"], "svm", {})
    (tmp_path / "results/letters.svm.seed-0.json").unlink()
    with pytest.raises(HierdocError, match="letters has no result of the baseline 'svm'"):
        summarise(read_results(tmp_path), ARMS, ["letters"], "svm", {})


def test_datasets_come_in_the_order_of_the_config_and_only_those_with_results(tmp_path: Path):
    three_arms(tmp_path)
    write(tmp_path, "svm", list("aabbcc"), dataset="mail")
    found = summarise(read_results(tmp_path), ARMS, ["mail", "none", "letters"], "svm", {})
    assert [summary.name for summary in found] == ["mail", "letters"]


def test_a_mean_has_its_spread_and_number():
    assert mean_and_spread([0.8, 0.9]) == "0.850 ± 0.071 (2)"  # the root of 2 · 0.05² / 1
    assert mean_and_spread([0.8371]) == "0.837 (1)"
