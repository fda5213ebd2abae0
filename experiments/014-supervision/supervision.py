"""Ways to train an encoder on chunks of which only the document's label is known: the own code of config.yaml's arms.

All ways train the same layers from the same pretrained weights, with the run's finetune parameters: precision, epochs, learning_rate,
layer_decay and trainable_layers. The `pool_` ways see at most four chunks of a document in an epoch, as `plain_4` does; the others all. What the
frozen layers make of the training chunks is computed once for all of them, and counted for none. The epoch that is best on dev
documents is kept. What takes long is kept beside the run and gone on with after an interruption.
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders import ENCODERS, compat
from hierdoc.encoders.pretrained import find_encoder
from hierdoc.engines import ENGINES
from hierdoc.engines.encoding import encode_chunks
from hierdoc.engines.precision import in_precision
from hierdoc.engines.tensorflow import build_engine
from hierdoc.engines.token_batches import bucket_lengths, pad_tokens, padded_lengths
from hierdoc.errors import HierdocError
from hierdoc.evaluation.baselines import Answers, Material, average, mean_logistic
from hierdoc.learning import loop
from hierdoc.learning.arguments import EARLIER
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.chunk_batches import CHUNKS_PER_STEP, make_batches, plan_epoch
from hierdoc.learning.frozen import FrozenOutputs
from hierdoc.learning.history import History
from hierdoc.learning.optimizers import adam
from hierdoc.learning.schedules import warmup_linear
from hierdoc.learning.seeds import generator, seed_tensorflow
from hierdoc.objectives import ONE_LABEL
from hierdoc.objectives.classification import ChunkHead, accuracy_and_loss, softmax, weighted_loss
from hierdoc.progress import bar, say
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import TrainingChunks, read_chunks, read_split
from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS, FinishedStage, read_stage

SPLITS = ("train", "dev", "test")
MOST_CHUNKS = 4  # of a document in a step of the ways that look at documents
ATTENTION, ATTENTION_RATE = 128, 10.0  # width of the attention that weighs chunks, and how much faster it learns
EMA_MOMENTUM = 0.99
SMOOTHING = 0.1
TEACHER_SHARE = 0.5
UNFOLLOWED = {name: plain for name, plain in EARLIER.items() if name != "layer_decay"} | {
    "chunks_per_document": None, "class_weight": "none", "freeze_embeddings": False, "gradient_accumulation": 1, "max_grad_norm": None,
}  # fmt: skip


def answer(run: Path, split: str, seed: int, way: str, read: str) -> Answers:
    """Return what the encoder trained in that way says of a split's documents.

    Args:
        run, split, seed: as `hierdoc.experiment` gives them.
        way: one of `CHUNK_WAYS` or `POOLS`.
        read: "pool", the way's own rule (the mean of the chunks' probabilities, or what the loss was taken of), or "logistic",
            a logistic regression on the mean of the chunks' vectors.
    """
    task = Task(run, seed, way, *(read_stage(run, name) for name in ("chunk", "finetune", "embed")))
    if not (task.place / "encoded.npz").exists():
        _train_and_encode(task)
    encoded = {name: task.encoded(name) for name in ("train", "dev", split)}
    if read == "pool":
        probs = encoded[split].documents.probs
        return Answers(probs.argmax(axis=1), probs, training_seconds=task.seconds)
    said = mean_logistic(encoded["train"], encoded["dev"], encoded[split], task.num_classes)
    return dataclasses.replace(said, training_seconds=task.seconds)


@dataclasses.dataclass(frozen=True)
class Task:
    run: Path
    seed: int
    way: str
    chunk: FinishedStage
    finetune: FinishedStage
    embed: FinishedStage

    @property
    def num_classes(self) -> int:
        return len(self.chunk.details["labels"])

    @property
    def shared(self) -> Path:
        """Where all ways of one encoder's parameters keep things; made anew when this code is another, or the encoder."""
        made_of = f"{files.sha256_of(Path(__file__))[:8]}-{self.embed.fingerprint[:8]}"
        return (self.run / "embed").resolve().parent / f"supervision-{made_of}"

    @property
    def seconds(self) -> float:
        """What the training took; with the run's own encoder, where the way has one for a teacher."""
        teacher = (self.finetune, self.embed) if self.way in TAUGHT else ()
        places = [self.place, *(stage.path for stage in teacher)]
        return sum(files.read_object(place / TIMINGS)["seconds"] for place in places)

    @property
    def place(self) -> Path:
        return self.shared / self.way

    def encoded(self, split: str) -> Material:
        """Return a split's documents as this way's encoder makes them; their `probs` (B, C) are a document's, by its own rule."""
        labelled = read_split(self.chunk, self.embed, split)
        chunks = read_chunks(self.chunk, split)
        ids = np.asarray(chunks.doc_ids)[chunks.document_of]
        order = np.lexsort((chunks.chunk_index, ids))  # read_split has the documents in the order of their ids
        with np.load(self.place / "encoded.npz", allow_pickle=False) as stored:
            arrays = {name.removeprefix("head_"): stored[name] for name in stored.files if name.startswith("head_")}
            vectors = stored[f"{split}_vectors"][order]
        documents = dataclasses.replace(labelled.documents, vectors=vectors)
        probs = document_probs(documents, arrays, self.way)
        return Material(labelled.label_ids, documents=dataclasses.replace(documents, probs=probs))


