"""Adam that reads and writes each weight and moment once a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hierdoc.encoders import compat


def adam(learning_rate: Any, shares: Sequence[float] | None = None) -> Any:
    """Return tf-keras' Adam (Kingma and Ba 2015), epsilon 1e-7, whose updates are one operation for each variable.

    tf-keras 2.21 updates in ten operations, each of which goes through memory
    (experiments/benchmarks/step.py measures what that costs). The embeddings' gradient, which it keeps sparse, is added up first; the numbers are the same.

    Args:
        learning_rate: a float, or a tf-keras schedule.
        shares: of it that each variable is changed by, in the order in which the optimizer is built with them; by default all of it.
    """
    tf = compat.load_tensorflow()

    class FusedAdam(tf.keras.optimizers.Adam):
        def update_step(self, gradient: Any, variable: Any) -> None:
            place = self._index_dict[self._var_key(variable)]
            step = tf.cast(self.iterations + 1, tf.float32)
            rate = tf.cast(self.learning_rate, tf.float32)
            tf.raw_ops.ResourceApplyAdam(
                var=variable.handle, m=self._momentums[place].handle, v=self._velocities[place].handle,
                beta1_power=tf.pow(self.beta_1, step), beta2_power=tf.pow(self.beta_2, step),
                lr=rate if shares is None else rate * shares[place], beta1=self.beta_1, beta2=self.beta_2, epsilon=self.epsilon,
                grad=tf.convert_to_tensor(gradient),
            )  # fmt: skip

    return FusedAdam(learning_rate, epsilon=1e-7, name="Adam")
