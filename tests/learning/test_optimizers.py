"""The fused Adam against tf-keras' own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hierdoc.encoders import compat
from hierdoc.learning.optimizers import adam
from hierdoc.learning.schedules import warmup_linear

STEPS = 12


def trained(make: Any, in_graph: bool) -> tuple[list[np.ndarray], Any]:
    """A table and a matrix after some steps, of which the table's gradients are sparse with a row given twice."""
    tf = compat.load_tensorflow()
    rng = np.random.default_rng(0)
    variables = [tf.Variable(rng.normal(size=(50, 4)).astype(np.float32)), tf.Variable(np.float32([[1, -2], [3, 4]]))]
    optimizer = make()
    optimizer.build(variables)

    def apply(values: Any, rows: Any, gradient: Any) -> None:
        optimizer.apply_gradients(zip([tf.IndexedSlices(values, rows, (50, 4)), gradient], variables, strict=True))

    step = tf.function(apply) if in_graph else apply
    for _ in range(STEPS):
        values, rows = rng.normal(size=(6, 4)).astype(np.float32), rng.integers(0, 9, 6)
        rows[5] = rows[4]
        step(tf.constant(values), tf.constant(rows), tf.constant(rng.normal(size=(2, 2)).astype(np.float32)))
    return [variable.numpy() for variable in variables], optimizer


@pytest.mark.parametrize("in_graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("rate", ["constant", "schedule"])
def test_the_weights_and_moments_are_those_of_tf_keras_adam(rate: str, in_graph: bool):
    tf = compat.load_tensorflow()
    rate_of = {"constant": lambda: 0.05, "schedule": lambda: warmup_linear(0.05, STEPS, 0.3)}[rate]
    wanted, keras = trained(lambda: tf.keras.optimizers.Adam(rate_of(), epsilon=1e-7), in_graph)
    found, ours = trained(lambda: adam(rate_of()), in_graph)
    for ours_value, keras_value in zip(found, wanted, strict=True):
        np.testing.assert_allclose(ours_value, keras_value, rtol=0, atol=1e-5)  # each moved by about 0.5
    assert int(ours.iterations) == STEPS
    for ours_variable, keras_variable in zip(ours.variables, keras.variables, strict=True):
        np.testing.assert_allclose(ours_variable.numpy(), keras_variable.numpy(), rtol=1e-4, atol=1e-6)


def test_each_variable_is_changed_by_its_share_of_the_rate():
    wanted = [trained(lambda: adam(0.05 * share), True)[0] for share in (0.5, 0.1)]
    found, _ = trained(lambda: adam(0.05, [0.5, 0.1]), True)
    np.testing.assert_allclose(found[0], wanted[0][0], rtol=1e-6)
    np.testing.assert_allclose(found[1], wanted[1][1], rtol=1e-6)


def test_a_trace_names_it_adam_with_its_parameters():
    config = adam(0.01).get_config()
    assert config["name"] == "Adam" and config["epsilon"] == 1e-7 and config["learning_rate"] == pytest.approx(0.01)
