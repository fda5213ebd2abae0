"""Learning rates over the steps of a training."""

from __future__ import annotations

import math
from typing import Any

from hierdoc.encoders import compat

WARMUP = 0.1  # the share of the steps in which the rate rises
LEAST = 0.01  # the share of the peak that exponential decay ends with


def warmup_linear(peak: float, num_steps: int, warmup_share: float = WARMUP) -> Any:
    """Return BERT's schedule: linear from 0 to `peak` over the first steps, then linear down to 0.

    Devlin et al. 2019, appendix A.2. The first step has rate peak / num_warmup, so no step is lost.
    """
    return warmup_and_decay("linear", peak, num_steps, warmup_share)


def warmup_and_decay(decay: str, peak: float, num_steps: int, warmup_share: float = WARMUP) -> Any:
    """Return a schedule that rises as `warmup_linear`, and then falls by one of `DECAYS`."""
    tf = compat.load_tensorflow()
    num_warmup = max(1, round(num_steps * warmup_share))

    class WarmupAndDecay(tf.keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, tf.float32)
            rising = (step + 1) / num_warmup
            left = tf.clip_by_value((num_steps - step) / max(1, num_steps - num_warmup), 0.0, 1.0)
            return peak * tf.clip_by_value(tf.minimum(rising, DECAYS[decay](left)), 0.0, 1.0)

        def get_config(self) -> dict[str, Any]:
            return {"decay": decay, "peak": peak, "num_steps": num_steps, "warmup_share": warmup_share}

    return WarmupAndDecay()


def _linear(left: Any) -> Any:
    return left


def _cosine(left: Any) -> Any:
    return 0.5 - 0.5 * compat.load_tensorflow().cos(math.pi * left)


def _exponential(left: Any) -> Any:
    return compat.load_tensorflow().exp(math.log(LEAST) * (1 - left))


DECAYS = {  # the share of the peak, by the share of the steps after the warm-up that is left
    "linear": _linear,
    "cosine": _cosine,  # half a wave, as Loshchilov and Hutter 2017 without restarts
    "exponential": _exponential,  # to LEAST
}
