"""python -m hierdoc.train_head: train a head that reads each document's chunk vectors in order.

    python -m hierdoc.train_head runs/complaints --head lstm
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np

from hierdoc import cli
from hierdoc.errors import HierdocError
from hierdoc.progress import say
from hierdoc.stages import store

PATIENCE = 5


def train_sequence_head(
    run: str | PathLike[str],
    head: str = "lstm",
    epochs: int = 50,
    learning_rate: float = 1e-3,
    seed: int = 0,
    overwrite: bool = False,
) -> store.FinishedStage:
    """Write RUN/heads/<head>: a head trained on the training documents' chunk vectors.

    Adam, 32 documents a step, shuffled each epoch; stops after 5 epochs without a better dev accuracy and keeps the
    best epoch's weights, on ties those with the lower dev loss. Test documents are not read.

    Args:
        run: a run directory with finished chunk, finetune and embed stages.
        head: one of `hierdoc.heads.HEADS`.
        epochs: the most epochs.
        learning_rate: Adam's, constant.
        seed: of order and initial weights.
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the others; there is no dev document; an argument is out of range.
        HierdocFailure: the loss became infinite.
    """
    from hierdoc.heads import HEADS
    from hierdoc.sequences.reading import read_split

    if head not in HEADS:
        raise HierdocError(f"`head` must be one of {', '.join(sorted(HEADS))}, but is {head!r} instead")
    if epochs < 1:
        raise HierdocError(f"`epochs` must be at least 1, but is {epochs} instead")
    if not 0 < learning_rate < 1:
        raise HierdocError(f"`learning_rate` must be between 0 and 1, but is {learning_rate} instead")
    parents = {name: store.read(run, name) for name in ("chunk", "finetune", "embed")}
    parameters = {"head": head, "epochs": epochs, "learning_rate": learning_rate, "seed": seed}
    stage = store.begin(run, f"heads/{head}", parameters, parents, overwrite)
    if isinstance(stage, store.FinishedStage):
        return stage
    train, dev = (read_split(parents["chunk"], parents["embed"], split) for split in ("train", "dev"))
    if not len(dev):
        raise HierdocError(f"{parents['chunk'].path}: has no dev documents, and early stopping needs some")
    say(f"{head}: {len(train)} documents of {len(train.documents.vectors)} chunks, {len(dev)} for dev")
    return _train(stage, parameters, train, dev, parents)


def _train(
    stage: store.OpenStage, parameters: dict[str, Any], train: Any, dev: Any, parents: dict[str, store.FinishedStage]
) -> store.FinishedStage:
    from hierdoc.encoders import compat
    from hierdoc.heads import HEADS
    from hierdoc.heads.document_probs import document_probs, save_head
    from hierdoc.learning import loop
    from hierdoc.learning.history import History
    from hierdoc.learning.seeds import generator, seed_tensorflow
    from hierdoc.objectives.classification import accuracy_and_loss
    from hierdoc.sequences import batches

    tf = compat.load_tensorflow()
    labels, dim = parents["chunk"].details["labels"], parents["embed"].details["dim"]
    seed_tensorflow(parameters["seed"])
    model = HEADS[parameters["head"]](dim, len(labels))
    optimizer = tf.keras.optimizers.Adam(parameters["learning_rate"], epsilon=1e-7)

    def make(members: np.ndarray) -> loop.LabelledBatch:
        batch = batches.make_batch(train.documents, members)
        label_ids, weights = np.zeros(len(batch.mask), np.int32), np.zeros(len(batch.mask), np.float32)
        label_ids[: len(members)], weights[: len(members)] = train.label_ids[members], 1
        return loop.LabelledBatch((batch.vectors, batch.mask), label_ids, weights)

    def batches_of(epoch: int) -> list[Any]:
        rng = generator(parameters["seed"], "head epoch", epoch)
        return [functools.partial(make, members) for members in batches.plan_epoch(train.documents.num_chunks, rng)]

    def read_dev() -> dict[str, float]:
        accuracy, loss = accuracy_and_loss(document_probs(model, dev.documents, len(labels)), dev.label_ids)
        return {"dev_accuracy": accuracy, "dev_loss": loss}

    outcome = loop.train(
        step=loop.make_step(
            lambda vectors, mask, training: model([vectors, mask], training=training),
            model.trainable_variables,
            optimizer,
            trace_each_shape=False,
        ),
        batches_of=batches_of,
        read_dev=read_dev,
        better=lambda new, best: (new["dev_accuracy"], -new["dev_loss"]) > (best["dev_accuracy"], -best["dev_loss"]),
        variables=model.variables,
        history=(history := History(stage.path / "history.jsonl")),
        num_epochs=parameters["epochs"],
        patience=PATIENCE,
        description=parameters["head"],
        unit="documents",
    )
    config = {
        "head": parameters["head"],
        "dim": dim,
        "labels": labels,
        "encoder_fingerprint": parents["finetune"].fingerprint,
        "encoding": parents["embed"].parameters,
    }
    save_head(stage.path, model, config)
    found = {"best_epoch": outcome.best_epoch, **history.epochs[outcome.best_epoch - 1], "num_epochs": len(history.epochs)}
    return stage.finish(found, {"documents_per_second": round(outcome.examples_per_second, 1)})


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "train_head",
        "Train a head that reads each document's chunk vectors in order.",
        "python -m hierdoc.train_head runs/complaints --head lstm",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    parser.add_argument("--head", default="lstm", metavar="NAME", help="which head")
    add_arguments(parser)
    parser.set_defaults(function=train_sequence_head, describe=describe)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that every head has."""
    parser.add_argument("--epochs", type=int, default=50, metavar="N", help="the most epochs; dev decides when to stop")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="RATE", help="Adam's, constant")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of order and initial weights")
    cli.add_overwrite(parser)


def describe(stage: store.FinishedStage) -> str:
    """Return the line that says what was made."""
    found = stage.details
    return f"{stage.path}: epoch {found['best_epoch']} of {found['num_epochs']}, dev accuracy {found['dev_accuracy']:.4f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
