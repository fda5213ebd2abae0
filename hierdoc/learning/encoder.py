"""Trains the encoder with its chunk head, or the chunk head alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.engines.encoding import Engine, encode_chunks
from hierdoc.engines.precision import in_precision
from hierdoc.engines.tensorflow import build_engine
from hierdoc.engines.token_batches import pad_tokens
from hierdoc.learning import loop
from hierdoc.learning.arguments import EARLIER
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.chunk_batches import FurtherInputs, make_batches, num_updates, plan_epoch
from hierdoc.learning.frozen import FrozenOutputs
from hierdoc.learning.history import History
from hierdoc.learning.optimizers import adam
from hierdoc.learning.regularisation import Regularisation
from hierdoc.learning.schedules import warmup_and_decay
from hierdoc.learning.traces import HeldOut, TrainingTrace, note_uninformed, spread
from hierdoc.objectives import ONE_LABEL, Objective, classification, losses
from hierdoc.progress import bar, say
from hierdoc.sequences.reading import TrainingChunks
from hierdoc.tracing.batches import Batch, noted_labels

CHUNKS_PER_PART = 2048  # are encoded between two looks at whether a checkpoint is due
SURE = 10.0  # the logit of a label that all chunks have
PROBED = 4  # chunks, each of them five times: what takes a head no time takes an encoder some


def train_encoder(
    encoder: Any,
    train: TrainingChunks,
    dev: TrainingChunks,
    num_classes: int,
    chunk_size: int,
    parameters: dict[str, Any],
    history: History,
    checkpoints: Checkpoints,
    trace: TrainingTrace | None = None,
    objective: Objective = ONE_LABEL,
) -> tuple[dict[str, np.ndarray], int, dict[str, float]]:
    """Train the encoder and a chunk head; leave the weights of the best epoch on dev in the encoder.

    Args:
        encoder: as `hierdoc.encoders.ENCODERS` make them.
        train, dev: the chunks to learn from and to choose by.
        num_classes, chunk_size: C, and the longest chunk in tokens.
        parameters: finetune's: epochs, learning_rate, layer_decay, precision, seed, freeze_embeddings, trainable_layers,
            chunks_per_document, batch_size, gradient_accumulation, max_grad_norm, decay, warmup, and those of `hierdoc.learning.arguments.OF_LOSS`.
        history: gets a line for each epoch.
        checkpoints: what an interrupted training left, and where this one leaves the same.
        trace: gets what each step saw and what came of it, and is saved.
        objective: what the chunk head is to say.

    Returns:
        the chunk head's arrays, the best epoch from 1, and rates for timings.json.
    """
    tf, parameters = compat.load_tensorflow(), {**EARLIER, **parameters}
    parameters["batch_size"] = min(parameters["batch_size"], len(train.rows))  # batches are padded to it
    bias = objective.first_bias(train.label_ids)
    head = classification.ChunkHead(encoder.dim, num_classes, seed=parameters["seed"], bias=bias)
    body = encoder.trainable(parameters["freeze_embeddings"], parameters["trainable_layers"])
    variables = [*body, head.kernel, head.bias]
    plans = _plan_epochs(train, chunk_size, parameters)
    accumulation = parameters["gradient_accumulation"]
    num_steps = sum(num_updates(len(plan), accumulation) for plan in plans)
    shares = [parameters["layer_decay"] ** depth for depth in (*encoder.depths(body), 0, 0)]
    optimizer = adam(
        warmup_and_decay(parameters["decay"], parameters["learning_rate"], num_steps, parameters["warmup"]), shares
    )
    weights = _weights_of_classes(train, plans, num_classes, parameters["class_weight"])
    if trace:
        note_uninformed(trace, train.label_ids, weights, parameters)
    engine = build_engine(encoder, parameters["precision"], chunk_size)

    further_inputs = None
    if parameters["trainable_layers"] is not None:
        num_frozen = encoder.config["num_hidden_layers"] - parameters["trainable_layers"]
        further_inputs = _frozen_outputs(checkpoints.scratch, encoder, num_frozen, train, plans, chunk_size, parameters)

    def forward(token_ids: Any, mask: Any, *hidden: Any, dropout_seed: Any, shift: Any = None) -> Any:
        vectors = (
            encoder.vectors_of(*hidden, mask, num_frozen, dropout_seed)
            if hidden
            else encoder(token_ids, mask, dropout_seed, shift)
        )
        return head(vectors, dropout_seed)

    def read_dev() -> dict[str, float]:
        with bar("dev", "chunks", len(dev.rows)) as progress:
            vectors = encode_chunks(engine, dev.rows, progress)
        probs = objective.chunk_probs(vectors, head.arrays())
        if trace:
            trace.note_dev(probs)
        return _reading(probs, dev, objective)

    say(
        f"finetune: {len(train.rows)} chunks of {train.document_of.max() + 1} documents, "
        f"{num_steps} steps, peak learning rate {parameters['learning_rate']:g}, {parameters['precision']}"
    )
    with in_precision(parameters["precision"]):
        outcome = loop.train(
            loop.make_trained(
                forward,
                variables,
                optimizer,
                parameters["seed"],
                trace_each_shape=True,
                accumulates=accumulation > 1,
                max_grad_norm=parameters["max_grad_norm"],
                loss_of=losses.make_loss(objective, parameters["focal_gamma"], parameters["label_smoothing"]),
                regularisation=Regularisation(
                    parameters["gradient_penalty"],
                    lambda token_ids, mask: tf.zeros([*token_ids.shape, encoder.config["hidden_size"]]),
                    parameters["r_drop"],
                    functools.partial(losses.disagreement, objective),
                ),
            ),
            batches_of=lambda epoch: make_batches(
                plans[epoch], train, weights, accumulation, further_inputs, parameters["batch_size"]
            ),
            read_dev=read_dev,
            better=lambda new, best: new[_measured(objective)] > best[_measured(objective)],
            history=history,
            checkpoints=checkpoints,
            num_epochs=parameters["epochs"],
            patience=None,
            description="finetune",
            unit="chunks",
            trace=trace,
        )
    if trace:
        trace.probe(lambda inputs: head(encoder(*map(tf.constant, inputs))), _for_probe(dev))
        trace.save(history.epochs, _held_out(dev), finished=True)
    return head.arrays(), outcome.best_epoch, {"train_chunks_per_second": round(outcome.examples_per_second, 2)}


def fit_softmax(
    encoder: Any,
    train: TrainingChunks,
    dev: TrainingChunks,
    num_classes: int,
    chunk_size: int,
    parameters: dict[str, Any],
    history: History,
    checkpoints: Checkpoints,
    trace: TrainingTrace | None = None,
    objective: Objective = ONE_LABEL,
) -> tuple[dict[str, np.ndarray], int, dict[str, float]]:
    """Fit the chunk head by logistic regression on the vectors of the encoder as it is; see `train_encoder`.

    scikit-learn's, on standardised vectors, with its default regularisation; the epoch returned is 0. The trace has all
    examples and no steps.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    rows = [*train.rows, *dev.rows]
    vectors = _encode_in_parts(build_engine(encoder, parameters["precision"], chunk_size), rows, checkpoints)
    train_vectors, dev_vectors = vectors[: len(train.rows)], vectors[len(train.rows) :]
    scaler = StandardScaler().fit(train_vectors)
    weight = None if parameters["class_weight"] == "none" else parameters["class_weight"]
    scaled = scaler.transform(train_vectors)

    def fitted(truth: np.ndarray) -> Any:
        return LogisticRegression(max_iter=1000, class_weight=weight).fit(scaled, truth)

    if objective.multi_label:
        head = _as_sigmoids(
            [fitted(truth) if truth.any() and not truth.all() else truth for truth in train.label_ids.T], scaler
        )
    else:
        head = _as_softmax(fitted(train.label_ids), scaler)
    probs = objective.chunk_probs(dev_vectors, head)
    reading = _reading(probs, dev, objective)
    history.add({"epoch": 0, **reading})
    measured = _measured(objective)
    say(f"finetune 0/0: {measured} {reading[measured]:.4f} with the encoder as it is")
    if trace:
        _note_fitted(trace, train, probs)
        trace.save(history.epochs, _held_out(dev), finished=True)
    return head, 0, {}


