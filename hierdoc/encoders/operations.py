"""What BERT computes between its matrix products, with gradients of few passes over memory.

TensorFlow derives the gradients of bert-for-tf2's formulas in many passes each; what that costs a step of fine-tuning,
experiments/benchmarks/step.py measures. Each function here has the gradient in closed form, which can be differentiated again.
"""

from __future__ import annotations

import math
from typing import Any

from hierdoc.encoders import compat


def gelu(inputs: Any) -> Any:
    """Return x times the normal distribution's share below x (Hendrycks and Gimpel 2016), float32, of any shape.

    Exact but for rounding, not the tanh approximation.
    """
    tf = compat.load_tensorflow()

    @tf.custom_gradient
    def exact(x: Any) -> tuple[Any, Any]:
        below = 0.5 * (1 + tf.math.erf(x / math.sqrt(2)))

        def gradient(upstream: Any) -> Any:
            return upstream * (below + x * (tf.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)))

        return x * below, gradient

    return exact(inputs)


def layer_norm(inputs: Any, gamma: Any, beta: Any, epsilon: float) -> Any:
    """Return inputs with mean 0 and variance 1 along the last axis, times `gamma`, plus `beta` (Ba et al. 2016).

    Args:
        inputs: float32 (..., D).
        gamma, beta: float32 (D,).
        epsilon: is added to the variance.
    """
    tf = compat.load_tensorflow()

    @tf.custom_gradient
    def normalised(x: Any, gamma: Any, beta: Any) -> tuple[Any, Any]:
        centred = x - tf.reduce_mean(x, -1, keepdims=True)
        inverse = tf.math.rsqrt(tf.reduce_mean(tf.square(centred), -1, keepdims=True) + epsilon)
        scaled = centred * inverse

        def gradient(upstream: Any) -> tuple[Any, Any, Any]:
            others = list(range(len(x.shape) - 1))
            of_scaled = upstream * gamma
            along = tf.reduce_mean(of_scaled * scaled, -1, keepdims=True)
            of_x = inverse * (of_scaled - tf.reduce_mean(of_scaled, -1, keepdims=True) - scaled * along)
            return of_x, tf.reduce_sum(upstream * scaled, others), tf.reduce_sum(upstream, others)

        return scaled * gamma + beta, gradient

    return normalised(inputs, tf.convert_to_tensor(gamma), tf.convert_to_tensor(beta))