def document_probs(documents: DocumentVectors, arrays: dict[str, np.ndarray], way: str) -> np.ndarray:
    """Return a way's probabilities of B documents, float (B, C), by the arrays of its head."""
    if way not in POOLS:
        return average(dataclasses.replace(documents, probs=ONE_LABEL.chunk_probs(documents.vectors, arrays)))
    logits = documents.vectors.astype(np.float64) @ arrays["kernel"] + arrays["bias"]
    starts = documents.starts[:-1]
    if way == "pool_mean":
        return softmax(np.add.reduceat(logits, starts, axis=0) / documents.num_chunks[:, None])
    if way == "pool_max":
        return softmax(np.maximum.reduceat(logits, starts, axis=0))
    scores = (np.tanh(documents.vectors @ arrays["hidden"]) @ arrays["query"])[:, 0].astype(np.float64)
    raised = np.exp(scores - np.repeat(np.maximum.reduceat(scores, starts), documents.num_chunks))
    shares = raised / np.repeat(np.add.reduceat(raised, starts), documents.num_chunks)
    return softmax(np.add.reduceat(shares[:, None] * logits, starts, axis=0))


# What follows teaches the chunks, one by one: targets (N, C) and weights (N,) of the N training chunks.


def _plain(task: Task, train: TrainingChunks) -> tuple[np.ndarray, np.ndarray]:
    return np.eye(task.num_classes, dtype=np.float32)[train.label_ids], np.ones(len(train.rows), np.float32)


def _smoothing(task: Task, train: TrainingChunks) -> tuple[np.ndarray, np.ndarray]:
    """Label smoothing (Szegedy et al. 2016)."""
    targets, weights = _plain(task, train)
    return (1 - SMOOTHING) * targets + SMOOTHING / task.num_classes, weights


def _agreement(task: Task, train: TrainingChunks) -> tuple[np.ndarray, np.ndarray]:
    """Chunks count as much as the run's encoder has them agree with their document: by the inner product of probabilities."""
    targets, _ = _plain(task, train)
    probs, of_document = _said_before(task, train)
    agreement = (probs * of_document).sum(axis=1)
    return targets, (agreement / agreement.mean()).astype(np.float32)


def _distillation(task: Task, train: TrainingChunks) -> tuple[np.ndarray, np.ndarray]:
    """Half of a target is the mean of what the run's encoder says of the document's chunks."""
    targets, weights = _plain(task, train)
    _, of_document = _said_before(task, train)
    return ((1 - TEACHER_SHARE) * targets + TEACHER_SHARE * of_document).astype(np.float32), weights


CHUNK_WAYS: dict[str, Callable[[Task, TrainingChunks], tuple[np.ndarray, np.ndarray]]] = {
    "plain": _plain,
    "smoothing": _smoothing,
    "agreement": _agreement,
    "distillation": _distillation,
    "average_of_weights": _plain,
    "plain_4": _plain,
}
TAUGHT = ("agreement", "distillation")  # by the run's own encoder, so that twice the training goes into them
# These take the loss of a document: of the mean or the maximum of its chunks' logits (multiple-instance learning), or of the logits
# of the mean of its vectors, weighed by attention (Ilse et al. 2018, without the gate).
POOLS = ("pool_mean", "pool_max", "pool_attention")


