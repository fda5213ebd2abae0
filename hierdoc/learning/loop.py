"""The one training loop: of the encoder on chunks, and of every head on documents."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.errors import HierdocFailure
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.gradients import GradientSums
from hierdoc.learning.history import History
from hierdoc.learning.regularisation import Regularisation
from hierdoc.learning.traces import TrainingTrace
from hierdoc.objectives.classification import weighted_loss
from hierdoc.progress import bar, say
from hierdoc.tracing.batches import Batch, noted_labels
from hierdoc.tracing.weights import rate_now

_OF_TRACE = "trace-"  # what the names of a trace's arrays in a checkpoint begin with


@dataclass(frozen=True)
class LabelledBatch:
    """What one step sees.

    Attributes:
        inputs: the model's arguments: arrays whose first axis is N.
        label_ids: int32 (N,), or of any number of labels bool (N, C).
        weights: float32 (N,), or each label's own (N, C); 0 for rows that only fill up the batch, which are the last.
        doc_ids: of the other rows, the examples.
        chunk_index: int32 arrays, of the examples' chunks in their order.
        updates: whether the weights change after it, by all gradients since they last did.
    """

    inputs: tuple[np.ndarray, ...]
    label_ids: np.ndarray
    weights: np.ndarray
    doc_ids: Sequence[str] = ()
    chunk_index: Sequence[np.ndarray] = ()
    updates: bool = True

    @property
    def num_examples(self) -> int:
        return int((self.weights.reshape(len(self.weights), -1).max(axis=1) > 0).sum())

    def examples(self) -> Batch:
        """Return the examples as a trace takes them; the first two inputs are token ids or vectors, and their mask."""
        values, mask, *_ = self.inputs
        num = len(self.doc_ids)
        return Batch(values[:num], mask[:num], noted_labels(self.label_ids[:num]), True, self.doc_ids, self.chunk_index)


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        best_epoch: the epoch whose weights were kept, from 1.
        examples_per_second: of training alone, without the readings of dev.
    """

    best_epoch: int
    examples_per_second: float


@dataclass(frozen=True)
class Trained:
    """What a training changes.

    Attributes:
        variables: the model's, those that the best epoch is to leave behind.
        optimizer_variables: all that the optimizer remembers.
        take_step: called with a batch and the number of the step, from 0; takes it and returns the batch's loss.
        optimizer: a tf-keras optimizer.
    """

    variables: Sequence[Any]
    optimizer_variables: Sequence[Any]
    take_step: Callable[[LabelledBatch, int], float]
    optimizer: Any = None


def make_trained(
    forward: Callable[..., Any],
    variables: Sequence[Any],
    optimizer: Any,
    seed: int,
    trace_each_shape: bool,
    accumulates: bool = False,
    max_grad_norm: float | None = None,
    loss_of: Callable[[Any, Any, Any], Any] = weighted_loss,
    regularisation: Regularisation = Regularisation(),
) -> Trained:
    """Return what `train` trains: each step is one of `optimizer` on the loss of a batch, or of several.

    Args:
        forward: called with the batch's inputs and `dropout_seed` (see `hierdoc.encoders.dropout`), and with a gradient penalty with
            `shift`, which is added to the embeddings; returns logits (N, C). It must hold no random state of its own.
        variables: what is trained; all else stays as it is.
        optimizer: a tf-keras optimizer.
        seed: of dropout.
        trace_each_shape: whether `forward` needs to know the inputs' shapes (bert-for-tf2 does).
        accumulates: whether batches may leave the weights as they are (`LabelledBatch.updates`); their gradients are added up
            then, each example of theirs counting as much as in one batch of all of them.
        max_grad_norm: gradients whose norm, over all variables, is larger are scaled down to it (Pascanu et al. 2013).
        loss_of: called with logits, the batch's label_ids and its weights, returns the loss; by default the cross-entropy.
        regularisation: what is added to that.
    """
    tf = compat.load_tensorflow()
    optimizer.build(variables)

    @tf.function(autograph=False, reduce_retracing=not trace_each_shape)
    def loss_and_gradients(
        inputs: tuple[Any, ...], label_ids: Any, weights: Any, dropout_seed: Any
    ) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            loss = regularisation.loss(forward, loss_of, inputs, label_ids, weights, dropout_seed)
        return loss, tape.gradient(loss, variables)

    @tf.function(
        autograph=False, reduce_retracing=True
    )  # apart, so that it is not traced for each length of the inputs
    def apply(gradients: list[Any]) -> None:
        if max_grad_norm is not None:
            dense = [tf.convert_to_tensor(gradient) for gradient in gradients]  # or rows of the embeddings count apart
            gradients, _ = tf.clip_by_global_norm(dense, max_grad_norm)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    sums = GradientSums(variables) if accumulates else None

    def take_step(batch: LabelledBatch, number: int) -> float:
        inputs = tuple(tf.constant(array) for array in batch.inputs)
        labels, weights = tf.constant(batch.label_ids), tf.constant(batch.weights)
        loss, gradients = loss_and_gradients(inputs, labels, weights, tf.constant([seed, number], tf.int64))
        if sums:
            sums.add(gradients, tf.constant(batch.num_examples, tf.float32))
            gradients = sums.take() if batch.updates else []
        if batch.updates:
            apply(gradients)
        return float(loss)

    remembered = [*optimizer.variables, *(sums.variables if sums else [])]
    return Trained(list(variables), remembered, take_step, optimizer)


