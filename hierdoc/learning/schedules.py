"""Learning rates over the steps of a training."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat


def warmup_linear(peak: float, num_steps: int, warmup_share: float = 0.1) -> Any:
    """Return BERT's schedule: linear from 0 to `peak` over the first steps, then linear down to 0.

    Devlin et al. 2019, appendix A.2. The first step has rate peak / num_warmup, so no step is lost.
    """
    tf = compat.load_tensorflow()
    num_warmup = max(1, round(num_steps * warmup_share))

    class WarmupLinear(tf.keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step: Any) -> Any:
            step = tf.cast(step, tf.float32)
            rising = (step + 1) / num_warmup
            falling = (num_steps - step) / max(1, num_steps - num_warmup)
            return peak * tf.clip_by_value(tf.minimum(rising, falling), 0.0, 1.0)

        def get_config(self) -> dict[str, Any]:
            return {"peak": peak, "num_steps": num_steps, "warmup_share": warmup_share}

    return WarmupLinear()
