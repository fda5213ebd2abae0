"""Trains an encoder through the head that reads its vectors: the document's loss flows into every chunk."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.engines.encoding import encode_chunks
from hierdoc.engines.precision import in_precision
from hierdoc.engines.tensorflow import build_engine
from hierdoc.engines.token_batches import bucket_lengths, pad_tokens, padded_lengths
from hierdoc.heads.document_probs import by_document, compile_logits
from hierdoc.learning import loop
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.frozen import FrozenOutputs
from hierdoc.learning.gradients import GradientSums
from hierdoc.learning.history import History
from hierdoc.learning.optimizers import adam
from hierdoc.learning.schedules import warmup_and_decay
from hierdoc.learning.seeds import generator
from hierdoc.objectives import Objective, classification, losses
from hierdoc.progress import bar, say, warn
from hierdoc.sequences.batches import make_batch
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import TrainingChunks

DOCUMENTS_PER_STEP = 8
HEAD_SHARE = 10.0  # times the encoder's rate is the head's, and the chunk softmax's
BLOCKS = 2**20  # more than a step has; each has dropout of its own


@dataclass(frozen=True)
class Block:
    """Chunks of one padded length that are computed at once.

    Attributes:
        members: int64 (at most `chunks_at_once`,), which of the step's chunks.
        make_inputs: makes token ids and mask, and where layers are frozen what these made, with rows to spare: each time anew, so that
            no more than one block's are in memory.
    """

    members: np.ndarray
    make_inputs: Callable[[], tuple[np.ndarray, ...]]


@dataclass(frozen=True)
class Model:
    """What is trained together.

    Attributes:
        encode: inputs of a block and `dropout_seed` to vectors (N, D).
        body: the encoder's variables that are trained.
        head: a head (see `hierdoc.heads`).
        chunk_head: follows the encoder, by the chunks' own loss, which goes no further.
        objective, loss_of: what both are to say.
    """

    encode: Callable[..., Any]
    body: Sequence[Any]
    head: Any
    chunk_head: classification.ChunkHead
    objective: Objective
    loss_of: Callable[..., Any]

    @property
    def variables(self) -> list[Any]:
        return [*self.body, *self.head.trainable_variables, self.chunk_head.kernel, self.chunk_head.bias]


class JointStep:
    """One step's loss and gradients, with a few chunks in memory at a time.

    The chunks are encoded block by block without what a gradient needs; the head's gradient with respect to their vectors follows; and
    each block is encoded again, with the same dropout, to pass its part of that on (Gao et al. 2021, Scaling Deep Contrastive Learning
    Batch Size under Memory Limited Setup). The numbers are those of one pass over all, but for rounding.
    """

    def __init__(self, model: Model):
        tf = compat.load_tensorflow()
        self._model, self._sums = model, GradientSums(model.body)
        encode = model.encode
        self._encode = tf.function(lambda inputs, seed: encode(*inputs, dropout_seed=seed), autograph=False)

        @tf.function(autograph=False)
        def pass_on(inputs: tuple[Any, ...], seed: Any, of_vectors: Any) -> list[Any]:
            with tf.GradientTape() as tape:
                vectors = encode(*inputs, dropout_seed=seed)
            return tape.gradient(vectors, model.body, output_gradients=of_vectors)

        @tf.function(autograph=False, reduce_retracing=True)
        def read(
            vectors: Any, mask: Any, label_ids: Any, weights: Any, chunk_labels: Any
        ) -> tuple[Any, Any, list[Any]]:
            own = [*model.head.trainable_variables, model.chunk_head.kernel, model.chunk_head.bias]
            with tf.GradientTape() as tape:
                tape.watch(vectors)
                loss = model.loss_of(model.head([vectors, mask], training=True), label_ids, weights)
                chunks = tf.stop_gradient(tf.boolean_mask(vectors, mask))
                ones = tf.ones(tf.shape(chunks)[:1])
                total = loss + model.loss_of(model.chunk_head(chunks), chunk_labels, ones)
            of_vectors, of_own = tape.gradient(total, [vectors, own])
            return loss, of_vectors, of_own

        self._pass_on, self._read = pass_on, read

    @property
    def variables(self) -> list[Any]:
        """What is remembered within a step only."""
        return self._sums.variables

    def gradients(
        self, blocks: Sequence[Block], documents: DocumentVectors, label_ids: np.ndarray, seed: int, number: int
    ) -> tuple[float, list[Any]]:
        """Return the documents' mean loss and the gradients of `Model.variables`.

        Args:
            blocks: of all chunks of the documents.
            documents: B documents of N chunks, whose vectors are written into.
            label_ids: of the B documents.
            seed, number: the training's seed and the step's number, which decide dropout.
        """
        tf = compat.load_tensorflow()
        seeds = [tf.constant([seed, number * BLOCKS + at], tf.int64) for at in range(len(blocks))]
        for block, dropout_seed in zip(blocks, seeds, strict=True):
            given = tuple(map(tf.constant, block.make_inputs()))
            documents.vectors[block.members] = self._encode(given, dropout_seed).numpy()[: len(block.members)]
        batch = make_batch(documents, np.arange(len(documents)), num_rows=len(documents))
        owners = np.repeat(np.arange(len(documents)), documents.num_chunks)
        loss, of_padded, of_own = self._read(
            *map(
                tf.constant,
                (batch.vectors, batch.mask, label_ids, np.ones(len(documents), np.float32), label_ids[owners]),
            )
        )
        of_vectors = of_padded.numpy()[batch.mask]  # in the documents' order, as the chunks are
        for block, dropout_seed in zip(blocks, seeds, strict=True):
            given = tuple(map(tf.constant, block.make_inputs()))
            upstream = np.zeros((len(given[0]), of_vectors.shape[1]), np.float32)
            upstream[: len(block.members)] = of_vectors[block.members] * len(blocks)  # for the sums take their mean
            self._sums.add(self._pass_on(given, dropout_seed, tf.constant(upstream)), tf.constant(1.0))
        return float(loss), [*self._sums.take(), *of_own]


def train_jointly(
    encoder: Any,
    head: Any,
    chunk_head: dict[str, np.ndarray],
    train: TrainingChunks,
    dev: TrainingChunks,
    num_classes: int,
    chunk_size: int,
    parameters: dict[str, Any],
    history: History,
    checkpoints: Checkpoints,
    objective: Objective,
) -> tuple[dict[str, np.ndarray], int, dict[str, float]]:
    """Train an encoder with the head on it; leave the weights of the best epoch on dev in both.

    Args:
        encoder, head, chunk_head: as two stages have left them; the chunk head as arrays.
        train, dev: their chunks.
        num_classes, chunk_size: C, and the longest chunk in tokens.
        parameters: finetune's.
        history: gets a line for each epoch.
        checkpoints: what an interrupted training left, and where this one leaves the same.
        objective: what both heads say.

    Returns:
        the chunk head's arrays, the best epoch from 1, and rates for timings.json.
    """
    softmax = classification.ChunkHead(encoder.dim, num_classes)
    softmax.kernel.assign(chunk_head["kernel"])
    softmax.bias.assign(chunk_head["bias"])
    body = encoder.trainable(parameters["freeze_embeddings"], parameters["trainable_layers"])
    starts = np.searchsorted(train.document_of, np.arange(len(train.doc_ids) + 1))
    per_document, seed = parameters["chunks_per_document"], parameters["seed"]
    plans = [_plan_epoch(starts, per_document, seed, epoch) for epoch in range(parameters["epochs"])]
    num_frozen, frozen = 0, None
    if parameters["trainable_layers"] is not None:
        num_frozen = encoder.config["num_hidden_layers"] - parameters["trainable_layers"]
        drawn = np.unique(np.concatenate([places for plan in plans for step in plan for places in step]))
        frozen = FrozenOutputs(
            checkpoints.scratch, encoder, num_frozen, train.rows, drawn, parameters["precision"], chunk_size
        )

    def encode(token_ids: Any, mask: Any, *hidden: Any, dropout_seed: Any) -> Any:
        if hidden:
            return encoder.vectors_of(*hidden, mask, num_frozen, dropout_seed)
        return encoder(token_ids, mask, dropout_seed)

    loss_of = losses.make_loss(objective, parameters["focal_gamma"], parameters["label_smoothing"])
    model = Model(encode, body, head, softmax, objective, loss_of)
    schedule = warmup_and_decay(
        parameters["decay"], parameters["learning_rate"], sum(map(len, plans)), parameters["warmup"]
    )
    shares = [parameters["layer_decay"] ** depth for depth in encoder.depths(body)]
    optimizer = adam(schedule, shares + [HEAD_SHARE] * (len(model.variables) - len(body)))
    optimizer.build(model.variables)
    step = JointStep(model)
    blocks_of = functools.partial(_blocks, train, chunk_size, parameters["chunks_at_once"], frozen)

    def take_step(batch: loop.LabelledBatch, number: int) -> float:
        (chosen, lengths) = batch.inputs
        documents = _documents(chosen, lengths, encoder.dim)
        loss, gradients = step.gradients(blocks_of(chosen), documents, batch.label_ids, seed, number)
        optimizer.apply_gradients(zip(gradients, model.variables, strict=True))
        return loss

    def rank(reading: dict[str, float]) -> tuple[float, float]:
        return reading[f"dev_{objective.measure}"], -reading["dev_loss"]

    read_dev = functools.partial(
        _read_dev, build_engine(encoder, parameters["precision"], chunk_size), dev, model, num_classes
    )
    with in_precision(parameters["precision"]):
        before = read_dev()[f"dev_{objective.measure}"]
        say(f"joint: before it, dev_{objective.measure} is {before:.4f}")
        outcome = loop.train(
            loop.Trained(model.variables, [*optimizer.variables, *step.variables], take_step, optimizer),
            batches_of=lambda epoch: [functools.partial(_labelled, train, members) for members in plans[epoch]],
            read_dev=read_dev,
            better=lambda new, best: rank(new) > rank(best),
            history=history,
            checkpoints=checkpoints,
            num_epochs=parameters["epochs"],
            patience=None,
            description="joint",
            unit="documents",
        )
    kept = next(epoch for epoch in history.epochs if epoch["epoch"] == outcome.best_epoch)[f"dev_{objective.measure}"]
    if kept < before:
        warn(
            f"joint: dev_{objective.measure} was {before:.4f} before it and is {kept:.4f}: what it began with answers better"
        )
    return softmax.arrays(), outcome.best_epoch, {"documents_per_second": round(outcome.examples_per_second, 2)}


def _plan_epoch(starts: np.ndarray, per_document: int | None, seed: int, epoch: int) -> list[list[np.ndarray]]:
    """Return each step's documents, by the places of their chunks, int64, in order: all, or so many drawn without replacement."""
    rng = generator(seed, "joint epoch", epoch)
    order = rng.permutation(len(starts) - 1)
    chosen = []
    for document in order.tolist():
        places = np.arange(starts[document], starts[document + 1])
        if per_document is not None and len(places) > per_document:
            places = np.sort(rng.choice(places, per_document, replace=False))
        chosen.append(places)
    return [chosen[at : at + DOCUMENTS_PER_STEP] for at in range(0, len(chosen), DOCUMENTS_PER_STEP)]


