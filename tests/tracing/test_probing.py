"""What is said of models that do, and do not, depend on company, padding or chance; outputs as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hierdoc.tracing.predictions import each_array, first_output, outputs_of, to_probs
from hierdoc.tracing.probing import probe

rng = np.random.default_rng(0)
KERNEL = rng.standard_normal((4, 3))
VECTORS = rng.standard_normal((12, 5, 4))
LENGTHS = np.array([5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1])
REAL = np.arange(5) < LENGTHS[:, None]
IDS = np.where(REAL, rng.integers(5, 50, (12, 5)), 0)


def mean_of(vectors: np.ndarray, real: np.ndarray) -> np.ndarray:
    """Logits of the mean of the real rows."""
    return ((vectors * real[..., None]).sum(1) / np.maximum(real.sum(1), 1)[:, None]) @ KERNEL


def masked(x: Any) -> np.ndarray:
    return mean_of(*x)


def padded_99(x: np.ndarray) -> np.ndarray:
    return mean_of(x, ~(x == -99).all(2))


def embedded(ids: np.ndarray) -> np.ndarray:
    return np.stack([np.sin(ids * 0.1), np.cos(ids * 0.7), np.sin(ids * 0.3), ids % 3], axis=2)


def test_a_healthy_model_depends_on_nothing():
    for predict, x, pad_value in (
        (masked, [VECTORS, REAL], None),
        (padded_99, np.where(REAL[..., None], VECTORS, -99), -99.0),
        (lambda ids: mean_of(embedded(ids), ids != 0), IDS, None),
        (lambda x: mean_of(embedded(x[0]), x[1]), [IDS, REAL], None),
        (lambda x: mean_of(embedded(x["ids"]), x["mask"]), {"mask": REAL, "ids": IDS}, None),
    ):
        found = probe(predict, x, pad_value)
        assert found["num_examples"] == 8
        # float64 arithmetic whose order differs, made float32
        assert max(found[name] for name in ("company", "padding", "repeat")) < 1e-6


@pytest.mark.parametrize(
    ("predict", "x", "pad_value", "culprit"),
    [
        (lambda x: masked([x[0] - x[0].mean(0), x[1]]), [VECTORS, REAL], None, "company"),
        (lambda x: x[0].mean(1) @ KERNEL, [np.where(REAL[..., None], VECTORS, 7), REAL], None, "padding"),
        (lambda x: x.mean(1) @ KERNEL / 99, np.where(REAL[..., None], VECTORS, -99), -99.0, "padding"),
        (lambda ids: embedded(ids).mean(1) @ KERNEL, IDS, None, "padding"),
        (lambda x: masked(x) + np.random.standard_normal(3), [VECTORS, REAL], None, "repeat"),
    ],
)
def test_what_a_model_depends_on_is_told(predict: Any, x: Any, pad_value: float | None, culprit: str):
    found = probe(predict, x, pad_value)
    assert found[culprit] > 0.01
    if culprit != "repeat":
        assert found["repeat"] < 1e-6 and found[{"company": "padding", "padding": "company"}[culprit]] < 1e-6


def test_a_model_of_one_length_or_one_batch_size_says_nothing_of_the_others():
    def pinned(x: np.ndarray) -> np.ndarray:
        if x.shape[1] != 5:
            raise ValueError("this model takes 5 chunks")
        return x.mean(1) @ KERNEL

    found = probe(pinned, np.where(REAL[..., None], VECTORS, -99), -99.0)
    assert found["padding"] is None and found["company"] < 1e-6

    def of_three(x: np.ndarray) -> np.ndarray:
        if len(x) != 8:
            raise ValueError("this model takes 8 documents")
        return x.mean(1) @ KERNEL

    nothing = {"num_examples": 8, "company": None, "padding": None, "repeat": None}
    assert probe(of_three, VECTORS) == nothing


def test_where_nobody_says_what_padding_is_none_is_added():
    assert (
        probe(lambda x: x.mean(1) @ KERNEL, VECTORS)["padding"] == 0.0
    )  # all rows are real: there is none to leave out
    assert probe(lambda x: x @ KERNEL, VECTORS[:, 0])["padding"] is None


def test_an_example_that_is_all_padding_does_not_hide_what_the_others_show():
    x = np.where(REAL[..., None], VECTORS, -99)
    x[3] = -99
    assert probe(padded_99, x, -99.0)["padding"] < 1e-6
    assert probe(lambda x: x[:, -1] @ KERNEL / 99, x, -99.0)["padding"] > 0.01


def test_one_example_has_no_company():
    found = probe(masked, [VECTORS[:1], REAL[:1]])
    assert found["num_examples"] == 1 and found["company"] is None and found["repeat"] == 0.0


def softmax(logits: np.ndarray) -> np.ndarray:
    return np.array([[np.exp(x) / sum(np.exp(row)) for x in row] for row in logits])


def test_logits_become_probabilities_and_probabilities_stay():
    logits = np.array([[1.0, -2.0, 3.0], [0.2, 0.3, 0.1]])
    np.testing.assert_allclose(to_probs(logits), softmax(logits), rtol=1e-6)
    np.testing.assert_allclose(to_probs(softmax(logits)), softmax(logits), rtol=1e-6)
    half = softmax(logits).astype(np.float16)  # sums to 1 within 1e-3
    assert (to_probs(half) == half.astype(np.float32)).all()
    assert to_probs(np.zeros((2, 4))).tolist() == [[0.25] * 4] * 2  # logits: an untrained output
    sigmoids = np.array([[0.9, 0.1, 0.8], [0.0, 0.2, 0.1]])
    assert (to_probs(sigmoids) == sigmoids.astype(np.float32)).all()
    big = to_probs(np.array([[1000.0, 0.0], [0.0, -1000.0]]))
    assert big.tolist() == [[1, 0], [1, 0]]


def test_a_single_output_is_the_second_of_two_classes():
    np.testing.assert_allclose(to_probs([[0.25], [1.0]]), [[0.75, 0.25], [0, 1]])
    np.testing.assert_allclose(to_probs(np.array([0.25, 1.0])), [[0.75, 0.25], [0, 1]])
    np.testing.assert_allclose(to_probs([[0.0], [-2.0]]), [[0.5, 0.5], [1 - 1 / (1 + np.e**2), 1 / (1 + np.e**2)]])


def test_nan_stays_nan_and_does_not_decide_for_the_others():
    found = to_probs(np.array([[np.nan, 0.5], [0.25, 0.75]]))
    assert np.isnan(found[0, 0]) and found[1].tolist() == [0.25, 0.75]
    assert np.isnan(to_probs(np.full((2, 3), np.nan))).all()
    assert np.isnan(to_probs(np.array([[np.nan], [0.5]]))[0]).all()


def test_many_rows_are_asked_a_few_at_a_time():
    sizes: list[int] = []

    def predict(x: Any) -> tuple[np.ndarray, str]:
        sizes.append(len(x[0]))
        return mean_of(*x), "another output"

    x = (np.repeat(VECTORS, 6, 0), np.repeat(REAL, 6, 0))
    assert (outputs_of(predict, x) == mean_of(*x)).all() and sizes == [32, 32, 8]
    assert first_output({"a": np.ones(2), "b": np.zeros(2)}).tolist() == [1, 1]
    assert list(each_array({"ids": IDS, "mask": REAL}, lambda array, main, mask: (main, mask)).values()) == [
        (True, False),
        (False, True),
    ]
