"""Gradients of several batches as those of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hierdoc.encoders import compat


class GradientSums:
    """Adds up the gradients of several batches' mean losses, each as often as the batch has examples.

    Attributes:
        variables: what is remembered between two batches.
    """

    def __init__(self, variables: Sequence[Any]):
        tf = compat.load_tensorflow()
        count, sums = tf.Variable(0.0), [tf.Variable(tf.zeros_like(variable)) for variable in variables]
        self.variables = [count, *sums]

        @tf.function(autograph=False, reduce_retracing=True)
        def add(gradients: list[Any], num_examples: Any) -> None:
            count.assign_add(num_examples)
            for total, gradient in zip(sums, gradients, strict=True):
                total.assign_add(num_examples * tf.convert_to_tensor(gradient))

        @tf.function(autograph=False)
        def take() -> list[Any]:
            means = [total / count for total in sums]
            with tf.control_dependencies(means):
                for variable in self.variables:
                    variable.assign(tf.zeros_like(variable))
                return [tf.identity(mean) for mean in means]

        self.add, self.take = add, take