def _labelled(train: TrainingChunks, members: Sequence[np.ndarray]) -> loop.LabelledBatch:
    """Return a step's batch: the places of its documents' chunks one after the other, and how many each has."""
    firsts = np.asarray([places[0] for places in members])
    lengths = np.asarray([len(places) for places in members], np.int64)
    return loop.LabelledBatch(
        (np.concatenate(members), lengths), train.label_ids[firsts], np.ones(len(members), np.float32)
    )


def _documents(chosen: np.ndarray, lengths: np.ndarray, dim: int) -> DocumentVectors:
    starts = np.concatenate([[0], np.cumsum(lengths)])
    nothing = np.zeros((len(chosen), 0), np.float32)
    return DocumentVectors(
        [str(at) for at in range(len(lengths))], np.zeros((len(chosen), dim), np.float32), nothing, starts
    )


def _blocks(
    train: TrainingChunks, chunk_size: int, at_once: int, frozen: FrozenOutputs | None, chosen: np.ndarray
) -> list[Block]:
    """Return a step's chunks in blocks of one padded length, each of `at_once` rows."""
    buckets = padded_lengths(train.lengths[chosen], bucket_lengths(chunk_size))
    blocks = []
    for length in np.unique(buckets).tolist():
        members = np.flatnonzero(buckets == length)
        for at in range(0, len(members), at_once):
            part = members[at : at + at_once]
            blocks.append(Block(part, functools.partial(_inputs, train, frozen, chosen[part], at_once, length)))
    return blocks


