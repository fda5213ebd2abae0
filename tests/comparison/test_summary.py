"""Arms over seeds, against the baseline, by hand."""

from __future__ import annotations

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from results_by_hand import ON_DEV, SPLITS, configuration, experiment_of, selection, three_arms, write

from hierdoc.comparison.results import read_results
from hierdoc.comparison.summary import Difference, mean_and_spread, summarise
from hierdoc.errors import HierdocError
from hierdoc.evaluation.significance import Interval, sign_test
from hierdoc.reporting import comparing


def summary_of(folder: Path, baseline: str = "svm", selected: dict | None = None):
    results, experiment = three_arms(folder), experiment_of(folder, baseline=baseline)
    (found,) = summarise(experiment, results, selection() if selected is None else selected)
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


def test_pairs_are_compared_with_each_other_and_left_out_while_one_is_missing(tmp_path: Path):
    experiment = dataclasses.replace(experiment_of(tmp_path), pairs=[("lstm", "average"), ("svm", "lstm")])
    (summary,) = summarise(experiment, three_arms(tmp_path), selection())
    assert [(first.name, second.name) for first, second in summary.pairs] == [("lstm", "average"), ("svm", "lstm")]
    lstm, average = summary.pairs[0]
    difference = summary.difference(lstm, other=average)
    # truth aabbbc; the lstm says aabbcc and abbbcc, the average aabccb
    assert difference.interval.estimate == pytest.approx(np.mean([0, -0.5, 0, 1, 0, 1]))
    assert [(test.only_first, test.only_second) for test in difference.tests] == [(2, 0), (2, 1)]
    without = [result for result in read_results(tmp_path) if result.facts["arm"] != "average"]
    assert [(a.name, b.name) for a, b in summarise(experiment, without, selection())[0].pairs] == [("svm", "lstm")]
    (section,) = comparing.pairs(summary)
    assert section.tables[0].rows[0][:2] == ["lstm", "average"]
    assert section.tables[0].rows[0][2].startswith("+0.250 [") and section.tables[0].rows[0][3].startswith(
        "0.500 (2:0)"
    )
    assert comparing.pairs(summary_of(tmp_path)) == []


def test_bins_and_long_documents_are_by_the_baselines_chunks(tmp_path: Path):
    summary = summary_of(tmp_path)
    assert [(name, np.flatnonzero(members).tolist()) for name, members in summary.by_chunks()] == [
        ("1", [0, 4]), ("2-3", [1]), ("4-7", [2, 3]), ("16+", [5]),
    ]  # fmt: skip
    assert np.flatnonzero(summary.long).tolist() == [2, 3, 5]
    estimate = summary.difference(summary.arms[0], summary.long).interval.estimate
    assert estimate == pytest.approx(np.mean([1, 0, 1]))


def test_few_documents_that_differ_are_not_clear_whatever_the_interval(tmp_path: Path):
    difference = summary_of(tmp_path).difference(summary_of(tmp_path).arms[0])
    # three documents are better and none is worse: 2 / 2³
    assert (
        difference.sign.p_value == pytest.approx(0.25) and difference.interval.excludes_zero and not difference.is_clear
    )
    many = Difference(Interval(0.1, 0.01, 0.2), [], sign_test(np.array([1.0] * 6 + [0.0] * 90)))
    assert many.is_clear and many.sign.p_value == pytest.approx(2 / 2**6)
    assert not Difference(Interval(0.1, -0.01, 0.2), [], many.sign).is_clear


def test_parts_are_the_split_files_tests(tmp_path: Path):
    found = summary_of(tmp_path).by_part()
    assert [(name, np.flatnonzero(members).tolist()) for name, members in found] == [
        ("fold-1", [0, 1, 2]),
        ("fold-2", [3, 4, 5]),
    ]


def test_what_dev_prefers_is_featured_and_later_arms_are_named(tmp_path: Path):
    summary = summary_of(tmp_path)
    assert summary.featured.name == summary.chosen.name == "lstm" and summary.late == ["svm"]
    assert summary.dev == pytest.approx(ON_DEV) and not summary.test_was_read
    without = summary_of(tmp_path, selected={})
    assert without.chosen is None and without.featured.name == "lstm" and without.late == []


def test_an_arm_that_was_changed_or_given_a_seed_after_the_selection_is_late(tmp_path: Path):
    configurations = {name: configuration(name) for name in ("lstm", "average", "svm")}
    assert summary_of(tmp_path, selected=selection(configurations=configurations)).late == []
    changed = {**configurations, "average": {**configurations["average"], "finetune": {"epochs": 2}}}
    assert summary_of(tmp_path, selected=selection(configurations=changed)).late == ["average"]
    assert summary_of(tmp_path, selected=selection(configurations=configurations, seeds=[0])).late == ["lstm"]
    assert summary_of(tmp_path, selected=selection(test_was_read=True)).test_was_read
    splits = [hashlib.sha256(text.encode()).hexdigest() for text in SPLITS.values()]
    same = {"configurations": configurations, "splits": splits, "data_sha256": ["d" * 64]}
    assert summary_of(tmp_path, selected=selection(**same)).late == []
    for changed in ({"splits": splits[::-1]}, {"data_sha256": ["e" * 64]}):
        assert summary_of(tmp_path, selected=selection(**same | changed)).late == ["lstm", "average", "svm"]


