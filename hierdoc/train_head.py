"""python -m hierdoc.train_head: train a head that reads each document's chunk vectors in order.

python -m hierdoc.train_head runs/complaints --head lstm
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from os import PathLike

from hierdoc import cli
from hierdoc.errors import HierdocError
from hierdoc.learning.seeds import check_seed
from hierdoc.progress import say
from hierdoc.stages import store
from hierdoc.stages.finished import FinishedStage, read_stage


def train_sequence_head(
    run: str | PathLike[str],
    head: str = "lstm",
    epochs: int = 50,
    learning_rate: float = 1e-3,
    input_dropout: float = 0.0,
    deterministic: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/heads/<head>: a head trained on the training documents' chunk vectors.

    Adam, 32 documents a step, shuffled each epoch; stops after 5 epochs without a better dev accuracy and keeps the
    best epoch's weights, on ties those with the lower dev loss. Test documents are not read.

    Args:
        run: a run directory with finished chunk, finetune and embed stages.
        head: one of `hierdoc.heads.HEADS`.
        epochs: the most epochs.
        learning_rate: Adam's, constant.
        input_dropout: the share of the vectors' numbers that each step sets to 0.
        deterministic: let TensorFlow use only operations that give the same bytes each time.
        seed: of order and initial weights.
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the others; there is no dev document; an argument is out of range.
        HierdocFailure: the loss became infinite.
    """
    from hierdoc.corpus.labels import check_dev_labels, label_ids
    from hierdoc.heads import check_head
    from hierdoc.sequences.reading import read_documents, read_split

    check_head(head)
    check_seed(seed)
    if epochs < 1:
        raise HierdocError(f"`epochs` must be at least 1, but is {epochs} instead")
    if not 0 < learning_rate < 1:
        raise HierdocError(f"`learning_rate` must be between 0 and 1, but is {learning_rate} instead")
    if not 0 <= input_dropout < 1:
        raise HierdocError(f"`input_dropout` must be from 0 to below 1, but is {input_dropout} instead")
    parents = {name: read_stage(run, name) for name in ("chunk", "finetune", "embed")}
    chunk = parents["chunk"]
    dev_labels = [labels[0] for labels in read_documents(chunk, "dev", ["labels"])["labels"].to_pylist()]
    if not dev_labels:
        raise HierdocError(f"{chunk.path}: has no dev documents, and early stopping needs some")
    check_dev_labels(label_ids(dev_labels, chunk.details["labels"]))
    parameters = {
        "head": head,
        "epochs": epochs,
        "learning_rate": learning_rate,
        "input_dropout": input_dropout,
        "deterministic": deterministic,
        "seed": seed,
    }
    stage = store.begin(run, f"heads/{head}", parameters, parents, overwrite)
    if isinstance(stage, FinishedStage):
        return stage
    train, dev = (read_split(chunk, parents["embed"], split) for split in ("train", "dev"))
    say(f"{head}: {len(train)} documents of {len(train.documents.vectors)} chunks, {len(dev)} for dev")
    from hierdoc.encoders.compat import deterministic_ops
    from hierdoc.engines import int8
    from hierdoc.heads.document_probs import save_head
    from hierdoc.learning.checkpoints import Checkpoints
    from hierdoc.learning.head import train_head
    from hierdoc.learning.history import History
    from hierdoc.learning.traces import TrainingTrace

    labels, dim = chunk.details["labels"], parents["embed"].details["dim"]
    history = History(stage.path / "history.jsonl")
    checkpoints = Checkpoints(stage.path, stage.note_time)
    trace = TrainingTrace(stage.path, run, "documents", labels, len(train))
    with deterministic_ops(deterministic):
        model, best_epoch, timings = train_head(train, dev, dim, len(labels), parameters, history, checkpoints, trace)
    config = {
        "head": head,
        "dim": dim,
        "labels": labels,
        "encoder_fingerprint": parents["finetune"].fingerprint,
        "encoding": {key: parents["embed"].details[key] for key in ("engine", "precision")},
    }
    save_head(stage.path, model, config)
    if config["encoding"]["precision"] == "int8":  # a predictor needs the quantized encoder, too
        for name in int8.FILES:
            shutil.copyfile(parents["embed"].path / name, stage.path / name)
    found = {"best_epoch": best_epoch, **history.epochs[best_epoch - 1], "num_epochs": len(history.epochs)}
    return stage.finish(found, timings)


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
    parser.add_argument(
        "--input-dropout",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the vectors' numbers that each step sets to 0; 0.5 gained 0.8 points on newsgroups, lost 0.7 on complaints",
    )
    cli.add_deterministic(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of order and initial weights")
    cli.add_overwrite(parser)


def describe(stage: FinishedStage) -> str:
    """Return the line that says what was made."""
    found = stage.details
    return (
        f"{stage.path}: epoch {found['best_epoch']} of {found['num_epochs']}, dev accuracy {found['dev_accuracy']:.4f}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