def _inputs(
    train: TrainingChunks, frozen: FrozenOutputs | None, places: np.ndarray, num_rows: int, length: int
) -> tuple[np.ndarray, ...]:
    inputs = pad_tokens([train.rows[place] for place in places], num_rows, length)
    return inputs if frozen is None else (*inputs, frozen.padded(places, num_rows, length))


def _read_dev(engine: Any, dev: TrainingChunks, model: Model, num_classes: int) -> dict[str, float]:
    with bar("dev", "chunks", len(dev.rows)) as progress:
        vectors = encode_chunks(engine, dev.rows, progress)
    starts = np.searchsorted(dev.document_of, np.arange(len(dev.doc_ids) + 1))
    documents = DocumentVectors(dev.doc_ids, vectors, np.zeros((len(vectors), 0), np.float32), starts)
    probs = by_document(compile_logits(model.head), num_classes, model.objective)(documents)
    found, loss = model.objective.read(probs, dev.label_ids[starts[:-1]])
    of_chunks, chunk_loss = model.objective.read(
        model.objective.chunk_probs(vectors, model.chunk_head.arrays()), dev.label_ids
    )
    measure = model.objective.measure
    return {
        f"dev_{measure}": found,
        "dev_loss": loss,
        f"dev_chunk_{measure}": of_chunks,
        "dev_chunk_loss": chunk_loss,
    }
