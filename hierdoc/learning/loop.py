"""The one training loop: of the encoder on chunks, and of every head on documents."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.errors import HierdocFailure
from hierdoc.learning.history import History
from hierdoc.objectives.classification import weighted_loss
from hierdoc.progress import bar, say


@dataclass(frozen=True)
class LabelledBatch:
    """What one step sees.

    Attributes:
        inputs: the model's arguments: arrays whose first axis is N.
        label_ids: int32 (N,).
        weights: float32 (N,); 0 for rows that only fill up the batch.
    """

    inputs: tuple[np.ndarray, ...]
    label_ids: np.ndarray
    weights: np.ndarray

    @property
    def num_examples(self) -> int:
        return int((self.weights > 0).sum())


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        best_epoch: the epoch whose weights were kept, from 1.
        examples_per_second: of training alone, without the readings of dev.
    """

    best_epoch: int
    examples_per_second: float


def make_step(
    forward: Callable[..., Any], variables: Sequence[Any], optimizer: Any, trace_each_shape: bool
) -> Callable[[LabelledBatch], float]:
    """Return a function that takes one optimizer step on a batch and returns its loss.

    Args:
        forward: called with the batch's inputs and `training=True`, returns logits (N, C).
        variables: what is trained; all else stays as it is.
        optimizer: a tf-keras optimizer.
        trace_each_shape: whether `forward` needs to know the inputs' shapes (bert-for-tf2 does).
    """
    tf = compat.load_tensorflow()
    optimizer.build(variables)

    @tf.function(autograph=False, reduce_retracing=not trace_each_shape)
    def loss_and_gradients(inputs: tuple[Any, ...], label_ids: Any, weights: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            loss = weighted_loss(forward(*inputs, training=True), label_ids, weights)
        return loss, tape.gradient(loss, variables)

    @tf.function(
        autograph=False, reduce_retracing=True
    )  # apart, so that it is not traced for each length of the inputs
    def apply(gradients: list[Any]) -> None:
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def step(batch: LabelledBatch) -> float:
        inputs = tuple(tf.constant(array) for array in batch.inputs)
        loss, gradients = loss_and_gradients(inputs, tf.constant(batch.label_ids), tf.constant(batch.weights))
        apply(gradients)
        return float(loss)

    return step


def train(
    step: Callable[[LabelledBatch], float],
    batches_of: Callable[[int], Sequence[Callable[[], LabelledBatch]]],
    read_dev: Callable[[], dict[str, float]],
    better: Callable[[dict[str, float], dict[str, float]], bool],
    variables: Sequence[Any],
    history: History,
    num_epochs: int,
    patience: int | None,
    description: str,
    unit: str,
) -> Outcome:
    """Train for up to `num_epochs` and leave in `variables` the weights of the best epoch on dev.

    Args:
        step: takes one step and returns the loss.
        batches_of: the epoch's number, from 0, to its batches, each made when it is called.
        read_dev: measures dev with the weights as they are.
        better: whether a reading of dev beats the best so far.
        variables: all that `step` changes, the optimizer's apart.
        history: gets a line for each epoch.
        patience: stop after so many epochs without a better one; None never stops early.
        description, unit: for the progress bar.

    Raises:
        HierdocFailure: the loss is not finite.
    """
    best: dict[str, float] | None = None
    best_epoch, kept = 0, []
    examples, seconds = 0, 0.0
    for epoch in range(num_epochs):
        batches = batches_of(epoch)
        started, losses, sizes = time.monotonic(), [], []
        with bar(f"{description} {epoch + 1}/{num_epochs}", unit, 0) as progress:
            for done, make in enumerate(batches, 1):
                batch = make()
                losses.append(step(batch))
                sizes.append(batch.num_examples)
                if not math.isfinite(losses[-1]):
                    raise HierdocFailure(
                        f"{description}: the loss is {losses[-1]} in epoch {epoch + 1}, step {done}; try a lower learning rate"
                    )
                progress.total = round(sum(sizes) / done * len(batches))
                progress.update(sizes[-1])
        spent = time.monotonic() - started
        examples, seconds = examples + sum(sizes), seconds + spent
        reading = {"epoch": epoch + 1, "train_loss": float(np.average(losses, weights=sizes)), **read_dev()}
        history.add(reading)
        shown = ", ".join(f"{key} {value:.4f}" for key, value in reading.items() if key != "epoch")
        say(f"{description} {epoch + 1}/{num_epochs}: {shown}, {sum(sizes) / spent:.1f} {unit}/s")
        if best is None or better(reading, best):
            best, best_epoch = reading, epoch + 1
            kept = [variable.numpy() for variable in variables]
        elif patience is not None and epoch + 1 - best_epoch >= patience:
            break
    for variable, value in zip(variables, kept):
        variable.assign(value)
    return Outcome(best_epoch, examples / seconds if seconds else 0.0)
