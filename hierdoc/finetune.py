"""python -m hierdoc.finetune: fine-tune the encoder to name the class of each chunk.

python -m hierdoc.finetune runs/complaints --epochs 3
"""

from __future__ import annotations

import argparse
import functools
import inspect
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierdoc import cli
from hierdoc.chunking.tokenizers import save_tokenizer
from hierdoc.corpus.labels import check_dev_labels
from hierdoc.encoders.bert import check_trainable_layers
from hierdoc.encoders.poolings import check_pooling, pooling_of
from hierdoc.encoders.pretrained import EncoderSource, find_encoder
from hierdoc.errors import HierdocError
from hierdoc.learning.arguments import EARLIER, check_of_encoder
from hierdoc.learning.seeds import check_seed
from hierdoc.learning.two_stages import TwoStages
from hierdoc.progress import say
from hierdoc.sequences.reading import has_label_lists
from hierdoc.stages import store
from hierdoc.stages.finished import FinishedStage, read_stage

if TYPE_CHECKING:
    from hierdoc.sequences.reading import TrainingChunks

WIDE_ENCODER = 768  # from this hidden size on, BERT's own learning rate; smaller encoders learn faster
WIDE_RATE, RATE, RATE_OF_LAST_LAYERS = 2e-5, 5e-5, 2e-4  # the last by experiments/017-schedules
ADAPTERS = "adapters.safetensors"


