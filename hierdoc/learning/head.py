"""Trains a head on the training documents' chunk vectors."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.encoders.dropout import dropout
from hierdoc.heads import HEADS
from hierdoc.heads.document_probs import Logits, by_document, compile_logits
from hierdoc.learning import loop
from hierdoc.learning.arguments import PLAIN_LOSS
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.history import History
from hierdoc.learning.optimizers import adam
from hierdoc.learning.regularisation import Regularisation
from hierdoc.learning.seeds import generator, seed_tensorflow
from hierdoc.learning.traces import HeldOut, TrainingTrace, note_uninformed, spread
from hierdoc.objectives import ONE_LABEL, Objective, losses
from hierdoc.objectives.classification import class_weights, row_weights
from hierdoc.sequences import batches
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import LabelledDocuments

PATIENCE = 5
PROBED, LONGEST_PROBED = 8, 64  # documents, and chunks of one


def train_head(
    train: LabelledDocuments,
    dev: LabelledDocuments,
    dim: int,
    num_classes: int,
    parameters: dict[str, Any],
    history: History,
    checkpoints: Checkpoints,
    trace: TrainingTrace | None = None,
    objective: Objective = ONE_LABEL,
) -> tuple[Any, int, dict[str, float]]:
    """Return (the head with the weights of its best epoch on dev, that epoch from 1, rates for timings.json).

    Args:
        train, dev: the documents to learn from and to choose by.
        dim, num_classes: D and C.
        parameters: train_head's: head, epochs, learning_rate, input_dropout, seed, and those of
            `hierdoc.learning.arguments.OF_LOSS`.
        history: gets a line for each epoch.
        checkpoints: what an interrupted training left, and where this one leaves the same.
        trace: gets what each step saw and what came of it, and is saved.
        objective: what the head is to say.
    """
    parameters = {**PLAIN_LOSS, **parameters}
    seed_tensorflow(parameters["seed"])
    model = HEADS[parameters["head"]](dim, num_classes)
    bias = objective.first_bias(train.label_ids)
    if bias is not None:
        model.get_layer("logits").bias.assign(bias)
    logits_of = compile_logits(model)
    document_probs = by_document(logits_of, num_classes, objective)
    optimizer = adam(parameters["learning_rate"])
    measured = f"dev_{objective.measure}"

    balanced = class_weights(train.label_ids, num_classes, parameters["class_weight"] == "balanced")
    weights = row_weights(train.label_ids, balanced)
    if trace:
        note_uninformed(trace, train.label_ids, balanced, parameters)

    def batches_of(epoch: int) -> list[Any]:
        rng = generator(parameters["seed"], "head epoch", epoch)
        plan = batches.plan_epoch(train.documents.num_chunks, rng)
        return [functools.partial(_make_batch, train, weights, members) for members in plan]

    def forward(vectors: Any, mask: Any, dropout_seed: Any, shift: Any = None) -> Any:
        shifted = vectors if shift is None else vectors + shift
        dropped = dropout(shifted, parameters["input_dropout"], dropout_seed, place=0)
        return model([dropped, mask], training=True)

    def read_dev() -> dict[str, float]:
        probs = document_probs(dev.documents)
        if trace:
            trace.note_dev(probs)
        found, loss = objective.read(probs, dev.label_ids)
        return {measured: found, "dev_loss": loss}

    outcome = loop.train(
        loop.make_trained(
            forward,
            model.trainable_variables,
            optimizer,
            parameters["seed"],
            trace_each_shape=False,
            loss_of=losses.make_loss(objective, parameters["focal_gamma"], parameters["label_smoothing"]),
            regularisation=Regularisation(
                parameters["gradient_penalty"],
                lambda vectors, mask: compat.load_tensorflow().zeros_like(vectors),
                parameters["r_drop"],
                functools.partial(losses.disagreement, objective),
            ),
        ),
        batches_of=batches_of,
        read_dev=read_dev,
        better=lambda new, best: (new[measured], -new["dev_loss"]) > (best[measured], -best["dev_loss"]),
        history=history,
        checkpoints=checkpoints,
        num_epochs=parameters["epochs"],
        patience=PATIENCE,
        description=parameters["head"],
        unit="documents",
        trace=trace,
    )
    if trace:
        trace.probe(functools.partial(_logits_in_full_batch, logits_of), _for_probe(dev.documents))
        trace.save(history.epochs, _held_out(dev), finished=True)
    return model, outcome.best_epoch, {"documents_per_second": round(outcome.examples_per_second, 1)}


def _make_batch(train: LabelledDocuments, weights_of: np.ndarray, members: np.ndarray) -> loop.LabelledBatch:
    batch = batches.make_batch(train.documents, members)
    label_ids = np.zeros((len(batch.mask), *train.label_ids.shape[1:]), train.label_ids.dtype)
    weights = np.zeros((len(batch.mask), *weights_of.shape[1:]), np.float32)
    label_ids[: len(members)], weights[: len(members)] = train.label_ids[members], weights_of[members]
    doc_ids = [train.documents.doc_ids[member] for member in members.tolist()]
    chunk_index = [np.arange(length, dtype=np.int32) for length in train.documents.num_chunks[members].tolist()]
    return loop.LabelledBatch((batch.vectors, batch.mask), label_ids, weights, doc_ids, chunk_index)


def _held_out(dev: LabelledDocuments) -> HeldOut:
    rows = np.split(dev.documents.vectors, dev.documents.starts[1:-1])
    return HeldOut(dev.documents.doc_ids, dev.label_ids, rows)


def _for_probe(documents: DocumentVectors) -> tuple[np.ndarray, np.ndarray]:
    members = spread(documents.num_chunks, PROBED, LONGEST_PROBED)
    batch = batches.make_batch(documents, members, num_rows=len(members))
    return batch.vectors, batch.mask


def _logits_in_full_batch(logits_of: Logits, inputs: list[np.ndarray]) -> np.ndarray:
    """Return logits of [vectors (B, S, D), mask (B, S)], with rows that only fill up: as predictions are made."""
    vectors, mask = inputs
    num_rows = max(len(mask), int(batches.rows_for(np.asarray([mask.shape[1]]))[0]))
    padded, real = np.zeros((num_rows, *vectors.shape[1:]), np.float32), np.zeros((num_rows, mask.shape[1]), bool)
    padded[: len(mask)], real[: len(mask)], real[len(mask) :, 0] = vectors, mask, True
    return logits_of(padded, real)[: len(mask)]