@dataclass
class _Standing:
    """Where a training stands; all but `kept` goes into a checkpoint's facts.

    Attributes:
        epochs: a reading for each finished epoch.
        num_steps: taken in all.
        losses, sizes: of the steps of the epoch under way.
        best_epoch: from 1; 0 while there is none.
        examples, seconds: of training in the finished epochs.
        epoch_seconds: of training in the epoch under way.
        kept: the variables' values after the best epoch.
    """

    epochs: list[dict[str, Any]] = field(default_factory=list)
    num_steps: int = 0
    losses: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    best_epoch: int = 0
    examples: int = 0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    kept: list[np.ndarray] = field(default_factory=list)

    def save(self, checkpoints: Checkpoints, trained: Trained, trace: TrainingTrace | None) -> None:
        facts = {key: value for key, value in vars(self).items() if key != "kept"}
        arrays = {f"kept-{at}": value for at, value in enumerate(self.kept)}
        if trace:
            arrays |= {_OF_TRACE + name: array for name, array in trace.state().items()}
        for name, variables in (("variable", trained.variables), ("optimizer", trained.optimizer_variables)):
            arrays |= {f"{name}-{at}": variable.numpy() for at, variable in enumerate(variables)}
        checkpoints.save(facts, arrays)

    @classmethod
    def load(cls, checkpoints: Checkpoints, trained: Trained, trace: TrainingTrace | None) -> _Standing | None:
        stored = checkpoints.load()
        if stored is None:
            return None
        facts, arrays = stored
        for name, variables in (("variable", trained.variables), ("optimizer", trained.optimizer_variables)):
            for at, variable in enumerate(variables):
                variable.assign(arrays[f"{name}-{at}"])
        if trace:
            names = [name for name in arrays if name.startswith(_OF_TRACE)]
            trace.restore({name.removeprefix(_OF_TRACE): arrays[name] for name in names})
        num_kept = len(trained.variables) if facts["best_epoch"] else 0
        return cls(**facts, kept=[arrays[f"kept-{at}"] for at in range(num_kept)])