def _said_before(task: Task, train: TrainingChunks) -> tuple[np.ndarray, np.ndarray]:
    """Return what the run's own encoder says of each training chunk, and of its document by their mean: (N, C) both."""
    documents = read_split(task.chunk, task.embed, "train").documents
    number = {doc_id: place for place, doc_id in enumerate(documents.doc_ids)}
    of_chunk = np.asarray([number[doc_id] for doc_id in train.doc_ids])[train.document_of]
    return documents.probs[documents.starts[of_chunk] + train.chunk_index], average(documents)[of_chunk]


def _train_and_encode(task: Task) -> None:
    """Train the encoder in the task's way and write what it makes of every split, with the head, as encoded.npz."""
    source = find_encoder(task.chunk.details["encoder"])
    parameters, chunk_size = task.finetune.parameters, task.chunk.parameters["chunk_size"]
    chunks = {split: read_chunks(task.chunk, split) for split in SPLITS}
    task.place.mkdir(exist_ok=True, parents=True)
    seed_tensorflow(task.seed)
    encoder = ENCODERS["bert"](source.config)
    if (weights := source.load_weights()) is not None:
        encoder.assign(weights, str(source.weights_path))
    _check_followed(parameters)
    num_frozen = encoder.config["num_hidden_layers"] - parameters["trainable_layers"]
    frozen = FrozenOutputs(
        task.shared / "frozen.bin",
        encoder,
        num_frozen,
        chunks["train"].rows,
        np.arange(len(chunks["train"].rows)),
        parameters["precision"],
        chunk_size,
    )
    timings, started = task.place / TIMINGS, time.monotonic()
    earlier = files.read_object(timings)["seconds"] if timings.exists() else 0.0

    def note_seconds() -> None:
        files.write_json(timings, {"seconds": round(earlier + time.monotonic() - started, 3)})

    checkpoints = Checkpoints(task.place, note_seconds)
    arrays = _train(
        task, encoder, frozen, num_frozen, chunks["train"], chunks["dev"], parameters, chunk_size, checkpoints
    )
    note_seconds()
    encoding = task.embed.parameters
    engine = ENGINES[encoding["engine"]](
        {"name": "bert", **encoder.config}, encoder.arrays(), encoding["precision"], chunk_size
    )
    kept = {f"head_{name}": array for name, array in arrays.items()}
    for split, of_split in chunks.items():
        with bar(f"embed {split}", "chunks", len(of_split.rows)) as progress:
            kept[f"{split}_vectors"] = encode_chunks(engine, of_split.rows, progress)
    with files.atomic(task.place / "encoded.npz") as partial, partial.open("wb") as file:
        np.savez(file, **kept)


def _check_followed(parameters: dict[str, Any]) -> None:
    """Check that nothing is asked of finetune that is not done here."""
    for name, plain in UNFOLLOWED.items():
        if parameters.get(name, plain) != plain:
            raise HierdocError(f"`{name}` of finetune is not followed here, and must be {plain!r}")
    if parameters["trainable_layers"] is None:
        raise HierdocError("`trainable_layers` of finetune must be given")


