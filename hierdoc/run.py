"""python -m hierdoc.run: chunk, finetune, embed, train_head and evaluate in a row.

python -m hierdoc.run complaints.csv runs/complaints --label-column product --id-column id
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from hierdoc import chunk, cli, embed, evaluate, finetune, train_head
from hierdoc.corpus.sources import Data
from hierdoc.encoders.bert import check_trainable_layers
from hierdoc.encoders.poolings import check_pooling
from hierdoc.encoders.pretrained import find_encoder
from hierdoc.engines import resolve_engine
from hierdoc.errors import HierdocError
from hierdoc.heads import DEFAULT_HEAD, check_answers, check_head
from hierdoc.progress import say
from hierdoc.stages import store
from hierdoc.stages.finished import FinishedStage, read_stage


def run_pipeline(
    data: Data,
    run: str | PathLike[str],
    text_column: str = "text",
    label_column: str = "label",
    multi_label: bool = False,
    label_separator: str = "|",
    id_column: str | None = None,
    labels_file: str | PathLike[str] | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
    split: str | PathLike[str] | None = None,
    split_column: str | None = None,
    encoder: str = "minilm",
    chunk_size: int = 200,
    overlap: int = 0,
    max_chunks: int | None = None,
    respect_sentences: bool = False,
    pooling: str | None = None,
    epochs: int = 3,
    learning_rate: float | None = None,
    layer_decay: float = 1.0,
    precision: str = "auto",
    engine: str = "auto",
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
    head: str = DEFAULT_HEAD,
    words: bool = True,
    deterministic: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedStage:
    """Run the five stages one after the other, each as its own command does; return evaluate's.

    Finished stages with the same parameters are skipped, so the same call goes on where it was stopped. `overwrite` makes
    the chunk stage again and then removes the later ones. The arguments are those of `chunk_documents` and
    `finetune_encoder`; `precision` is also embed's (int8 embed's alone), `engine` is embed's, `deterministic` is both
    trainings', `head` and `words` are `train_sequence_head`'s, and `seed` is everyone's.

    Raises:
        HierdocError, HierdocFailure: as the stages.
    """
    chunking, training = cli.arguments_of(chunk.chunk_documents, locals()), finetune.training_arguments(locals())
    check_head(head)
    check_answers(head, multi_label)
    resolve_engine(engine, precision)
    training["precision"] = "auto" if precision == "int8" else precision
    finetune.check_arguments(**training)
    config = find_encoder(encoder).config
    check_trainable_layers(trainable_layers, config["num_hidden_layers"])
    check_pooling({**config, "pooling": pooling or "cls"}, trainable_layers)
    say(f"{run}: 1/5 chunk")
    chunk.chunk_documents(**chunking)
    if overwrite:  # so that the same call without it goes on, wherever this one is stopped from here on
        made = [
            path.relative_to(run) for room in ("heads", "evaluate") for path in sorted(Path(run, room).glob("[!.]*"))
        ]
        removed = [
            name for name in ("finetune", "embed", "tokens", "tune", *map(str, made)) if store.discard(run, name)
        ]
        if removed:
            say(f"{run}: --overwrite has removed {', '.join(removed)}")
    splits = read_stage(run, "chunk").details["documents_by_split"]
    if missing := [split for split in ("train", "dev", "test") if split not in splits]:
        raise HierdocError(f"{run}: no document is in {' or '.join(missing)}, and run needs all three; see --split")
    say(f"{run}: 2/5 finetune")
    finetune.finetune_encoder(run, **training)
    say(f"{run}: 3/5 embed")
    embed.embed_chunks(run, engine, precision)
    say(f"{run}: 4/5 train_head")
    train_head.train_sequence_head(run, head, words=words, deterministic=deterministic, seed=seed)
    say(f"{run}: 5/5 evaluate")
    return evaluate.evaluate_head(run, head)


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "run",
        "Chunk, finetune, embed, train_head and evaluate in a row; finished stages are skipped. What is said of epochs, rates and losses "
        "is of finetune; the head is trained as train_head does by itself.",
        "python -m hierdoc.run complaints.csv runs/complaints --label-column product --id-column id",
    )
    chunk.add_arguments(parser)
    finetune.add_arguments(parser)
    train_head.add_choice(parser, words=True)
    cli.add_engine(parser)
    cli.add_overwrite(parser, "begin again: remove every stage of RUN, with all heads and evaluations")
    parser.set_defaults(function=run_pipeline, describe=evaluate.describe)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