def train(
    trained: Trained,
    batches_of: Callable[[int], Sequence[Callable[[], LabelledBatch]]],
    read_dev: Callable[[], dict[str, float]],
    better: Callable[[dict[str, float], dict[str, float]], bool],
    history: History,
    checkpoints: Checkpoints,
    num_epochs: int,
    patience: int | None,
    description: str,
    unit: str,
    trace: TrainingTrace | None = None,
) -> Outcome:
    """Train for up to `num_epochs` and leave in the variables the weights of the best epoch on dev.

    Goes on from the checkpoint where there is one; the weights and the history are then the same bytes as without the
    interruption, if `trained` computes the same bytes from the same numbers.

    Args:
        trained: what is trained.
        batches_of: the epoch's number, from 0, to its batches, each made when it is called.
        read_dev: measures dev with the weights as they are.
        better: whether a reading of dev beats the best so far.
        history: gets a line for each epoch.
        checkpoints: where the training stands, from time to time.
        num_epochs: the most epochs.
        patience: stop after so many epochs without a better one; None never stops early.
        description, unit: for the progress bar.
        trace: is told of each step; `read_dev` tells it of dev. It is left to be saved, but for a loss that is not finite.

    Raises:
        HierdocFailure: the loss is not finite.
    """
    if trace:
        trace.begin(trained.variables, trained.optimizer)
    now = _Standing.load(checkpoints, trained, trace)
    if now is None:
        now = _Standing()
    else:
        say(f"{description}: goes on from step {now.num_steps}, in epoch {len(now.epochs) + 1}")
    history.restore(now.epochs)
    while len(now.epochs) < num_epochs and (patience is None or len(now.epochs) - now.best_epoch < patience):
        _train_epoch(now, trained, batches_of(len(now.epochs)), checkpoints, num_epochs, description, unit, trace)
        reading = {
            "epoch": len(now.epochs) + 1,
            "train_loss": float(np.average(now.losses, weights=now.sizes)),
            **read_dev(),
        }
        history.add(reading)
        shown = ", ".join(f"{key} {value:.4f}" for key, value in reading.items() if key != "epoch")
        rate = sum(now.sizes) / now.epoch_seconds
        say(f"{description} {reading['epoch']}/{num_epochs}: {shown}, {rate:.1f} {unit}/s")
        if not now.best_epoch or better(reading, now.epochs[now.best_epoch - 1]):
            now.best_epoch = reading["epoch"]
            now.kept = [variable.numpy() for variable in trained.variables]
            if trace:
                trace.keep_dev()
        now.epochs.append(reading)
        now.examples, now.seconds = now.examples + sum(now.sizes), now.seconds + now.epoch_seconds
        now.losses, now.sizes, now.epoch_seconds = [], [], 0.0
        if checkpoints.is_due():
            now.save(checkpoints, trained, trace)
    for variable, value in zip(trained.variables, now.kept):
        variable.assign(value)
    if trace:
        trace.end(trained.variables)
    return Outcome(now.best_epoch, now.examples / now.seconds if now.seconds else 0.0)


def _train_epoch(
    now: _Standing,
    trained: Trained,
    batches: Sequence[Callable[[], LabelledBatch]],
    checkpoints: Checkpoints,
    num_epochs: int,
    description: str,
    unit: str,
    trace: TrainingTrace | None,
) -> None:
    epoch = len(now.epochs) + 1
    with bar(f"{description} {epoch}/{num_epochs}", unit, 0, done=sum(now.sizes)) as progress:
        for make in batches[len(now.losses) :]:
            started = time.monotonic()
            batch = make()
            rate = rate_now(trained.optimizer) if trace else None
            now.losses.append(trained.take_step(batch, now.num_steps))
            now.sizes.append(batch.num_examples)
            now.num_steps += 1
            if trace:
                trace.add_step(batch.examples(), epoch, now.losses[-1], rate)
            if not math.isfinite(now.losses[-1]):
                raise HierdocFailure(_not_finite(now, description, trace))
            now.epoch_seconds += time.monotonic() - started
            progress.total = round(sum(now.sizes) / len(now.sizes) * len(batches))
            progress.update(now.sizes[-1])
            if checkpoints.is_due():
                now.save(checkpoints, trained, trace)


def _not_finite(now: _Standing, description: str, trace: TrainingTrace | None) -> str:
    said = f"{description}: the loss is {now.losses[-1]} in epoch {len(now.epochs) + 1}, step {len(now.losses)}"
    if trace is None:
        return f"{said}; try a lower learning rate"
    trace.save(now.epochs, None, finished=False)
    return f"{said}; try a lower learning rate, or ask why with: {trace.doctor_command}"
