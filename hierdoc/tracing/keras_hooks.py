"""What Keras calls on a callback, for an object that is no subclass of one: tf-keras and Keras 3 have one each."""

from __future__ import annotations

from typing import Any

import numpy as np


def _nothing(self: Any, *arguments: Any, **named: Any) -> None:
    """Do nothing."""


_nothing._is_default = True  # Keras 3 need not wait for it


class KerasHooks:
    """A callback that tf-keras 2.21 and Keras 3 accept and that does nothing.

    Attributes:
        model: what `fit` trains, while it does.
    """

    model: Any = None
    params: Any = None

    on_epoch_begin = on_epoch_end = on_train_begin = on_train_end = _nothing
    on_train_batch_begin = on_train_batch_end = on_batch_begin = on_batch_end = _nothing
    on_test_begin = on_test_end = on_test_batch_begin = on_test_batch_end = _nothing
    on_predict_begin = on_predict_end = on_predict_batch_begin = on_predict_batch_end = _nothing

    def set_params(self, params: Any) -> None:
        """Keep Keras' parameters of the training."""
        self.params = params

    def set_model(self, model: Any) -> None:
        """Keep the model."""
        self.model = model

    def _implements_train_batch_hooks(self) -> bool:  # tf-keras asks
        return True

    def _implements_test_batch_hooks(self) -> bool:
        return False

    def _implements_predict_batch_hooks(self) -> bool:
        return False


class StepLosses:
    """The loss of each step, of a metric by which Keras averages it over an epoch (it reports only the mean so far)."""

    def __init__(self) -> None:
        self._metric: Any = None
        self._before = (0.0, 0.0)

    def begin_epoch(self) -> None:
        """Begin an epoch, for which Keras has set its metrics to 0."""
        self._metric, self._before = None, (0.0, 0.0)  # a model that is compiled again has another metric

    def read(self, model: Any, logs: dict[str, Any] | None) -> float | None:
        """Return the loss of the step just taken, or the mean of the steps since the last call.

        A model whose own train_step leaves Keras' metric alone reports what it likes: that is then taken for the step's.
        """
        if self._metric is None:
            self._metric = next((metric for metric in model.metrics if _averages_loss(metric)), None)
        now = (0.0, 0.0) if self._metric is None else tuple(float(np.asarray(at)) for at in _sums(self._metric))
        (total, count), (total_before, count_before), self._before = now, self._before, now
        if count > count_before:
            return (total - total_before) / (count - count_before)
        reported = (logs or {}).get("loss")
        return None if reported is None else float(np.asarray(reported).mean())


def _averages_loss(metric: Any) -> bool:
    return metric.name == "loss" and hasattr(metric, "total") and hasattr(metric, "count")


def _sums(metric: Any) -> tuple[Any, Any]:
    return metric.total, metric.count