def _train(
    task: Task,
    encoder: Any,
    frozen: FrozenOutputs,
    num_frozen: int,
    train: TrainingChunks,
    dev: TrainingChunks,
    parameters: dict[str, Any],
    chunk_size: int,
    checkpoints: Checkpoints,
) -> dict[str, np.ndarray]:
    """Train the encoder; return the arrays of the head on it."""
    tf = compat.load_tensorflow()
    precision = parameters["precision"]
    head = ChunkHead(encoder.dim, task.num_classes, seed=task.seed)
    attention = {
        "hidden": tf.Variable(generator(task.seed, "attention").normal(0, 0.05, (encoder.dim, ATTENTION)).astype("f")),
        "query": tf.Variable(tf.zeros((ATTENTION, 1))),
    }
    body = encoder.trainable(False, parameters["trainable_layers"])
    variables = [*body, head.kernel, head.bias, *(attention.values() if task.way == "pool_attention" else ())]

    def vectors_of(token_ids: Any, mask: Any, hidden: Any, dropout_seed: Any) -> Any:
        return encoder.vectors_of(hidden, mask, num_frozen, dropout_seed)

    if task.way in POOLS:
        plans = [_plan_documents(train, chunk_size, task.seed, epoch) for epoch in range(parameters["epochs"])]
        loss_of = weighted_loss

        def batches_of(epoch: int) -> list[Callable[[], loop.LabelledBatch]]:
            return [functools.partial(_batch_of_documents, train, frozen, *step) for step in plans[epoch]]

        def forward(token_ids: Any, mask: Any, hidden: Any, membership: Any, dropout_seed: Any) -> Any:
            vectors = vectors_of(token_ids, mask, hidden, dropout_seed)
            return _pooled_logits(task.way, vectors, head(vectors, dropout_seed), membership, attention)

    else:
        targets, chunk_weights = CHUNK_WAYS[task.way](task, train)
        per_document = MOST_CHUNKS if task.way == "plain_4" else None
        plans = [
            plan_epoch(train.document_of, train.lengths, chunk_size, per_document, task.seed, epoch)
            for epoch in range(parameters["epochs"])
        ]
        loss_of = _loss_of_shares

        def batches_of(epoch: int) -> list[Callable[[], loop.LabelledBatch]]:
            ones = np.ones(task.num_classes, np.float32)
            further = lambda members, length: (frozen.padded(members, CHUNKS_PER_STEP, length),)  # noqa: E731
            makers = make_batches(plans[epoch], train, ones, further_inputs=further)
            return [
                functools.partial(_retold, make, members, targets, chunk_weights)
                for make, (_, members) in zip(makers, plans[epoch], strict=True)
            ]

        def forward(token_ids: Any, mask: Any, hidden: Any, dropout_seed: Any) -> Any:
            return head(vectors_of(token_ids, mask, hidden, dropout_seed), dropout_seed)

    def arrays() -> dict[str, np.ndarray]:
        return {**head.arrays(), **{name: variable.numpy() for name, variable in attention.items()}}

    engine = build_engine(encoder, precision, chunk_size)
    starts = np.searchsorted(dev.document_of, np.arange(len(dev.doc_ids) + 1))
    dev_label_ids = dev.label_ids[starts[:-1]]

    def read_dev() -> dict[str, float]:
        with bar("dev", "chunks", len(dev.rows)) as progress:
            vectors = encode_chunks(engine, dev.rows, progress)
        documents = DocumentVectors(dev.doc_ids, vectors, np.zeros((len(vectors), 0)), starts)
        accuracy, loss = accuracy_and_loss(document_probs(documents, arrays(), task.way), dev_label_ids)
        return {"dev_accuracy": accuracy, "dev_loss": loss}

    shares = [parameters["layer_decay"] ** depth for depth in (*encoder.depths(body), 0, 0)]
    shares += [ATTENTION_RATE] * (len(variables) - len(shares))
    optimizer = adam(warmup_linear(parameters["learning_rate"], sum(map(len, plans))), shares)
    say(f"{task.place}: {len(train.rows)} chunks, {sum(map(len, plans))} steps")
    with in_precision(precision):
        trained = loop.make_trained(forward, variables, optimizer, task.seed, trace_each_shape=True, loss_of=loss_of)
        if task.way == "average_of_weights":
            trained, read_dev = _averaging_weights(trained, read_dev)
        loop.train(
            trained,
            batches_of=batches_of,
            read_dev=read_dev,
            better=lambda new, best: (
                (new["dev_accuracy"], -new["dev_loss"]) > (best["dev_accuracy"], -best["dev_loss"])
            ),
            history=History(task.place / "history.jsonl"),
            checkpoints=checkpoints,
            num_epochs=parameters["epochs"],
            patience=None,
            description=task.way,
            unit="chunks" if task.way in CHUNK_WAYS else "documents",
        )
    return arrays()


def _loss_of_shares(logits: Any, targets: Any, weights: Any) -> Any:
    """Return the cross-entropy with targets (N, C) that are shares of each class; else as `weighted_loss`."""
    tf = compat.load_tensorflow()
    losses = tf.nn.softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    return tf.reduce_sum(weights * losses) / tf.reduce_sum(tf.cast(weights > 0, tf.float32))


def _retold(
    make: Callable[[], loop.LabelledBatch], members: np.ndarray, targets: np.ndarray, chunk_weights: np.ndarray
) -> loop.LabelledBatch:
    """Return a batch of chunks with their own targets and weights."""
    batch = make()
    shares = np.zeros((CHUNKS_PER_STEP, targets.shape[1]), np.float32)
    weights = np.zeros(CHUNKS_PER_STEP, np.float32)
    shares[: len(members)], weights[: len(members)] = targets[members], chunk_weights[members]
    return dataclasses.replace(batch, label_ids=shares, weights=weights)


