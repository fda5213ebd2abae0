"""python -m hierdoc.finetune: fine-tune the encoder to name the class of each chunk.

    python -m hierdoc.finetune runs/complaints --epochs 3
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from hierdoc import cli
from hierdoc.chunking.tokenizers import save_tokenizer
from hierdoc.corpus.labels import label_ids
from hierdoc.encoders import ENCODERS
from hierdoc.encoders.pretrained import find_encoder
from hierdoc.errors import HierdocError
from hierdoc.progress import bar, say
from hierdoc.stages import store, tables

CLASS_WEIGHTS = ("none", "balanced")
WIDE_ENCODER = 768  # from this hidden size on, BERT's own learning rate; smaller encoders learn faster


@dataclass(frozen=True)
class TrainingChunks:
    """The N chunks of one split.

    Attributes:
        rows: token ids, int32 (T_n,) each.
        lengths: int64 (N,).
        document_of: int64 (N,), the document's number in this split.
        label_ids: int32 (N,); -1 for a class that train never saw.
    """

    rows: list[np.ndarray]
    lengths: np.ndarray
    document_of: np.ndarray
    label_ids: np.ndarray


def finetune_encoder(
    run: str | PathLike[str],
    epochs: int = 3,
    learning_rate: float | None = None,
    precision: str = "auto",
    freeze_embeddings: bool = False,
    trainable_layers: int | None = None,
    chunks_per_document: int | None = None,
    class_weight: str = "none",
    seed: int = 0,
    overwrite: bool = False,
) -> store.FinishedStage:
    """Write RUN/finetune: the encoder and a softmax over [CLS], trained on the chunks with their documents' labels.

    Adam (epsilon 1e-7), 16 chunks a step of about one length, 10 % warm-up and linear decay, dropout 0.2 before the
    softmax (Devlin et al. 2019 use 0.1), no weight decay. The weights kept are those of the epoch with the best chunk
    accuracy on dev, the earlier one on ties.

    Args:
        run: a run directory with a finished chunk stage.
        epochs: over the training chunks. 0 keeps the pretrained encoder as it is and fits the softmax only, by
            scikit-learn's logistic regression on all training chunks.
        learning_rate: the peak; by default 2e-5 for encoders of hidden size 768 and more, 5e-5 for smaller ones.
        precision: auto, float32 or bfloat16 (where the CPU has it; auto takes it then).
        freeze_embeddings: leave the embeddings as they are.
        trainable_layers: train the last so many layers (and the softmax) only.
        chunks_per_document: draw so many chunks of each document in each epoch; by default all.
        class_weight: none, or balanced: rare classes count more.
        seed: of order, dropout and initial weights.
        overwrite: make the stage again.

    Raises:
        HierdocError: the chunk stage is missing; an argument is out of range; weights of the encoder are missing.
        HierdocFailure: the loss became infinite.
    """
    from hierdoc.engines.precision import resolve_precision

    chunk = store.read(run, "chunk")
    _check(epochs, learning_rate, chunks_per_document, class_weight)
    source = find_encoder(chunk.parameters["encoder"])
    if source.sha256 != chunk.parameters["encoder_sha256"]:
        raise HierdocError(f"{chunk.path}: was made with another encoder than {source.name} is now; chunk again with --overwrite")
    train, dev = (read_chunks(chunk, split) for split in ("train", "dev"))
    if not dev.rows:
        raise HierdocError(f"{chunk.path}: has no dev documents, and the best epoch is chosen on dev")
    if learning_rate is None:
        learning_rate = 2e-5 if source.config["hidden_size"] >= WIDE_ENCODER else 5e-5
    parameters = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "precision": resolve_precision(precision),
        "freeze_embeddings": freeze_embeddings,
        "trainable_layers": trainable_layers,
        "chunks_per_document": chunks_per_document,
        "class_weight": class_weight,
        "seed": seed,
    }
    stage = store.begin(run, "finetune", parameters, {"chunk": chunk}, overwrite)
    if isinstance(stage, store.FinishedStage):
        return stage
    from hierdoc.learning.seeds import seed_tensorflow

    seed_tensorflow(seed)
    encoder = ENCODERS["bert"](source.config)
    weights = source.load_weights()
    if weights is not None:
        encoder.assign(weights, str(source.weights_path))
    fit = _fit_softmax_only if epochs == 0 else _train
    head, found, timings = fit(stage, encoder, train, dev, chunk, parameters)
    _save(stage, source, encoder, head, chunk, parameters)
    return stage.finish(found, timings)


def read_chunks(chunk: store.FinishedStage, split: str) -> TrainingChunks:
    """Return the chunks of one split with their documents' labels."""
    import pyarrow.compute as pc

    documents = tables.read_tables(chunk.files("documents-"), ["doc_id", "labels", "split"])
    documents = documents.filter(pc.equal(documents["split"], split))
    number = {doc_id: place for place, doc_id in enumerate(documents["doc_id"].to_pylist())}
    ids = label_ids([labels[0] for labels in documents["labels"].to_pylist()], chunk.details["labels"])
    rows: list[np.ndarray] = []
    owners: list[int] = []
    for path in chunk.files("chunks-"):
        table = tables.read_tables([path], ["doc_id", "token_ids", "split"])
        table = table.filter(pc.equal(table["split"], split))
        if len(table):
            rows += tables.ragged_of(table["token_ids"])
            owners += [number[doc_id] for doc_id in table["doc_id"].to_pylist()]
    document_of = np.asarray(owners, np.int64)
    return TrainingChunks(rows, np.asarray([len(row) for row in rows], np.int64), document_of, ids[document_of])


