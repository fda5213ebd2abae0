"""Numbers from tables and from scipy 1.17 (binom.sf, binom.cdf, proportion_confint's formula by hand)."""

from __future__ import annotations

import numpy as np
import pytest

from hierdoc.diagnosis.findings import percent, share
from hierdoc.diagnosis.statistics import Rate, at_least, at_most, entropy, standing, strays


@pytest.mark.parametrize(
    ("hits", "num", "rate", "expected"),
    [
        (5, 10, 0.5, 0.623046875),  # 638 / 1024
        (10, 10, 0.5, 1 / 1024),
        (0, 10, 0.5, 1.0),
        (30, 100, 0.1, 2.445112239390972e-08),
        (3, 3, 0.0, 0.0),
        (3, 3, 1.0, 1.0),
    ],
)
def test_the_chance_of_so_many_hits(hits: int, num: int, rate: float, expected: float):
    assert at_least(hits, num, rate) == pytest.approx(expected, rel=1e-9)


def test_the_chance_of_so_few_hits_and_of_more_is_one():
    for hits in range(-1, 22):
        assert at_most(hits, 20, 0.3) + at_least(hits + 1, 20, 0.3) == pytest.approx(1.0)
    assert at_most(0, 3, 0.5) == pytest.approx(1 / 8)


def test_large_numbers_are_no_trouble():
    assert at_least(50_500, 100_000, 0.5) == pytest.approx(7.911799394257577e-04, rel=1e-6)
    assert at_most(0, 100_000, 0.5) == 0.0


def test_a_rate_is_tested_by_documents_not_by_chunks():
    rate = Rate(accuracy=0.5, num=1000, num_documents=10)
    assert rate.hits == 5 and rate.above(0.1) == pytest.approx(at_least(5, 10, 0.1))
    assert rate.interval() == pytest.approx((0.2366, 0.7634), abs=1e-4)  # Wilson, by hand
    assert Rate(1.0, 0, 0).interval() == (0.0, 1.0)


def test_entropy_is_that_of_the_frequencies():
    assert entropy(np.array([0, 0, 1, 1])) == pytest.approx(np.log(2))
    assert entropy(np.array([7, 7, 7])) == 0.0


def test_how_far_counts_stray_from_their_shares():
    # chi-square is 2 * 15² / 25 = 18, and norm.isf(chi2.sf(18, 3)) of scipy is 3.326
    assert strays(np.array([40.0, 10, 25, 25]), np.full(4, 0.25)) == pytest.approx(3.326, abs=0.1)
    assert strays(np.array([25.0, 25, 25, 25]), np.full(4, 0.25)) < 0


def test_standing_counts_standard_deviations():
    mean, z = standing(10.0, lambda rng: rng.normal(4.0, 2.0))
    assert mean == pytest.approx(4.0, abs=0.5) and z == pytest.approx(3.0, abs=0.5)


def test_numbers_read_as_people_write_them():
    assert [percent(rate) for rate in (0.0, 0.001, 0.02, 0.035, 0.42, 0.944, 1.0)] == [
        "0 %", "0.1 %", "2 %", "3.5 %", "42 %", "94.4 %", "100 %",
    ]  # fmt: skip
    assert share(12, 3400, "documents") == "12 of 3,400 documents (0.4 %)"