def _plan_documents(
    train: TrainingChunks, chunk_size: int, seed: int, epoch: int
) -> list[tuple[int, list[np.ndarray]]]:
    """Return (padded length, the chunks of each of its documents) of an epoch's steps.

    Of a longer document so many chunks in a row are drawn as fit; the documents of a step have longest chunks of about one length.
    """
    rng = generator(seed, "documents", epoch)
    starts = np.searchsorted(train.document_of, np.arange(len(train.doc_ids) + 1))
    in_use = bucket_lengths(chunk_size)
    by_length: dict[int, list[np.ndarray]] = {length: [] for length in in_use.tolist()}
    for document in rng.permutation(len(train.doc_ids)).tolist():
        num = int(starts[document + 1] - starts[document])
        first = int(starts[document]) + int(rng.integers(max(1, num - MOST_CHUNKS + 1)))
        members = np.arange(first, first + min(num, MOST_CHUNKS))
        by_length[int(padded_lengths(train.lengths[members].max(), in_use))].append(members)
    steps: list[tuple[int, list[np.ndarray]]] = []
    for length, documents in by_length.items():
        taken: list[np.ndarray] = []
        for members in documents:
            if sum(map(len, taken)) + len(members) > CHUNKS_PER_STEP:
                steps.append((length, taken))
                taken = []
            taken.append(members)
        if taken:
            steps.append((length, taken))
    return [steps[at] for at in rng.permutation(len(steps))]


def _batch_of_documents(
    train: TrainingChunks, frozen: FrozenOutputs, length: int, documents: Sequence[np.ndarray]
) -> loop.LabelledBatch:
    """Return a batch whose examples are documents; its last input says which rows are each one's, by their shares (N, N)."""
    members = np.concatenate(documents)
    inputs = pad_tokens([train.rows[member] for member in members], CHUNKS_PER_STEP, length)
    membership = np.zeros((CHUNKS_PER_STEP, CHUNKS_PER_STEP), np.float32)
    labels, weights = np.zeros(CHUNKS_PER_STEP, np.int32), np.zeros(CHUNKS_PER_STEP, np.float32)
    done = 0
    for place, of_document in enumerate(documents):
        membership[place, done : done + len(of_document)] = 1 / len(of_document)
        labels[place], weights[place] = train.label_ids[of_document[0]], 1
        done += len(of_document)
    return loop.LabelledBatch((*inputs, frozen.padded(members, CHUNKS_PER_STEP, length), membership), labels, weights)


def _pooled_logits(way: str, vectors: Any, logits: Any, membership: Any, attention: dict[str, Any]) -> Any:
    """Return the documents' logits (N, C) of their chunks' vectors (N, D) and logits (N, C)."""
    tf = compat.load_tensorflow()
    if way == "pool_mean":
        return tf.matmul(membership, logits)
    absent = tf.where(membership > 0, 0.0, -1e9)  # (documents, chunks)
    if way == "pool_max":
        return tf.reduce_max(logits[None] + absent[:, :, None], axis=1)
    scores = tf.matmul(tf.tanh(tf.matmul(vectors, attention["hidden"])), attention["query"])  # (chunks, 1)
    return tf.matmul(tf.nn.softmax(tf.transpose(scores) + absent, axis=1), logits)


def _averaging_weights(
    trained: loop.Trained, read_dev: Callable[[], dict[str, float]]
) -> tuple[loop.Trained, Callable[[], dict[str, float]]]:
    """Return a training whose weights are an exponential moving average wherever dev is read and an epoch is kept."""
    tf = compat.load_tensorflow()
    averages, raw = ([tf.Variable(variable, trainable=False) for variable in trained.variables] for _ in range(2))
    is_averaged = tf.Variable(0, trainable=False)

    def take_step(batch: loop.LabelledBatch, number: int) -> float:
        if is_averaged.numpy():
            for variable, value in zip(trained.variables, raw, strict=True):
                variable.assign(value)
            is_averaged.assign(0)
        loss = trained.take_step(batch, number)
        momentum = min(EMA_MOMENTUM, (1 + number) / (10 + number))
        for variable, mean in zip(trained.variables, averages, strict=True):
            mean.assign(momentum * mean + (1 - momentum) * variable)
        return loss

    def read() -> dict[str, float]:
        for variable, mean, value in zip(trained.variables, averages, raw, strict=True):
            value.assign(variable)
            variable.assign(mean)
        is_averaged.assign(1)
        return read_dev()

    remembered = [*trained.optimizer_variables, *averages, *raw, is_averaged]
    return dataclasses.replace(trained, optimizer_variables=remembered, take_step=take_step), read