def _check(epochs: int, learning_rate: float | None, chunks_per_document: int | None, class_weight: str) -> None:
    if epochs < 0:
        raise HierdocError(f"`epochs` must be at least 0, but is {epochs} instead")
    if learning_rate is not None and not 0 < learning_rate < 1:
        raise HierdocError(f"`learning_rate` must be between 0 and 1, but is {learning_rate} instead")
    if chunks_per_document is not None and chunks_per_document < 1:
        raise HierdocError(f"`chunks_per_document` must be at least 1, but is {chunks_per_document} instead")
    if class_weight not in CLASS_WEIGHTS:
        raise HierdocError(f"`class_weight` must be one of {', '.join(CLASS_WEIGHTS)}, but is {class_weight!r} instead")


def _train(
    stage: store.OpenStage,
    encoder: Any,
    train: TrainingChunks,
    dev: TrainingChunks,
    chunk: store.FinishedStage,
    parameters: dict[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, float]]:
    from hierdoc.encoders import compat
    from hierdoc.engines.precision import in_precision
    from hierdoc.engines.tensorflow import build_engine, encode_chunks
    from hierdoc.learning import loop
    from hierdoc.learning.chunk_batches import make_batches, plan_epoch
    from hierdoc.learning.history import History
    from hierdoc.learning.schedules import warmup_linear
    from hierdoc.objectives import classification

    tf = compat.load_tensorflow()
    num_classes, chunk_size = len(chunk.details["labels"]), chunk.parameters["chunk_size"]
    head = classification.ChunkHead(encoder.dim, num_classes, seed=parameters["seed"])
    body = encoder.trainable(parameters["freeze_embeddings"], parameters["trainable_layers"])
    variables = [*body, head.kernel, head.bias]
    plans = [
        plan_epoch(
            train.document_of, train.lengths, chunk_size, parameters["chunks_per_document"], parameters["seed"], epoch
        )
        for epoch in range(parameters["epochs"])
    ]
    schedule = warmup_linear(parameters["learning_rate"], sum(map(len, plans)))
    optimizer = tf.keras.optimizers.Adam(schedule, epsilon=1e-7)
    weights = classification.class_weights(train.label_ids, num_classes, parameters["class_weight"] == "balanced")
    encode = build_engine(encoder, parameters["precision"])

    def forward(token_ids: Any, mask: Any, training: bool) -> Any:
        return head(encoder(token_ids, mask, training=training), training=training)

    def read_dev() -> dict[str, float]:
        with bar("dev", "chunks", len(dev.rows)) as progress:
            vectors = encode_chunks(encode, dev.rows, chunk_size, encoder.dim, progress)
        probs = classification.chunk_probs(vectors, head.arrays())
        accuracy, loss = classification.accuracy_and_loss(probs, dev.label_ids)
        return {"dev_chunk_accuracy": accuracy, "dev_chunk_loss": loss}

    say(
        f"finetune: {len(train.rows)} chunks of {train.document_of.max() + 1} documents, "
        f"{sum(map(len, plans))} steps, peak learning rate {parameters['learning_rate']:g}, {parameters['precision']}"
    )
    with in_precision(parameters["precision"]):
        outcome = loop.train(
            step=loop.make_step(forward, variables, optimizer, trace_each_shape=True),
            batches_of=lambda epoch: make_batches(plans[epoch], train.rows, train.label_ids, weights),
            read_dev=read_dev,
            better=lambda new, best: new["dev_chunk_accuracy"] > best["dev_chunk_accuracy"],
            variables=variables,
            history=(history := History(stage.path / "history.jsonl")),
            num_epochs=parameters["epochs"],
            patience=None,
            description="finetune",
            unit="chunks",
        )
    found = {"best_epoch": outcome.best_epoch, **history.epochs[outcome.best_epoch - 1]}
    return head.arrays(), found, {"train_chunks_per_second": round(outcome.examples_per_second, 2)}


