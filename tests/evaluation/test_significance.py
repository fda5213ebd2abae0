"""Intervals and tests against exact computations, scipy and statements that hold by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from hierdoc.evaluation.significance import Interval, bootstrap_mean, by_cluster, sign_test, wilson


def test_the_interval_is_near_the_binomial_one():
    values = np.repeat([1, 0], [300, 100])
    found = bootstrap_mean(values)
    assert found.estimate == 0.75
    exact = stats.binom(400, 0.75).ppf([0.025, 0.975]) / 400  # resampling hits is drawing from this very binomial
    np.testing.assert_allclose([found.low, found.high], exact, atol=1 / 400)


def test_the_interval_of_differences_is_that_of_a_plain_loop_over_resampled_documents():
    rng = np.random.default_rng(5)
    first, second = rng.random(200) < 0.8, rng.random(200) < 0.7
    differences = first.astype(float) - second
    loop = np.random.default_rng(9)
    means = [differences[loop.integers(0, 200, 200)].mean() for _ in range(20_000)]
    found = bootstrap_mean(differences)
    np.testing.assert_allclose([found.low, found.high], np.quantile(means, [0.025, 0.975]), atol=0.006)


def test_95_of_100_intervals_hold_the_truth():
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(400):
        first, second = rng.random(300) < 0.8, rng.random(300) < 0.75
        found = bootstrap_mean(first.astype(float) - second, seed=trial, num_resamples=1000)
        hits += found.low <= 0.05 <= found.high
    assert stats.binomtest(hits, 400, 0.95).pvalue > 1e-3


def test_the_same_seed_gives_the_same_interval():
    values = np.random.default_rng(0).standard_normal(50)
    assert bootstrap_mean(values, seed=1) == bootstrap_mean(values, seed=1) != bootstrap_mean(values, seed=2)


def test_no_difference_anywhere_is_an_interval_of_zero():
    found = bootstrap_mean(np.zeros(7))
    assert (found.low, found.estimate, found.high) == (0, 0, 0) and not found.excludes_zero
    assert bootstrap_mean(np.ones(7)).excludes_zero and bootstrap_mean(-np.ones(7)).excludes_zero


@pytest.mark.parametrize(("right", "documents"), [(0, 4), (4, 4), (18, 18), (1, 7), (300, 400)])
def test_a_shares_interval_is_scipys(right: int, documents: int):
    exact = stats.binomtest(right, documents).proportion_ci(method="wilson")
    found = wilson(right / documents, documents)
    assert found.estimate == right / documents
    np.testing.assert_allclose([found.low, found.high], exact, atol=1e-6)
    assert found.low <= found.estimate <= found.high


@pytest.mark.parametrize(("only_first", "only_second"), [(0, 0), (5, 0), (0, 5), (10, 3), (40, 41), (700, 500)])
def test_the_sign_test_of_hits_is_mcnemars_the_exact_binomial_test_of_the_documents_that_differ(
    only_first: int, only_second: int
):
    first = np.repeat([True, True, False, False], [9, only_first, only_second, 4])
    second = np.repeat([True, False, True, False], [9, only_first, only_second, 4])
    found = sign_test(first.astype(float) - second)
    assert (found.only_first, found.only_second) == (only_first, only_second)
    if only_first + only_second:
        exact = stats.binomtest(only_first, only_first + only_second).pvalue
        assert found.p_value == pytest.approx(exact, rel=1e-9)
    else:
        assert found.p_value == 1


def test_shares_of_seeds_that_differ_in_their_last_bit_are_the_same():
    # 2/3 - 1/3 and 1 - 2/3 are not the same float; as many documents are up as down, so zero must be inside or an end
    values = np.array([2 / 3 - 1 / 3, 1 - 2 / 3, -(1 - 2 / 3), 1 / 3 - 2 / 3] * 10 + [0.0] * 60)
    found = bootstrap_mean(values)
    assert abs(found.estimate) < 1e-12 and not found.excludes_zero
    assert not Interval(0.1, 4e-18, 0.2).excludes_zero and Interval(0.1, 1e-6, 0.2).excludes_zero


def test_the_sign_test_counts_documents_that_differ_whatever_by_how_much():
    found = sign_test(np.array([1.0, 1 / 3, 2 / 3, 0.0, 1e-17, -1 / 3]))
    assert (found.only_first, found.only_second) == (3, 1)
    assert found.p_value == pytest.approx(2 * (1 + 4) / 2**4)


def test_the_interval_of_clusters_is_that_of_a_plain_loop_over_resampled_clusters():
    rng = np.random.default_rng(4)
    clusters = np.repeat(list("fbeacdghij"), rng.integers(3, 30, 10))
    values = rng.random(len(clusters)) < np.repeat(rng.random(10), np.unique(clusters, return_counts=True)[1])
    by_name = [values[clusters == name].astype(float) for name in sorted(set(clusters))]
    loop = np.random.default_rng(9)
    means = [np.concatenate([by_name[at] for at in loop.integers(0, 10, 10)]).mean() for _ in range(20_000)]
    found, alone = bootstrap_mean(values, clusters=clusters), bootstrap_mean(values)
    assert found.estimate == alone.estimate == values.mean()
    np.testing.assert_allclose([found.low, found.high], np.quantile(means, [0.025, 0.975]), atol=0.01)
    assert found.high - found.low > 1.5 * (alone.high - alone.low)


def test_documents_that_are_each_a_cluster_of_their_own_are_independent():
    values = np.random.default_rng(0).random(200) < 0.7
    found, wanted = bootstrap_mean(values, clusters=np.arange(200)), bootstrap_mean(values)
    np.testing.assert_allclose([found.low, found.high], [wanted.low, wanted.high], atol=0.011)
    assert by_cluster(values, None) is values
    assert by_cluster(np.array([1.0, 2.0, 4.0]), np.array(["b", "a", "b"])).tolist() == [2.0, 5.0]