def finetune_encoder(
    run: str | PathLike[str],
    pooling: str | None = None,
    epochs: int = 3,
    learning_rate: float | None = None,
    layer_decay: float = 1.0,
    precision: str = "auto",
    freeze_embeddings: bool = False,
    trainable_layers: int | None = None,
    adapter_size: int | None = None,
    chunks_per_document: int | None = None,
    class_weight: str = "none",
    focal_gamma: float = 0.0,
    label_smoothing: float = 0.0,
    gradient_penalty: float = 0.0,
    r_drop: float = 0.0,
    decay: str = "linear",
    warmup: float = 0.1,
    batch_size: int = 16,
    gradient_accumulation: int = 1,
    max_grad_norm: float | None = None,
    joint: str | PathLike[str] | None = None,
    joint_head: str | None = None,
    chunks_at_once: int = 16,
    deterministic: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/finetune: the encoder and a softmax over a chunk's vector, trained on the chunks with their documents' labels.

    Adam (epsilon 1e-7), steps of chunks of about one length, warm-up and decay of the rate, dropout 0.2 before the
    softmax (Devlin et al. 2019 use 0.1), no weight decay. The weights kept are those of the epoch with the best chunk
    accuracy on dev (micro-F1 of any number of labels), the earlier one on ties; `joint` says how it differs.

    Args:
        run: a run directory with a finished chunk stage.
        pooling: what a chunk's vector is: the last layer's [CLS] (cls), the mean or max of its tokens, the last four layers' [CLS] side by
            side (last4), or BERT's pooler, a tanh of a dense layer on [CLS], which is trained, too. By default cls; with `joint` what
            that run has.
        epochs: over the training chunks. 0 keeps the pretrained encoder as it is and fits the softmax only, by
            scikit-learn's logistic regression on all training chunks.
        learning_rate: the peak; by default 2e-5 for encoders of hidden size 768 and more, 5e-5 for smaller ones, and 2e-4 for these
            with `trainable_layers` and without `joint`.
        layer_decay: the softmax learns at the full rate, the encoder's last layer at this share of it, each layer before at this
            share of the next one's, and the embeddings at this share of the first layer's (Howard and Ruder 2018; Sun et al. 2019).
        precision: auto, float32 or bfloat16 (where the CPU has it; auto takes it then).
        freeze_embeddings: leave the embeddings as they are.
        trainable_layers: train the last so many layers (and the softmax) only. What the others make of the chunks, without
            dropout, is computed once and kept in a file until the training ends: 2 bytes (4 in float32) a number.
        adapter_size: train adapters of so many numbers in each layer, and the layer normalisations, and leave all else as it was
            pretrained (Houlsby et al. 2019); what is trained is also written by itself, as adapters.safetensors.
        chunks_per_document: draw so many chunks of each document in each epoch; by default all.
        class_weight: none, or balanced: rare classes count more.
        focal_gamma: how much less chunks count that are answered well already (Lin et al. 2017); 0 is the cross-entropy.
        label_smoothing: the share of a label that is spread over all classes (Szegedy et al. 2016).
        gradient_penalty: adds half this share of the squared norm of the gradient of a step's mean loss with respect to the
            tokens' embeddings: twice the batch size halves it.
        r_drop: adds half this share of the disagreement of two passes with different dropout (Liang et al. 2021).
        decay: of the rate after the warm-up: linear or cosine, to 0, or exponential, to 1 % of the peak.
        warmup: the share of the steps in which the rate rises.
        batch_size: chunks a step.
        gradient_accumulation: change the weights after so many steps, by the gradients of all of them.
        max_grad_norm: scale larger gradients down to this norm; by default none.
        joint: another run with a trained head, from which to go on: the loss of a document flows through the head into the encoder, by
            all its chunks in each step, or by `chunks_per_document` of them, in order; 8 documents a step, and the head learns at 10
            times the encoder's rate. RUN gets its chunk stage where it has none. The best epoch is that with the best document
            accuracy (micro-F1) on dev, the lower loss on ties. The chunk softmax learns beside it, without dropout, and nothing of
            its loss reaches the encoder. embed and train_head follow as ever.
        joint_head: which head of that run; by default the one there is.
        chunks_at_once: how many chunks of a joint step are in memory at once; each is computed twice, whatever the number.
        deterministic: let TensorFlow use only operations that give the same bytes each time.
        seed: of order, dropout and initial weights.
        overwrite: make the stage again.

    Raises:
        HierdocError: the chunk stage is missing; an argument is out of range; weights of the encoder are missing.
        HierdocFailure: the loss became infinite.
    """
    parameters = check_arguments(**training_arguments(locals()))
    trained = None if joint is None else TwoStages.read(joint, joint_head)
    chunk = read_stage(run if trained is None else trained.run, "chunk")
    source = _find_encoder_of(chunk)
    if trained is None:
        config = dict(source.config)
        config |= {} if pooling in (None, "cls") else {"pooling": pooling}
        config |= {} if adapter_size is None else {"adapter_size": adapter_size}
    else:
        config = trained.config
        if pooling not in (None, pooling_of(config)):
            raise HierdocError(f"`pooling` must be {pooling_of(config)}, as in {joint}, but is {pooling} instead")
        parameters |= {"joint": trained.head.fingerprint, "joint_head": trained.name, "pooling": pooling_of(config)}
    check_trainable_layers(trainable_layers, config["num_hidden_layers"])
    check_pooling(config, trainable_layers)
    if trained is not None:
        chunk = trained.share_chunks(run)
    train, dev = _read_train_and_dev(chunk)
    if learning_rate is None:
        of_last_layers = trainable_layers is not None and trained is None
        parameters["learning_rate"] = _default_rate(source.config["hidden_size"], of_last_layers)
    stage = store.begin(run, "finetune", parameters, {"chunk": chunk}, overwrite, EARLIER)
    if isinstance(stage, FinishedStage):
        return stage
    from hierdoc.encoders.compat import deterministic_ops
    from hierdoc.learning.checkpoints import Checkpoints
    from hierdoc.learning.encoder import fit_softmax, train_encoder
    from hierdoc.learning.history import History
    from hierdoc.learning.seeds import seed_tensorflow
    from hierdoc.learning.traces import TrainingTrace
    from hierdoc.objectives import objective_of

    seed_tensorflow(seed)
    history = History(stage.path / "history.jsonl")
    labels, chunk_size = chunk.details["labels"], chunk.parameters["chunk_size"]
    objective = objective_of(has_label_lists(chunk))
    checkpoints = Checkpoints(stage.path, stage.note_time)
    if trained is not None:
        from hierdoc.learning.joint import train_jointly

        encoder, *heads = trained.load()
        fit = functools.partial(train_jointly, encoder, *heads)
    else:
        encoder, num_loaded, num_expected = _load_encoder(source, config)
        trace = TrainingTrace(
            stage.path, run, "chunks", labels, len(train.doc_ids), num_loaded, num_expected, objective.multi_label
        )
        fit = functools.partial(fit_softmax if epochs == 0 else train_encoder, encoder, trace=trace)
    with deterministic_ops(deterministic):
        head, best_epoch, timings = fit(
            train, dev, len(labels), chunk_size, parameters, history, checkpoints, objective=objective
        )
    _save(stage.path, source, encoder, head, chunk)
    reading = next(reading for reading in history.epochs if reading["epoch"] == best_epoch)
    about = _save_adapters(stage.path, encoder, parameters) if "adapter_size" in config else {}
    return stage.finish({"best_epoch": best_epoch, **reading, **about}, timings)


def _default_rate(hidden_size: int, of_last_layers: bool) -> float:
    if hidden_size >= WIDE_ENCODER:
        return WIDE_RATE
    return RATE_OF_LAST_LAYERS if of_last_layers else RATE


def training_arguments(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of a function's arguments that are `finetune_encoder`'s and describe the training."""
    of_stage = cli.arguments_of(finetune_encoder, arguments)
    return {name: value for name, value in of_stage.items() if name not in ("run", "overwrite")}


def check_arguments(**arguments: Any) -> dict[str, Any]:
    """Return the stage's parameters, after checking what can be checked without the chunks and their encoder.

    Args:
        arguments: those of `finetune_encoder` that describe the training; what is left out has its default.

    Raises:
        HierdocError: an argument is out of range, or has no effect.
    """
    from hierdoc.engines.precision import resolve_precision

    defaults = inspect.signature(finetune_encoder).bind_partial()
    defaults.apply_defaults()
    of_training = training_arguments(defaults.arguments)
    if unknown := arguments.keys() - of_training:
        raise TypeError(f"finetune_encoder has no argument {min(unknown)!r}")
    given = {**of_training, **arguments}
    check_of_encoder(given, of_training)
    check_seed(given["seed"])
    return {**given, "pooling": given["pooling"] or "cls", "precision": resolve_precision(given["precision"])}


def _find_encoder_of(chunk: FinishedStage) -> EncoderSource:
    """Return the encoder whose vocabulary cut the chunks, if it is still the same."""
    source = find_encoder(chunk.details["encoder"])
    if source.sha256 != chunk.parameters["encoder_sha256"]:
        raise HierdocError(
            f"{chunk.path}: was made with another encoder than {source.name} is now; chunk again with --overwrite"
        )
    return source


def _read_train_and_dev(chunk: FinishedStage) -> tuple[TrainingChunks, TrainingChunks]:
    """Return the chunks to learn from, and those to choose the best epoch by."""
    from hierdoc.sequences.reading import read_chunks

    train, dev = (read_chunks(chunk, split) for split in ("train", "dev"))
    if not dev.rows:
        raise HierdocError(f"{chunk.path}: has no dev documents, and the best epoch is chosen on dev")
    check_dev_labels(dev.label_ids, chunk.path)
    return train, dev


def _load_encoder(source: EncoderSource, config: dict[str, Any]) -> tuple[Any, int, int]:
    """Return the encoder as it was pretrained, how many of its arrays were loaded and how many should have been."""
    from hierdoc.encoders import ENCODERS

    encoder = ENCODERS["bert"](config)
    weights = source.load_weights()
    if weights is None:
        return encoder, 0, 0
    num_loaded = sum(name in encoder.variables for name in weights)
    if pooler := {
        name: array for name, array in encoder.arrays().items() if name.startswith("pooler.") and name not in weights
    }:
        say(f"{source.weights_path}: has no pooler; it begins with random weights")
        weights = {**weights, **pooler}
    adapters = {name: array for name, array in encoder.arrays().items() if ".adapter_" in name}
    encoder.assign({**adapters, **weights}, str(source.weights_path))
    return encoder, num_loaded, len(encoder.variables) - len(adapters) - len(pooler)


def _save(folder: Path, source: EncoderSource, encoder: Any, head: dict[str, np.ndarray], chunk: FinishedStage) -> None:
    from hierdoc.encoders.finetuned import save_finetuned

    save_tokenizer(folder, source.vocab_path, source.lower_case)
    about = {
        "labels": chunk.details["labels"],
        "multi_label": has_label_lists(chunk),
        "label_separator": chunk.parameters.get("label_separator"),
        "columns": chunk.parameters["columns"],
        "chunk_size": chunk.parameters["chunk_size"],
        "overlap": chunk.parameters["overlap"],
        "max_chunks": chunk.parameters["max_chunks"],
        "respect_sentences": chunk.parameters["respect_sentences"],
    }
    save_finetuned(folder, encoder.config, encoder.arrays(), head, about)


def _save_adapters(folder: Path, encoder: Any, parameters: dict[str, Any]) -> dict[str, Any]:
    """Write what an encoder with adapters has beside its pretrained weights; return how large that is."""
    from hierdoc.stages.weights import save_weights

    frozen = (parameters["freeze_embeddings"], parameters["trainable_layers"])
    if parameters["joint"] is not None:  # what this training leaves alone, the one before it may have changed
        frozen = ()
    trained = {id(variable) for variable in encoder.trainable(*frozen)}
    arrays = encoder.arrays()
    is_new = {name: id(variable) in trained or ".adapter_" in name for name, variable in encoder.variables.items()}
    delta = {name: arrays[name] for name in arrays if is_new[name]}
    save_weights(folder / ADAPTERS, delta)
    sizes = {path: (folder / path).stat().st_size for path in (ADAPTERS, "encoder.safetensors")}
    say(
        f"finetune: what was trained is {sizes[ADAPTERS] / 2**20:.2f} MiB, of {sizes['encoder.safetensors'] / 2**20:.1f}"
    )
    return {"adapter_bytes": sizes[ADAPTERS]}


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "finetune",
        "Fine-tune the encoder to name the class of each chunk.",
        "python -m hierdoc.finetune runs/complaints --epochs 3",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    add_arguments(parser)
    parser.add_argument(
        "--joint",
        metavar="OTHER",
        help="go on from another run with a trained head: the documents' loss flows through it into the encoder; no better than "
        "twice the epochs on complaints and reviews (within 3 points)",
    )
    parser.add_argument("--joint-head", metavar="NAME", help="which head of it (default: the one there is)")
    parser.add_argument(
        "--chunks-at-once",
        type=int,
        default=16,
        metavar="N",
        help="of a joint step in memory; each is computed twice, however many",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of order, dropout and initial weights")
    cli.add_overwrite(parser)
    parser.set_defaults(function=finetune_encoder, describe=describe)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that are this stage's alone (`run` shares them)."""
    parser.add_argument(
        "--pooling",
        metavar="NAME",
        help="what a chunk's vector is: cls (the default), mean, max, last4 ([CLS] of four layers) or pooler",
    )
    parser.add_argument(
        "--epochs", type=int, default=3, metavar="N", help="0 keeps the encoder and fits the softmax only"
    )
    parser.add_argument(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="peak (default: 2e-5 from hidden size 768 on, 5e-5 below, and 2e-4 there with --trainable-layers, which is 3 points better than 5e-5 on newsgroups)",
    )
    parser.add_argument(
        "--layer-decay",
        type=float,
        default=1.0,
        metavar="SHARE",
        help="of the rate of the next layer that each layer learns at",
    )
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="NAME",
        help="auto, float32 or bfloat16; auto is bfloat16 where the CPU has it",
    )
    parser.add_argument("--freeze-embeddings", action="store_true", help="leave the embeddings as they are")
    parser.add_argument(
        "--trainable-layers",
        type=int,
        metavar="N",
        help="train the last N layers only; what the others make is computed once and kept on disk meanwhile; 3 of MiniLM's 6 make a step 2.5 "
        "times as fast",
    )
    parser.add_argument(
        "--adapter-size",
        type=int,
        metavar="N",
        help="train adapters of N numbers in each layer, layer normalisations and a pooler, and leave the rest as it was pretrained; "
        "16 are 0.6 MiB of 87, and can't be told from all on complaints (+0.5 points, -1.5 to +2.5)",
    )
    parser.add_argument(
        "--chunks-per-document",
        type=int,
        metavar="K",
        help="draw K chunks of each document in each epoch (default: all)",
    )
    cli.add_losses(parser)
    parser.add_argument(
        "--decay",
        default="linear",
        metavar="NAME",
        help="of the rate after the warm-up: linear, cosine (on complaints the same) or exponential (3 points worse)",
    )
    parser.add_argument(
        "--warmup", type=float, default=0.1, metavar="SHARE", help="of the steps in which the rate rises"
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        default=16,
        metavar="N",
        help="chunks a step; 128 trained titles of 19 characters 2.3 times as fast, and as well",
    )
    parser.add_argument(
        "--gradient-accumulation",
        type=int,
        default=1,
        metavar="K",
        help="change the weights every K steps, by the gradients of all of them",
    )
    parser.add_argument(
        "--max-grad-norm", type=float, metavar="NORM", help="scale larger gradients down to this norm (default: don't)"
    )
    cli.add_deterministic(parser)


def describe(stage: FinishedStage) -> str:
    """Return the line that says what was made."""
    found = stage.details
    return f"{stage.path}: epoch {found['best_epoch']} of {stage.parameters['epochs']}, " + cli.reading(
        found, "dev_chunk" if stage.parameters.get("joint") is None else "dev"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