def _fit_softmax_only(
    stage: store.OpenStage,
    encoder: Any,
    train: TrainingChunks,
    dev: TrainingChunks,
    chunk: store.FinishedStage,
    parameters: dict[str, Any],
) -> tuple[dict[str, np.ndarray], dict[str, Any], dict[str, float]]:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from hierdoc.engines.tensorflow import build_engine, encode_chunks
    from hierdoc.learning.history import History
    from hierdoc.objectives import classification

    encode = build_engine(encoder, parameters["precision"])
    with bar("encode", "chunks", len(train.rows) + len(dev.rows)) as progress:
        train_vectors, dev_vectors = (
            encode_chunks(encode, part.rows, chunk.parameters["chunk_size"], encoder.dim, progress) for part in (train, dev)
        )
    scaler = StandardScaler().fit(train_vectors)
    weight = None if parameters["class_weight"] == "none" else parameters["class_weight"]
    model = LogisticRegression(max_iter=1000, class_weight=weight).fit(scaler.transform(train_vectors), train.label_ids)
    # The scaling is folded into the softmax; with two classes scikit-learn has one row, for the second of them.
    coefficients = model.coef_ if len(model.coef_) > 1 else np.vstack([np.zeros_like(model.coef_), model.coef_])
    intercepts = model.intercept_ if len(model.intercept_) > 1 else np.array([0.0, model.intercept_[0]])
    kernel = (coefficients / scaler.scale_).T
    head = {
        "kernel": kernel.astype(np.float32),
        "bias": (intercepts - scaler.mean_ @ kernel).astype(np.float32),
    }
    accuracy, loss = classification.accuracy_and_loss(classification.chunk_probs(dev_vectors, head), dev.label_ids)
    found = {"best_epoch": 0, "epoch": 0, "dev_chunk_accuracy": accuracy, "dev_chunk_loss": loss}
    History(stage.path / "history.jsonl").add(found)
    say(f"finetune 0/0: dev_chunk_accuracy {accuracy:.4f} with the encoder as it is")
    return head, found, {}


def _save(
    stage: store.OpenStage,
    source: Any,
    encoder: Any,
    head: dict[str, np.ndarray],
    chunk: store.FinishedStage,
    parameters: dict[str, Any],
) -> None:
    from hierdoc.stages.weights import save_weights

    save_weights(stage.path / "encoder.safetensors", encoder.arrays())
    save_weights(stage.path / "chunk_head.safetensors", head)
    save_tokenizer(stage.path, source.vocab_path, source.lower_case)
    config = {
        "encoder": {"name": "bert", **encoder.config},
        "labels": chunk.details["labels"],
        "columns": chunk.parameters["columns"],
        "chunk_size": chunk.parameters["chunk_size"],
        "overlap": chunk.parameters["overlap"],
        "max_chunks": chunk.parameters["max_chunks"],
    }
    store.write_json(stage.path / "config.json", config)


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "finetune",
        "Fine-tune the encoder to name the class of each chunk.",
        "python -m hierdoc.finetune runs/complaints --epochs 3",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    add_arguments(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of order, dropout and initial weights")
    cli.add_overwrite(parser)
    parser.set_defaults(function=finetune_encoder, describe=describe)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that are this stage's alone (`run` shares them)."""
    parser.add_argument("--epochs", type=int, default=3, metavar="N", help="0 keeps the encoder and fits the softmax only")
    parser.add_argument("--learning-rate", type=float, metavar="RATE", help="peak (default: 2e-5 from hidden size 768 on, 5e-5 below)")
    parser.add_argument("--precision", default="auto", metavar="NAME", help="auto, float32 or bfloat16; auto is bfloat16 where the CPU has it")
    parser.add_argument("--freeze-embeddings", action="store_true", help="leave the embeddings as they are")
    parser.add_argument("--trainable-layers", type=int, metavar="N", help="train the last N layers only")
    parser.add_argument("--chunks-per-document", type=int, metavar="K", help="draw K chunks of each document in each epoch (default: all)")
    parser.add_argument("--class-weight", default="none", metavar="NAME", help="none, or balanced: rare classes count more")


def describe(stage: store.FinishedStage) -> str:
    """Return the line that says what was made."""
    found = stage.details
    return f"{stage.path}: epoch {found['best_epoch']} of {stage.parameters['epochs']}, dev chunk accuracy {found['dev_chunk_accuracy']:.4f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
