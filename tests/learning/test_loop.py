"""The training loop with steps made by hand, and one real step against Adam computed by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierdoc import HierdocFailure
from hierdoc.encoders import compat
from hierdoc.encoders.dropout import dropout
from hierdoc.learning import checkpoints
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.history import History
from hierdoc.learning.loop import LabelledBatch, Outcome, Trained, make_trained, train


def labelled(num: int = 2, num_fillers: int = 0) -> LabelledBatch:
    """A batch whose inputs do not matter."""
    weights = np.float32([1] * num + [0] * num_fillers)
    return LabelledBatch((np.zeros((len(weights), 1), np.float32),), np.zeros(len(weights), np.int32), weights)


def run_loop(
    path: Path,
    accuracies: Sequence[float],
    losses: Sequence[float] | None = None,
    better: Callable[[dict[str, float], dict[str, float]], bool] | None = None,
    patience: int | None = None,
) -> tuple[Outcome, float, list[dict[str, float]]]:
    """Train a variable that each epoch's only step sets to the epoch's number; return what came of it."""
    variable = compat.load_tensorflow().Variable(-1.0)
    calls: list[int] = []

    def step(batch: LabelledBatch, number: int) -> float:
        assert number == len(calls)
        calls.append(1)
        variable.assign(float(len(calls)))
        return 1.0

    def read_dev() -> dict[str, float]:
        assert variable.numpy() == len(calls)  # dev is read with the epoch's own weights
        return {"accuracy": accuracies[len(calls) - 1], "loss": (losses or accuracies)[len(calls) - 1]}

    history = History(path / "history.jsonl")
    outcome = train(
        Trained([variable], [], step),
        batches_of=lambda epoch: [labelled],
        read_dev=read_dev,
        better=better or (lambda new, best: new["accuracy"] > best["accuracy"]),
        history=history,
        checkpoints=Checkpoints(path),
        num_epochs=len(accuracies),
        patience=patience,
        description="test",
        unit="rows",
    )
    return outcome, float(variable.numpy()), history.epochs


def test_the_best_epochs_weights_are_left_in_the_variables(tmp_path: Path):
    outcome, value, epochs = run_loop(tmp_path, [0.5, 0.7, 0.9, 0.6, 0.8])
    assert outcome.best_epoch == 3 and value == 3.0 and len(epochs) == 5


def test_ties_go_to_the_earlier_epoch_when_better_is_strict(tmp_path: Path):
    outcome, value, _ = run_loop(tmp_path, [0.5, 0.9, 0.9, 0.9])
    assert (outcome.best_epoch, value) == (2, 2.0)


def test_ties_go_to_the_lower_loss_when_better_says_so(tmp_path: Path):
    outcome, value, _ = run_loop(
        tmp_path,
        [0.9, 0.9, 0.9, 0.8],
        losses=[0.5, 0.3, 0.4, 0.1],
        better=lambda new, best: (new["accuracy"], -new["loss"]) > (best["accuracy"], -best["loss"]),
    )
    assert (outcome.best_epoch, value) == (2, 2.0)


def test_patience_stops_after_so_many_epochs_without_a_better_one(tmp_path: Path):
    outcome, value, epochs = run_loop(tmp_path, [0.5, 0.6, 0.5, 0.6, 0.9, 0.9], patience=2)
    assert (outcome.best_epoch, value, len(epochs)) == (2, 2.0, 4)  # the 0.9 of epoch 5 is not reached


def test_a_better_epoch_renews_the_patience(tmp_path: Path):
    outcome, _, epochs = run_loop(tmp_path, [0.5, 0.4, 0.6, 0.5, 0.7, 0.6, 0.6, 0.9], patience=2)
    assert (outcome.best_epoch, len(epochs)) == (5, 7)


def test_without_patience_every_epoch_is_trained(tmp_path: Path):
    outcome, value, epochs = run_loop(tmp_path, [0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert (outcome.best_epoch, value, len(epochs)) == (1, 1.0, 7)


def test_a_line_of_history_is_written_for_each_epoch_and_holds_no_seconds(tmp_path: Path):
    (tmp_path / "history.jsonl").write_text("left by an interrupted run\n")
    _, _, epochs = run_loop(tmp_path, [0.5, 0.25], losses=[1.5, 2.0])
    lines = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert lines == epochs
    assert lines == [
        {"epoch": 1, "train_loss": 1.0, "accuracy": 0.5, "loss": 1.5},
        {"epoch": 2, "train_loss": 1.0, "accuracy": 0.25, "loss": 2.0},
    ]


def test_the_training_loss_is_the_mean_over_examples_and_batches_come_by_epoch(tmp_path: Path):
    asked: list[int] = []
    losses = iter([4.0, 1.0, 3.0])

    def batches_of(epoch: int) -> list[Callable[[], LabelledBatch]]:
        asked.append(epoch)
        return (
            [lambda: labelled(num=3, num_fillers=1), lambda: labelled(num=1, num_fillers=3)]
            if epoch == 0
            else [labelled]
        )

    history = History(tmp_path / "h.jsonl")
    trained = Trained([], [], lambda batch, number: next(losses))
    train(
        trained, batches_of, dict, lambda new, best: True, history, Checkpoints(tmp_path), 2, None, "test", "rows"
    )  # fmt: skip
    assert asked == [0, 1]
    assert [epoch["train_loss"] for epoch in history.epochs] == [(3 * 4.0 + 1 * 1.0) / 4, 3.0]


@pytest.mark.parametrize("loss", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_fails_with_the_step_and_what_to_try(tmp_path: Path, loss: float):
    losses = iter([1.0, 1.0, 1.0, loss])
    with pytest.raises(HierdocFailure) as error:
        train(
            Trained([], [], lambda batch, number: next(losses)), lambda epoch: [labelled] * 3, dict,
            lambda new, best: True, History(tmp_path / "h.jsonl"), Checkpoints(tmp_path), 2, None, "finetune", "chunks",
        )  # fmt: skip
    assert str(error.value) == f"finetune: the loss is {loss} in epoch 2, step 1; try a lower learning rate"


def linear_forward(kernel):
    """Logits x @ kernel, as `make_trained` wants its model."""

    def forward(x, dropout_seed):
        return compat.load_tensorflow().matmul(x, kernel)

    return forward


X = np.float32([[1.0, 2.0], [0.5, -1.0], [3.0, 0.25]])
LABELS = np.int32([0, 1, 1])
KERNEL = np.float32([[0.1, -0.2], [0.3, 0.4]])


def gradient_by_hand(
    x: np.ndarray, labels: np.ndarray, weights: np.ndarray, kernel: np.ndarray
) -> tuple[float, np.ndarray]:
    """Weighted cross-entropy and its gradient, one row at a time in float64."""
    total, gradient = 0.0, np.zeros_like(kernel, np.float64)
    for row, label, weight in zip(x.astype(np.float64), labels, weights, strict=True):
        logits = row @ kernel.astype(np.float64)
        probs = np.exp(logits) / np.exp(logits).sum()
        total += weight * -math.log(probs[label])
        probs[label] -= 1
        gradient += weight * np.outer(row, probs)
    count = (weights > 0).sum()
    return total / count, gradient / count


@pytest.mark.parametrize("trace_each_shape", [True, False])
def test_a_step_is_one_step_of_adam(trace_each_shape: bool):
    tf = compat.load_tensorflow()
    kernel = tf.Variable(KERNEL)
    weights = np.float32([1.0, 2.0, 0.5])
    adam = tf.keras.optimizers.Adam(0.01, epsilon=1e-7)
    step = make_trained(linear_forward(kernel), [kernel], adam, 0, trace_each_shape).take_step
    wanted, first, second = KERNEL.astype(np.float64), np.zeros((2, 2)), np.zeros((2, 2))
    for number in (1, 2, 3):  # Kingma and Ba 2015, algorithm 1
        loss, gradient = gradient_by_hand(X, LABELS, weights, wanted)
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
        wanted = wanted - 0.01 * (first / (1 - 0.9**number)) / (np.sqrt(second / (1 - 0.999**number)) + 1e-7)
        assert step(LabelledBatch((X,), LABELS, weights), number) == pytest.approx(loss, rel=1e-5)  # float32
        # float32, and Keras adds epsilon before the correction of the second moment: 1e-7 of a step of 1e-2
        np.testing.assert_allclose(kernel.numpy(), wanted, rtol=0, atol=1e-6)


def test_rows_of_weight_0_contribute_nothing():
    tf = compat.load_tensorflow()
    results = []
    for filler in (np.float32([[0, 0]]), np.float32([[1e3, -1e3]])):
        kernel = tf.Variable(KERNEL)
        step = make_trained(linear_forward(kernel), [kernel], tf.keras.optimizers.SGD(0.1), 0, True).take_step
        loss = step(
            LabelledBatch(
                (np.concatenate([X, filler]),), np.append(LABELS, 0).astype(np.int32), np.float32([1, 1, 1, 0])
            ),
            0,
        )
        results.append((loss, kernel.numpy()))
    loss, gradient = gradient_by_hand(X, LABELS, np.ones(3), KERNEL)
    for found_loss, found_kernel in results:
        assert found_loss == pytest.approx(loss, rel=1e-6)
        np.testing.assert_allclose(found_kernel, KERNEL - 0.1 * gradient, rtol=0, atol=1e-6)


def labelled_rows(rows: slice, updates: bool = True) -> LabelledBatch:
    """Rows of X, with one to fill up."""
    num = len(LABELS[rows])
    x, labels = np.zeros((num + 1, 2), np.float32), np.zeros(num + 1, np.int32)
    x[:num], labels[:num] = X[rows], LABELS[rows]
    return LabelledBatch((x,), labels, np.float32([2, 1, 1][rows] + [0]), updates=updates)


def test_batches_whose_gradients_are_added_up_are_as_one_batch_of_all_their_examples():
    tf = compat.load_tensorflow()
    values = {}
    for name, steps in {
        "one": [labelled_rows(slice(0, 3))],
        "three": [labelled_rows(slice(0, 1), False), labelled_rows(slice(1, 3))],
    }.items():
        kernel = tf.Variable(KERNEL)
        trained = make_trained(
            linear_forward(kernel), [kernel], tf.keras.optimizers.SGD(0.1), 0, True, accumulates=name == "three"
        )
        for _ in range(2):  # what was added up is forgotten after each step
            for number, batch in enumerate(steps):
                before = kernel.numpy()
                trained.take_step(batch, number)
                assert (kernel.numpy() != before).any() == batch.updates
        values[name] = kernel.numpy()
    np.testing.assert_allclose(values["three"], values["one"], rtol=0, atol=1e-6)


@pytest.mark.parametrize("share", [0.25, 1.5])
def test_gradients_of_a_larger_norm_over_all_variables_are_scaled_down_to_it(share: float):
    tf = compat.load_tensorflow()
    table, kernel = tf.Variable(KERNEL), tf.Variable(KERNEL)  # of the first, rows are taken, one of them twice

    def forward(x, dropout_seed):
        return tf.gather(table, [0, 1, 1]) + tf.matmul(x, kernel)

    batch = LabelledBatch((X,), LABELS, np.float32([1, 1, 1]))
    moved = []
    for norm in (None, share):
        table.assign(KERNEL), kernel.assign(KERNEL)
        if norm is not None:
            norm *= np.sqrt(sum(np.square(change).sum() for change in moved[0]))
        step = make_trained(forward, [table, kernel], tf.keras.optimizers.SGD(1.0), 0, True, max_grad_norm=norm)
        step.take_step(batch, 0)
        moved.append([KERNEL - variable.numpy() for variable in (table, kernel)])
    for whole, clipped in zip(*moved, strict=True):
        np.testing.assert_allclose(clipped, whole * min(1, share), rtol=0, atol=1e-6)


def test_a_step_goes_down_the_loss_that_was_given():
    tf = compat.load_tensorflow()
    kernel, seen = tf.Variable(KERNEL), []

    def loss_of(logits: Any, label_ids: Any, weights: Any) -> Any:
        seen.append((logits.shape, label_ids.shape, weights.shape))
        return tf.reduce_sum(weights[:, None] * label_ids * logits)

    shares = np.float32([[1, 2], [3, 4], [5, 6]])
    step = make_trained(
        lambda x, dropout_seed: tf.matmul(x, kernel), [kernel], tf.keras.optimizers.SGD(0.5), 0, True, loss_of=loss_of
    )
    loss = step.take_step(LabelledBatch((X,), shares, np.float32([1, 1, 0])), 0)
    wanted = shares * [[1], [1], [0]]
    assert loss == pytest.approx(float((wanted * (X @ KERNEL)).sum()), rel=1e-5)
    np.testing.assert_allclose(kernel.numpy(), KERNEL - 0.5 * X.T @ wanted, rtol=1e-5)
    assert seen == [((3, 2), (3, 2), (3,))]


def test_only_the_given_variables_are_trained():
    tf = compat.load_tensorflow()
    kernel, frozen = tf.Variable(KERNEL), tf.Variable([[1.0, 0.0], [0.0, 1.0]])
    trained = make_trained(
        lambda x, dropout_seed: tf.matmul(tf.matmul(x, frozen), kernel), [kernel], tf.keras.optimizers.SGD(0.1), 0, True
    )
    trained.take_step(LabelledBatch((X,), LABELS, np.ones(3, np.float32)), 0)
    assert frozen.numpy().tolist() == [[1, 0], [0, 1]] and (kernel.numpy() != KERNEL).any()


def test_each_step_gets_the_seed_and_its_number():
    tf = compat.load_tensorflow()
    seen = tf.Variable([0, 0], dtype=tf.int64)
    kernel = tf.Variable(KERNEL)

    def forward(x, dropout_seed):
        seen.assign(dropout_seed)
        return tf.matmul(x, kernel)

    trained = make_trained(forward, [kernel], tf.keras.optimizers.SGD(0.1), 7, True)
    for number in (0, 5, 2**33):
        trained.take_step(LabelledBatch((X,), LABELS, np.ones(3, np.float32)), number)
        assert seen.numpy().tolist() == [7, number]


class Stopped(Exception):
    """What an interruption is in the next test."""


def adam_training(folder: Path, stop_at: int | None) -> tuple[bytes, str, list[int]]:
    """Train a kernel for 4 epochs of 3 steps with Adam and dropout; return its bytes, the history, the steps taken.

    The second step of each leaves the weights as they are, and its gradients to the third. The best epoch is the second. A checkpoint is written after each step; the step `stop_at` does not come to its end.
    """
    tf = compat.load_tensorflow()
    kernel = tf.Variable(KERNEL)

    def forward(x, dropout_seed):
        return tf.matmul(dropout(x, 0.5, dropout_seed, 0), kernel)

    real = make_trained(forward, [kernel], tf.keras.optimizers.Adam(0.1), 3, True, accumulates=True)
    steps: list[int] = []

    def take_step(batch: LabelledBatch, number: int) -> float:
        loss = real.take_step(batch, number)
        if number == stop_at:
            raise Stopped
        steps.append(number)
        return loss

    def batches_of(epoch: int) -> list[Callable[[], LabelledBatch]]:
        rows = np.random.default_rng(epoch).normal(size=(3, 3, 2)).astype(np.float32)
        return [
            lambda x=x, at=at: LabelledBatch((x,), LABELS, np.ones(3, np.float32), updates=at != 1)
            for at, x in enumerate(rows)
        ]

    history = History(folder / "h.jsonl")
    accuracy = {1: 0.5, 2: 0.9, 3: 0.6, 4: 0.7}
    train(
        Trained(real.variables, real.optimizer_variables, take_step), batches_of,
        lambda: {"accuracy": accuracy[len(history.epochs) + 1], "norm": float(np.abs(kernel.numpy()).sum())},
        lambda new, best: new["accuracy"] > best["accuracy"], history, Checkpoints(folder), 4, None, "test", "rows",
    )  # fmt: skip
    return kernel.numpy().tobytes(), (folder / "h.jsonl").read_text(), steps


@pytest.mark.parametrize("stop_at", range(12))
def test_a_training_goes_on_from_its_checkpoint_as_if_nothing_had_happened(
    tmp_path: Path, stop_at: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(checkpoints, "FEWEST_SECONDS", 0)
    monkeypatch.setattr(checkpoints, "MOST_SHARE", math.inf)
    (tmp_path / "whole").mkdir()
    (tmp_path / "stopped").mkdir()
    weights, history, steps = adam_training(tmp_path / "whole", None)
    with pytest.raises(Stopped):
        adam_training(tmp_path / "stopped", stop_at)
    resumed_weights, resumed_history, resumed_steps = adam_training(tmp_path / "stopped", None)
    assert resumed_weights == weights and resumed_history == history
    assert steps == list(range(12)) and resumed_steps == list(range(stop_at, 12))  # no step is taken twice


def test_num_examples_counts_the_rows_with_a_weight():
    assert labelled(num=3, num_fillers=2).num_examples == 3
