"""python -m hierdoc.train_head: train a head that reads what the encoder made of each document's chunks.

python -m hierdoc.train_head runs/complaints --head lstm
"""

from __future__ import annotations

import argparse
import inspect
import shutil
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from hierdoc import cli
from hierdoc.errors import HierdocError
from hierdoc.heads import DEFAULT_HEAD, check_answers, check_head
from hierdoc.learning.arguments import OF_LOSS, PLAIN_LOSS, check_ranges
from hierdoc.learning.seeds import check_seed
from hierdoc.progress import say
from hierdoc.sequences.grouping import INPUTS, inputs_size
from hierdoc.sequences.reading import has_label_lists, read_documents, read_labels, read_split, read_texts
from hierdoc.stages import store
from hierdoc.stages.finished import FinishedStage, read_stage

RANGES = (
    ("inputs", str, lambda name: name in INPUTS, f"one of {', '.join(INPUTS)}"),
    ("epochs", int, lambda number: number >= 1, "at least 1"),
    ("learning_rate", (int, float), lambda rate: 0 < rate < 1, "between 0 and 1"),
    ("input_dropout", (int, float), lambda share: 0 <= share < 1, "from 0 to below 1"),
    *OF_LOSS,
)
LEARNED_BY = tuple(name for name, *_ in RANGES)
EARLIER = {"inputs": "vectors", "words": False, **PLAIN_LOSS}  # what trainings did before there were these parameters