def _plan_epochs(
    train: TrainingChunks, chunk_size: int, parameters: dict[str, Any]
) -> list[list[tuple[int, np.ndarray]]]:
    """Return each epoch's steps, as `plan_epoch` makes them."""
    per_document, seed, batch_size = (parameters[name] for name in ("chunks_per_document", "seed", "batch_size"))
    return [
        plan_epoch(train.document_of, train.lengths, chunk_size, per_document, seed, epoch, batch_size)
        for epoch in range(parameters["epochs"])
    ]


def _frozen_outputs(
    path: Path,
    encoder: Any,
    num_layers: int,
    train: TrainingChunks,
    plans: list[list[tuple[int, np.ndarray]]],
    chunk_size: int,
    parameters: dict[str, Any],
) -> FurtherInputs:
    """Return a batch's further input: what the encoder's first layers make of its chunks, those that any epoch draws."""
    drawn = np.unique(np.concatenate([members for plan in plans for _, members in plan]))
    outputs = FrozenOutputs(path, encoder, num_layers, train.rows, drawn, parameters["precision"], chunk_size)

    def further_inputs(members: np.ndarray, length: int) -> tuple[np.ndarray, ...]:
        return (outputs.padded(members, parameters["batch_size"], length),)

    return further_inputs


def _weights_of_classes(
    train: TrainingChunks, plans: list[list[tuple[int, np.ndarray]]], num_classes: int, class_weight: str
) -> np.ndarray:
    """Return each class's weight (C,), by the chunks that all epochs together draw."""
    drawn = np.concatenate([members for plan in plans for _, members in plan])
    return classification.class_weights(train.label_ids[drawn], num_classes, class_weight == "balanced")


