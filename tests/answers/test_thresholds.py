"""Thresholds: the best one by trying all, per label, and as a file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from hierdoc import HierdocError
from hierdoc.answers.thresholds import FEW, best_threshold, load_thresholds, save_thresholds, tune_thresholds


@pytest.mark.parametrize("seed", range(20))
def test_no_threshold_has_a_higher_f1(seed: int):
    rng = np.random.default_rng(seed)
    scores = np.round(rng.random(40), 1 if seed % 2 else 6).astype(np.float32)  # with ties, and without
    truth = rng.random(40) < scores * 0.7
    threshold, f1 = best_threshold(scores, truth)
    tried = [f1_score(truth, scores >= at, zero_division=0) for at in np.unique(scores)]
    assert f1 == pytest.approx(max(tried)) == pytest.approx(f1_score(truth, scores >= threshold))


def test_of_thresholds_as_good_the_highest_is_taken_and_lies_between_two_scores():
    assert best_threshold(np.array([0.9, 0.8, 0.2]), np.array([True, True, False])) == (pytest.approx(0.5), 1.0)
    assert best_threshold(np.array([0.3, 0.3]), np.array([True, True])) == (pytest.approx(0.3), 1.0)


def test_without_a_truth_the_threshold_is_a_half():
    assert best_threshold(np.array([0.9, 0.1]), np.array([False, False])) == (0.5, 0.0)
    assert best_threshold(np.zeros(0), np.zeros(0, bool)) == (0.5, 0.0)


def test_a_rare_label_gets_the_threshold_that_is_best_for_all_together():
    rng = np.random.default_rng(0)
    truth = np.zeros((60, 3), bool)
    truth[:30, 0], truth[: FEW - 1, 1], truth[:FEW, 2] = True, True, True
    probs = np.where(truth, [0.4, 0.9, 0.2], [0.1, 0.1, 0.05]) + rng.random((60, 3)) * 0.01
    common, _ = best_threshold(probs.reshape(-1), truth.reshape(-1))
    found = tune_thresholds(probs, truth)
    assert found[1] == common
    assert [found[0], found[2]] == [best_threshold(probs[:, at], truth[:, at])[0] for at in (0, 2)]
    assert len(set(found.tolist())) == 3


CONFIG = {
    "labels": ["a", "b"],
    "encoder_fingerprint": "f" * 64,
    "head": "lstm",
    "weights_sha256": "a" * 64,
    "words": False,
}


def test_thresholds_come_back_in_the_order_that_is_asked_for(tmp_path: Path):
    save_thresholds(tmp_path, {**CONFIG, "labels": ["b", "a"]}, np.array([0.25, 0.75]))
    assert load_thresholds(tmp_path / "thresholds.json", CONFIG).tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": 0.5}, 'must hold {"thresholds": {label: number}}'),
        ({"thresholds": {"a": 0.5, "b": 0.5}, "encoder_fingerprint": "0" * 64}, "holds the thresholds of another run"),
        ({"thresholds": {"a": 0.5, "b": 0.5}, "head": "max_pool"}, "holds the thresholds of another head"),
        ({"thresholds": {"a": 0.5, "b": 0.5}, "weights_sha256": "b" * 64}, "of another training of the head"),
        ({"thresholds": {"a": 0.5, "b": 0.5}, "words": True}, "of another training of the head"),
        ({"thresholds": {"a": 0.5, "b": 0.5, "c": 0.5}}, "a threshold for 'c', which is none of the run's 2 labels"),
        ({"thresholds": {"a": 0.5}}, "the threshold of 'b' must be a number from 0 to 1, but is None"),
        ({"thresholds": {"a": 0.5, "b": "high"}}, "the threshold of 'b' must be a number from 0 to 1, but is 'high'"),
        ({"thresholds": {"a": 10**400, "b": 0.5}}, "the threshold of 'a' must be a number from 0 to 1, but is 1000"),
        (
            {"thresholds": {"a": float("nan"), "b": 0.5}},
            "the threshold of 'a' must be a number from 0 to 1, but is nan",
        ),
        ({"thresholds": {"a": 1.5, "b": 0.5}}, "the threshold of 'a' must be a number from 0 to 1, but is 1.5"),
        ({"thresholds": {"a": True, "b": 0.5}}, "the threshold of 'a' must be a number from 0 to 1, but is True"),
    ],
)
def test_thresholds_that_are_not_of_the_run_are_refused(content: dict, said: str, tmp_path: Path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(content))
    with pytest.raises(HierdocError) as error:
        load_thresholds(path, CONFIG)
    assert said in str(error.value) and str(path) in str(error.value)


def test_a_persons_own_file_needs_no_fingerprint(tmp_path: Path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"thresholds": {"a": 0, "b": 1}}))
    assert load_thresholds(path, CONFIG).tolist() == [0, 1]