def test_what_config_asks_for_and_is_not_there_is_named(tmp_path: Path):
    assert summary_of(tmp_path).missing == ["average, seed 1", "svm, seed 1"]
    (summary,) = summarise(experiment_of(tmp_path, ["lstm", "vote", "average", "svm"]), read_results(tmp_path), {})
    assert summary.missing == ["vote, seed 0", "vote, seed 1", "average, seed 1", "svm, seed 1"]


def test_results_that_config_does_not_ask_for_and_a_missing_baseline_are_refused(tmp_path: Path):
    results = three_arms(tmp_path)
    with pytest.raises(HierdocError, match="average.seed-0.json: is of arm 'average', which config.yaml does not name"):
        summarise(experiment_of(tmp_path, ["lstm", "svm"]), results, {})
    with pytest.raises(HierdocError, match="is of dataset 'letters'"):
        summarise(experiment_of(tmp_path, datasets=["mail"]), results, {})
    with pytest.raises(HierdocError, match=r"lstm.seed-1.json: is of seed 1, which .*config.yaml does not name"):
        summarise(experiment_of(tmp_path, seeds=[0]), results, {})
    experiment = experiment_of(tmp_path)
    (tmp_path / "fold-2.csv").write_text("another split")
    with pytest.raises(HierdocError, match=r"average.seed-0.json: is of another configuration than .*config.yaml says"):
        summarise(experiment, results, {})
    (tmp_path / "results/letters.svm.seed-0.json").unlink()
    with pytest.raises(HierdocError, match="letters has no result of the baseline 'svm'"):
        summarise(experiment_of(tmp_path), read_results(tmp_path), {})


def test_datasets_come_in_the_order_of_the_config_and_only_those_with_results(tmp_path: Path):
    three_arms(tmp_path)
    write(tmp_path, "svm", list("aabbcc"), dataset="mail")
    found = summarise(experiment_of(tmp_path, datasets=["mail", "none", "letters"]), read_results(tmp_path), {})
    assert [summary.name for summary in found] == ["mail", "letters"]


def test_a_mean_has_its_spread_and_number():
    assert mean_and_spread([0.8, 0.9]) == "0.850 ± 0.071 (2)"  # the root of 2 · 0.05² / 1
    assert mean_and_spread([0.8371]) == "0.837 (1)"


def test_intervals_and_tests_are_over_clusters_where_config_says_so(tmp_path: Path):
    results, experiment = three_arms(tmp_path), experiment_of(tmp_path)
    (alone,) = experiment.datasets
    pairs = {"d0": "x", "d1": "x", "d2": "y", "d3": "y", "d4": "z", "d5": "z"}
    clusters = re.compile("d0|d1")  # the rest has none
    with pytest.raises(
        HierdocError, match="`clusters` of dataset 'letters', 'd0|d1', matches nothing of document 'd2'"
    ):
        dataclasses.replace(alone, clusters=clusters).clusters_of(list(pairs))
    in_one = dataclasses.replace(alone, clusters=re.compile("d"))
    (summary,) = summarise(dataclasses.replace(experiment, datasets=[in_one]), results, selection())
    difference = summary.difference(summary.arms[0])
    assert difference.interval.low == difference.interval.estimate == difference.interval.high  # of one cluster
    assert [(test.only_first, test.only_second) for test in difference.tests] == [(1, 0), (1, 0)]
    assert difference.sign.only_first == 1 and not difference.is_clear
    (paragraph,) = [text for text in comparing.overview(summary).paragraphs if text.startswith("Compared with")]
    assert "the 1 clusters that they are in" in paragraph and "McNemar" not in paragraph
    assert "sign test p (clusters)" in comparing.overview(summary).tables[0].header
    assert "McNemar p" in comparing.overview(summary_of(tmp_path)).tables[0].header


def test_clusters_follow_their_documents_into_a_selection_of_them(tmp_path: Path):
    experiment = experiment_of(tmp_path)
    (alone,) = experiment.datasets
    each = dataclasses.replace(alone, clusters=re.compile(r"d\d"))
    (summary,) = summarise(dataclasses.replace(experiment, datasets=[each]), three_arms(tmp_path), selection())
    assert summary.clusters is not None and summary.clusters.tolist() == [f"d{at}" for at in range(6)]
    found = summary.difference(summary.arms[0], summary.long)
    assert found.sign == summary_of(tmp_path).difference(summary_of(tmp_path).arms[0], summary.long).sign


def test_what_did_as_well_on_dev_is_told(tmp_path: Path):
    tied = {"lstm": 0.8, "average": 0.8, "svm": 0.7}
    summary = summary_of(tmp_path, selected=selection(mean_dev_accuracy=tied))
    assert summary.tied == ["average"] and summary_of(tmp_path).tied == []
    text = " ".join(comparing.overview(summary).paragraphs)
    assert "Dev prefers lstm (and as much average, of which config.yaml names it first); that was written" in text
    (note,) = comparing.headline([summary]).notes
    assert note.endswith("prefers; on letters average did as well, and config.yaml names it first.")
