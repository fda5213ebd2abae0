"""The operations of hierdoc.encoders.operations against formulas in float64, and their gradients against TensorFlow's own."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hierdoc.encoders import compat
from hierdoc.encoders.operations import gelu, layer_norm

EPSILON = 1e-3
X = np.random.default_rng(0).normal(1, 3, (4, 5, 24)).astype(np.float32)
GAMMA, BETA, UPSTREAM = (np.random.default_rng(seed).normal(size=shape).astype(np.float32) for seed, shape in [(1, 24), (2, 24), (3, X.shape)])  # fmt: skip


def plain_gelu(x: Any) -> Any:
    return compat.load_tensorflow().nn.gelu(x, approximate=False)


def plain_layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    tf = compat.load_tensorflow()
    mean, variance = tf.nn.moments(x, -1, keepdims=True)
    return (x - mean) / tf.sqrt(variance + EPSILON) * gamma + beta


def our_layer_norm(x: Any, gamma: Any, beta: Any) -> Any:
    return layer_norm(x, gamma, beta, EPSILON)


def derivatives(function: Callable[..., Any], arguments: tuple[np.ndarray, ...]) -> list[np.ndarray]:
    """The first gradients of a weighted sum of squares by each argument, then those of the first ones' squared norm."""
    tf = compat.load_tensorflow()
    inputs = [tf.constant(argument) for argument in arguments]
    with tf.GradientTape() as outer:
        outer.watch(inputs)
        with tf.GradientTape() as inner:
            inner.watch(inputs)
            loss = tf.reduce_sum(UPSTREAM * tf.square(function(*inputs)))
        first = inner.gradient(loss, inputs)
        norm = tf.add_n([tf.reduce_sum(tf.square(gradient)) for gradient in first])
    return [gradient.numpy() for gradient in [*first, *outer.gradient(norm, inputs)]]


def test_gelu_is_x_times_the_normal_distributions_share_below_x():
    x = np.linspace(-9, 9, 1001).astype(np.float32)
    wanted = [value * 0.5 * math.erfc(-value / math.sqrt(2)) for value in x.astype(np.float64)]
    np.testing.assert_allclose(gelu(x).numpy(), wanted, rtol=0, atol=2e-6)
    assert np.abs(gelu(x).numpy() - compat.load_tensorflow().nn.gelu(x, approximate=True)).max() > 1e-4


def test_layer_norm_is_what_its_formula_says_in_float64():
    x = X.astype(np.float64)
    centred = x - x.mean(-1, keepdims=True)
    wanted = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON) * GAMMA + BETA
    np.testing.assert_allclose(our_layer_norm(X, GAMMA, BETA).numpy(), wanted, rtol=0, atol=2e-6)


@pytest.mark.parametrize("rank", [2, 3])
def test_layer_norm_takes_any_axes_before_the_last(rank: int):
    x = X if rank == 3 else X[0]
    tf = compat.load_tensorflow()
    gamma = tf.constant(GAMMA)
    with tf.GradientTape() as tape:
        tape.watch(gamma)
        result = layer_norm(x, gamma, BETA, EPSILON)
    assert result.shape == x.shape and tape.gradient(result, gamma).shape == (24,)


@pytest.mark.parametrize(
    ("ours", "plain", "arguments"),
    [(gelu, plain_gelu, (X,)), (our_layer_norm, plain_layer_norm, (X, GAMMA, BETA))],
    ids=["gelu", "layer_norm"],
)
@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
def test_first_and_second_gradients_are_those_that_tensorflow_derives(
    ours: Callable[..., Any], plain: Callable[..., Any], arguments: tuple[np.ndarray, ...], in_graph: bool
):
    if in_graph:
        ours = compat.load_tensorflow().function(ours)
    for found, wanted in zip(derivatives(ours, arguments), derivatives(plain, arguments), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())
