"""The loss of a step out of the sums that Keras keeps over an epoch."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from hierdoc.tracing.keras_hooks import StepLosses


def model_with(total: float, count: float) -> SimpleNamespace:
    """What of a Keras model is read: its metrics, of which one averages the loss."""
    others = [SimpleNamespace(name="accuracy", total=9.0, count=9.0), SimpleNamespace(name="loss")]
    return SimpleNamespace(metrics=[*others, SimpleNamespace(name="loss", total=total, count=count)])


def test_each_steps_loss_is_weighed_by_its_rows():
    losses, model = StepLosses(), model_with(0, 0)
    losses.begin_epoch()
    for loss, rows in ((2.0, 4), (8.0, 1), (1.0, 3)):
        model.metrics[2].total += loss * rows
        model.metrics[2].count += rows
        assert losses.read(model, {"loss": model.metrics[2].total / model.metrics[2].count}) == pytest.approx(loss)


def test_an_epoch_begins_from_0_also_when_its_first_batch_is_larger_than_the_epoch_before():
    losses = StepLosses()
    losses.begin_epoch()
    assert losses.read(model_with(4.0, 2.0), {"loss": 2.0}) == 2.0
    losses.begin_epoch()
    assert losses.read(model_with(80.0, 8.0), {"loss": 10.0}) == 10.0  # compiled again: another metric


def test_without_such_a_metric_what_is_reported_is_the_steps():
    losses, model = StepLosses(), SimpleNamespace(metrics=[])
    losses.begin_epoch()
    assert losses.read(model, {"loss": 3.0}) == 3.0
    assert losses.read(model, {}) is None and losses.read(model, None) is None