def _reading(probs: np.ndarray, dev: TrainingChunks, objective: Objective) -> dict[str, float]:
    found, loss = objective.read(probs, dev.label_ids)
    return {_measured(objective): found, "dev_chunk_loss": loss}


def _measured(objective: Objective) -> str:
    return f"dev_chunk_{objective.measure}"


def _as_softmax(model: Any, scaler: Any) -> dict[str, np.ndarray]:
    """Return a chunk head's arrays that answer as scikit-learn's regression on scaled vectors does."""
    # The scaling is folded into the softmax; with two classes scikit-learn has one row, for the second of them.
    coefficients = model.coef_ if len(model.coef_) > 1 else np.vstack([np.zeros_like(model.coef_), model.coef_])
    intercepts = model.intercept_ if len(model.intercept_) > 1 else np.array([0.0, model.intercept_[0]])
    kernel = (coefficients / scaler.scale_).T
    return {
        "kernel": kernel.astype(np.float32),
        "bias": (intercepts - scaler.mean_ @ kernel).astype(np.float32),
    }


def _as_sigmoids(models: Sequence[Any], scaler: Any) -> dict[str, np.ndarray]:
    """Return a chunk head's arrays of a regression for each label; or of the label of all chunks, bool (N,), where that is constant."""
    heads = [
        (np.zeros(len(scaler.mean_)), SURE if of_label.all() else -SURE)
        if isinstance(of_label, np.ndarray)
        else (of_label.coef_[0], of_label.intercept_[0])
        for of_label in models
    ]
    kernel = np.stack([coefficients for coefficients, _ in heads], axis=1) / scaler.scale_[:, None]
    bias = np.asarray([intercept for _, intercept in heads]) - scaler.mean_ @ kernel
    return {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}


def _encode_in_parts(engine: Engine, rows: Sequence[np.ndarray], checkpoints: Checkpoints) -> np.ndarray:
    stored = checkpoints.load()
    parts = [] if stored is None else [stored[1]["vectors"]]
    done = sum(map(len, parts))
    with bar("encode", "chunks", len(rows), done) as progress:
        for at in range(done, len(rows), CHUNKS_PER_PART):
            parts.append(encode_chunks(engine, rows[at : at + CHUNKS_PER_PART], progress))
            if checkpoints.is_due():
                checkpoints.save({}, {"vectors": np.concatenate(parts)})
    return np.concatenate(parts)


def _held_out(dev: TrainingChunks) -> HeldOut:
    return HeldOut([dev.doc_ids[document] for document in dev.document_of.tolist()], dev.label_ids, dev.rows)


def _for_probe(dev: TrainingChunks) -> tuple[np.ndarray, np.ndarray]:
    members = spread(dev.lengths, PROBED, int(dev.lengths.max()))
    return pad_tokens([dev.rows[member] for member in members], len(members), int(dev.lengths[members].max()))


def _note_fitted(trace: TrainingTrace, train: TrainingChunks, dev_probs: np.ndarray) -> None:
    for begin in range(0, len(train.rows), CHUNKS_PER_PART):
        part = slice(begin, begin + CHUNKS_PER_PART)
        token_ids, mask = pad_tokens(train.rows[part], len(train.rows[part]), int(train.lengths[part].max()))
        doc_ids = [train.doc_ids[document] for document in train.document_of[part].tolist()]
        index = list(train.chunk_index[part, None])
        trace.add_examples(Batch(token_ids, mask, noted_labels(train.label_ids[part]), True, doc_ids, index))
    trace.note_dev(dev_probs)
    trace.keep_dev()