def train_sequence_head(
    run: str | PathLike[str],
    head: str = DEFAULT_HEAD,
    inputs: str = "vectors",
    words: bool = False,
    epochs: int = 50,
    learning_rate: float = 1e-3,
    input_dropout: float = 0.0,
    class_weight: str = "none",
    focal_gamma: float = 0.0,
    label_smoothing: float = 0.0,
    gradient_penalty: float = 0.0,
    r_drop: float = 0.0,
    deterministic: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/heads/<head>: a head trained on the training documents' chunk vectors.

    Adam, 32 documents a step, shuffled each epoch. The best epoch is that with the best dev accuracy, of equal ones that with the
    lower dev loss; its weights are kept, and training stops 5 epochs after it. Test documents are not read.

    Args:
        run: a run directory with finished chunk, finetune and embed stages.
        head: one of `hierdoc.heads.HEADS`.
        inputs: what it reads of each chunk: vectors, probs (of the chunk softmax), or both.
        words: join it with a linear SVM on the TF-IDF of the whole documents' words: the answer is the softmax of the head's
            log-probabilities and the SVM's scores, each times a share that makes dev's labels most likely.
        epochs: the most epochs.
        learning_rate: Adam's, constant.
        input_dropout: the share of the vectors' numbers that each step sets to 0.
        class_weight, focal_gamma, label_smoothing, gradient_penalty, r_drop: as in `finetune_encoder`, of documents for
            chunks and of chunks' vectors for tokens' embeddings. r_drop is of the input dropout.
        deterministic: let TensorFlow use only operations that give the same bytes each time.
        seed: of order and initial weights.
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the others; there is no dev document; an argument is out of range.
        HierdocFailure: the loss became infinite.
    """
    learned_by = {name: value for name, value in locals().items() if name in LEARNED_BY}
    check_head(head)
    check_seed(seed)
    check_arguments(**learned_by)
    parents = stages_for_heads(run)
    chunk = parents["chunk"]
    check_answers(head, has_label_lists(chunk))
    parameters = {
        "head": head,
        **learned_by,
        "words": words,
        "deterministic": deterministic,
        "seed": seed,
    }
    stage = store.begin(run, f"heads/{head}", parameters, parents, overwrite, EARLIER)
    if isinstance(stage, FinishedStage):
        return stage
    train = read_split(chunk, parents["embed"], "train", inputs, stage.path / store.SCRATCH)
    dev = read_split(chunk, parents["embed"], "dev", inputs)
    say(f"{head}: {len(train)} documents of {len(train.documents.vectors)} chunks, {len(dev)} for dev")
    from hierdoc.encoders.compat import deterministic_ops
    from hierdoc.learning.checkpoints import Checkpoints
    from hierdoc.learning.head import train_head
    from hierdoc.learning.history import History
    from hierdoc.learning.traces import TrainingTrace
    from hierdoc.objectives import objective_of

    labels, objective = chunk.details["labels"], objective_of(has_label_lists(chunk))
    dim = inputs_size(inputs, parents["embed"].details["dim"], len(labels))
    history = History(stage.path / "history.jsonl")
    checkpoints = Checkpoints(stage.path, stage.note_time)
    trace = TrainingTrace(stage.path, run, "documents", labels, len(train), multi_label=objective.multi_label)
    with deterministic_ops(deterministic):
        model, best_epoch, timings = train_head(
            train, dev, dim, len(labels), parameters, history, checkpoints, trace, objective
        )
    config = {"head": head, "inputs": inputs, "words": words, "dim": dim, "labels": labels}
    config["multi_label"] = objective.multi_label
    _save(stage.path, model, config, parents)
    about = _join_words(stage.path, chunk, parents["embed"], objective) if words else {}
    if objective.multi_label:
        about |= _tune_thresholds(stage.path, chunk, parents)
    found = {"best_epoch": best_epoch, **history.epochs[best_epoch - 1], "num_epochs": len(history.epochs), **about}
    return stage.finish(found, timings)


def stages_for_heads(run: str | PathLike[str]) -> dict[str, FinishedStage]:
    """Return the stages that a head is trained from: chunk, finetune and embed.

    Raises:
        HierdocError: one is missing; there is no dev document to choose an epoch by.
    """
    from hierdoc.corpus.labels import check_dev_labels

    stages = {name: read_stage(run, name) for name in ("chunk", "finetune", "embed")}
    chunk = stages["chunk"]
    dev_labels, dev_label_ids = read_labels(chunk, read_documents(chunk, "dev", ["labels"])["labels"].to_pylist())
    if not dev_labels:
        raise HierdocError(f"{chunk.path}: has no dev documents, and early stopping needs some")
    check_dev_labels(dev_label_ids, chunk.path)
    return stages


def check_arguments(**arguments: Any) -> None:
    """Check the arguments of `train_sequence_head` that describe the training; what is left out has its default.

    Raises:
        HierdocError: one is out of range, or has no effect.
    """
    of_stage = inspect.signature(train_sequence_head).parameters
    defaults = {name: of_stage[name].default for name in LEARNED_BY}
    given = {**defaults, **arguments}
    check_ranges(given, defaults, RANGES)
    if given["r_drop"] and not given["input_dropout"]:
        raise HierdocError("`r_drop` has no effect without `input_dropout`: both passes would be the same")


def _save(folder: Path, model: Any, config: dict[str, Any], parents: dict[str, FinishedStage]) -> None:
    """Write into `folder` what a predictor needs of the head and the encoding that it reads."""
    from hierdoc.engines import int8
    from hierdoc.heads.document_probs import save_head

    embed = parents["embed"]
    encoding = {key: embed.details[key] for key in ("engine", "precision")}
    save_head(folder, model, {**config, "encoder_fingerprint": parents["finetune"].fingerprint, "encoding": encoding})
    if encoding["precision"] == "int8":  # a predictor needs the quantized encoder, too
        for name in int8.FILES:
            shutil.copyfile(embed.path / name, folder / name)


def _join_words(folder: Path, chunk: FinishedStage, embed: FinishedStage, objective: Any) -> dict[str, float]:
    """Write the words' classifier beside the head in `folder`; return how it and both together answer on dev."""
    from hierdoc.heads.document_probs import load_document_probs
    from hierdoc.words.classifier import fit_words, save_words, with_shares

    train, dev = (read_texts(chunk, split) for split in ("train", "dev"))
    say(f"words: a linear SVM on {len(train.texts)} documents")
    words = fit_words(train.texts, train.label_ids, dev.texts, dev.label_ids, len(chunk.details["labels"]))
    save_words(folder, words)  # as yet without a share
    head_probs, _ = load_document_probs(folder)
    probs, scores = head_probs(read_split(chunk, embed, "dev").documents, dev.texts), words.scores(dev.texts)
    words = with_shares(words, probs, scores, dev.label_ids)
    save_words(folder, words)
    alone, _ = objective.read(objective.probs_of(scores), dev.label_ids)
    both, loss = objective.read(words.join(probs, scores), dev.label_ids)
    say(
        f"words: {alone:.4f} of dev by words, {both:.4f} with the head, whose share is {words.head_share:.2g} to {words.words_share:.2g}"
    )
    return {f"words_dev_{objective.measure}": alone, f"joined_dev_{objective.measure}": both, "joined_dev_loss": loss}


def _tune_thresholds(folder: Path, chunk: FinishedStage, parents: dict[str, FinishedStage]) -> dict[str, float]:
    """Write the labels' thresholds beside the head in `folder`; return the micro-F1 on dev, which tuned them."""
    from hierdoc.answers.thresholds import FEW, save_thresholds, tune_thresholds
    from hierdoc.evaluation.truth import Truth
    from hierdoc.heads.document_probs import load_document_probs

    dev = read_texts(chunk, "dev")
    head_probs, config = load_document_probs(folder)
    probs = head_probs(read_split(chunk, parents["embed"], "dev").documents, dev.texts)
    thresholds = tune_thresholds(probs, dev.label_ids)
    if few := int((dev.label_ids.sum(axis=0) < FEW).sum()):
        say(f"thresholds: {few} of {len(thresholds)} labels have fewer than {FEW} documents in dev and share one")
    save_thresholds(folder, config, thresholds)
    return {"tuned_dev_micro_f1": Truth(dev.label_ids, dev.labels, config["labels"]).judge(probs >= thresholds)}


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "train_head",
        "Train a head that reads what the encoder made of each document's chunks.",
        "python -m hierdoc.train_head runs/complaints --head lstm",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    add_choice(parser, words=False)
    add_arguments(parser)
    parser.set_defaults(function=train_sequence_head, describe=describe)
    return parser


def add_choice(parser: argparse.ArgumentParser, words: bool) -> None:
    """Add the arguments of which head, and whether with words (`run` shares them), which is the default if `words`."""
    parser.add_argument(
        "--head",
        default=DEFAULT_HEAD,
        metavar="NAME",
        help="mean_pool, max_pool, mean_probs, attention or textcnn, or what reads the chunks in order: lstm, bilstm, gru or transformer",
    )
    add_words(parser, words)


def add_words(parser: argparse.ArgumentParser, words: bool) -> None:
    """Add the argument that joins a head with words."""
    parser.add_argument(
        "--words",
        action=argparse.BooleanOptionalAction,
        default=words,
        help="join it with a linear SVM on TF-IDF of the whole documents' words; gained 4 points on newsgroups, 0.8 on complaints and 0.5 on movie reviews; on speeches of countries that training had not seen -1.5, which can't be told from 0",
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the other arguments that every head has."""
    parser.add_argument(
        "--inputs",
        default="vectors",
        metavar="NAME",
        help="what it reads of each chunk: vectors, probs, or both, which gained the LSTM 0.9 points on complaints and mean_pool nothing",
    )
    parser.add_argument("--epochs", type=int, default=50, metavar="N", help="the most epochs; dev decides when to stop")
    parser.add_argument("--learning-rate", type=float, default=1e-3, metavar="RATE", help="Adam's, constant")
    parser.add_argument(
        "--input-dropout",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the vectors' numbers that each step sets to 0; 0.5 gained the LSTM 0.3 points on newsgroups, lost 0.7 on complaints",
    )
    cli.add_losses(parser)
    cli.add_deterministic(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of order and initial weights")
    cli.add_overwrite(parser)


def describe(stage: FinishedStage) -> str:
    """Return the line that says what was made."""
    found = stage.details
    joined = [found[name] for name in ("joined_dev_accuracy", "joined_dev_micro_f1") if name in found]
    said = cli.reading(found, "dev") + "".join(f"; {value:.4f} with the words" for value in joined)
    return f"{stage.path}: epoch {found['best_epoch']} of {found['num_epochs']}, {said}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
