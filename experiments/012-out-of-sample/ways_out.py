"""Ways to train a head on vectors that are no cleaner than those of unseen documents: the own code of config.yaml's arms.

What takes long is kept beside the run and gone on with after an interruption.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.encoders import ENCODERS, compat
from hierdoc.encoders.pretrained import find_encoder
from hierdoc.engines import ENGINES
from hierdoc.engines.encoding import encode_chunks
from hierdoc.evaluation.baselines import Answers
from hierdoc.heads import HEADS
from hierdoc.heads.document_probs import by_document, compile_logits, load_head, save_head
from hierdoc.learning import loop
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.encoder import train_encoder
from hierdoc.learning.head import PATIENCE
from hierdoc.learning.history import History
from hierdoc.learning.seeds import generator, seed_tensorflow
from hierdoc.objectives.classification import accuracy_and_loss, chunk_probs
from hierdoc.progress import bar, say
from hierdoc.sequences import batches
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import LabelledDocuments, TrainingChunks, read_chunks, read_split, read_texts
from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS, FinishedStage, read_stage

SPLITS = ("train", "dev", "test")
EPOCHS = 50  # as train_lstm


def answer(run: Path, split: str, seed: int, way: str, **settings: float) -> Answers:
    """Return what the way of that name says of a split's documents."""
    task = Task(run, seed, *(read_stage(run, name) for name in ("chunk", "finetune", "embed")))
    probs = WAYS[way](task, split, **settings)
    encoders = [] if way in OF_HALVES else [task.finetune.path]
    seconds = sum(files.read_object(place / TIMINGS)["seconds"] for place in (*encoders, *task.trained))
    return Answers(probs.argmax(axis=1), probs, training_seconds=seconds)


@dataclasses.dataclass(frozen=True)
class Task:
    run: Path
    seed: int
    chunk: FinishedStage
    finetune: FinishedStage
    embed: FinishedStage
    trained: set[Path] = dataclasses.field(default_factory=set)  # folders of what was trained for it, with its timings

    @property
    def num_classes(self) -> int:
        return len(self.chunk.details["labels"])

    def read(self, split: str) -> LabelledDocuments:
        return read_split(self.chunk, self.embed, split)


def noise(task: Task, split: str, standard_deviations: float) -> np.ndarray:
    """An LSTM whose training vectors get normal noise at each step, of so many standard deviations of each number."""
    train, dev = task.read("train"), task.read("dev")
    spread = standard_deviations * train.documents.vectors.std(axis=0)
    model = fit_lstm(task, train, dev, spread=spread)
    return model(task.read(split).documents)


def weight_decay(task: Task, split: str, rate: float) -> np.ndarray:
    """An LSTM trained by AdamW (Loshchilov and Hutter 2019)."""
    return fit_lstm(task, task.read("train"), task.read("dev"), decay=rate)(task.read(split).documents)


def half(task: Task, split: str) -> np.ndarray:
    """An encoder that learned from one half of the documents, and an LSTM that learned from the other half."""
    in_half = halves(task)
    encoded = encoded_by_half(task, 0, in_half)
    model = fit_lstm(task, take(encoded["train"], np.flatnonzero(in_half == 1)), encoded["dev"])
    return model(encoded[split].documents)


def crossfit_lstm(task: Task, split: str) -> np.ndarray:
    """An LSTM over chunk probabilities: of training documents by the half's encoder that has not seen them, of others by both."""
    probs = crossfit(task)
    return fit_lstm(task, probs["train"], probs["dev"])(probs[split].documents)


def crossfit_average(task: Task, split: str) -> np.ndarray:
    """The mean of the chunk probabilities of both halves' encoders; no head."""
    documents = crossfit(task)[split].documents
    sums = np.add.reduceat(documents.probs.astype(np.float64), documents.starts[:-1], axis=0)
    return sums / documents.num_chunks[:, None]


WAYS: dict[str, Callable[..., np.ndarray]] = {
    way.__name__: way for way in (noise, weight_decay, half, crossfit_lstm, crossfit_average)
}
OF_HALVES = {"half", "crossfit_lstm", "crossfit_average"}  # these have no use for the encoder that the other arms share


def fit_lstm(
    task: Task,
    train: LabelledDocuments,
    dev: LabelledDocuments,
    spread: np.ndarray | None = None,
    decay: float = 0.0,
) -> Callable[[DocumentVectors], np.ndarray]:
    """Return what gives documents' probabilities; trained as train_lstm does it, but for noise or weight decay.

    Args:
        task: in whose run the model is kept.
        train, dev: what it learns from and is chosen by.
        spread: float (D,), the standard deviation of noise on each number; None for none.
        decay: AdamW's.
    """
    tf = compat.load_tensorflow()
    place = task.run / "own"
    task.trained.add(place)
    if (place / "config.json").exists():
        return by_document(compile_logits(load_head(place)[0]), task.num_classes)
    place.mkdir(exist_ok=True)
    started = time.monotonic()
    dim = train.documents.vectors.shape[1]
    seed_tensorflow(task.seed)
    model = HEADS["lstm"](dim, task.num_classes)
    document_probs = by_document(compile_logits(model), task.num_classes)
    optimizer = tf.keras.optimizers.AdamW(1e-3, weight_decay=decay, epsilon=1e-7)

    def forward(vectors: Any, mask: Any, dropout_seed: Any) -> Any:
        if spread is not None:
            vectors = vectors + spread.astype(np.float32) * tf.random.stateless_normal(tf.shape(vectors), dropout_seed)
        return model([vectors, mask], training=True)

    def batches_of(epoch: int) -> list[Callable[[], loop.LabelledBatch]]:
        plan = batches.plan_epoch(train.documents.num_chunks, generator(task.seed, "head epoch", epoch))
        return [lambda members=members: labelled(train, members) for members in plan]

    def read_dev() -> dict[str, float]:
        accuracy, loss = accuracy_and_loss(document_probs(dev.documents), dev.label_ids)
        return {"dev_accuracy": accuracy, "dev_loss": loss}

    loop.train(
        loop.make_trained(forward, model.trainable_variables, optimizer, task.seed, trace_each_shape=False),
        batches_of=batches_of,
        read_dev=read_dev,
        better=lambda new, best: (new["dev_accuracy"], -new["dev_loss"]) > (best["dev_accuracy"], -best["dev_loss"]),
        history=History(place / "history.jsonl"),
        checkpoints=Checkpoints(place),
        num_epochs=EPOCHS,
        patience=PATIENCE,
        description="own lstm",
        unit="documents",
    )
    note_seconds(place, started)
    save_head(place, model, {"head": "lstm", "dim": dim, "labels": task.chunk.details["labels"]})
    return document_probs


def note_seconds(place: Path, started: float) -> None:
    """Write beside what was trained what it took, without earlier, interrupted runs."""
    files.write_json(place / TIMINGS, {"seconds": round(time.monotonic() - started, 3)})


def labelled(train: LabelledDocuments, members: np.ndarray) -> loop.LabelledBatch:
    batch = batches.make_batch(train.documents, members)
    label_ids, weights = np.zeros(len(batch.mask), np.int32), np.zeros(len(batch.mask), np.float32)
    label_ids[: len(members)], weights[: len(members)] = train.label_ids[members], 1
    return loop.LabelledBatch((batch.vectors, batch.mask), label_ids, weights)


def take(documents: LabelledDocuments, members: np.ndarray) -> LabelledDocuments:
    """Return some of the documents, by their numbers."""
    of = documents.documents
    rows = np.concatenate([np.arange(of.starts[member], of.starts[member + 1]) for member in members])
    starts = np.concatenate([[0], np.cumsum(of.num_chunks[members])])
    taken = DocumentVectors([of.doc_ids[member] for member in members], of.vectors[rows], of.probs[rows], starts)
    return LabelledDocuments(taken, [documents.labels[member] for member in members], documents.label_ids[members])


def halves(task: Task) -> np.ndarray:
    """Return int (B,): the half, 0 or 1, of each training document, in the order of their ids.

    Drawn by class; near-duplicates are in one half, or the vectors of the other half would be cleaner than those of unseen
    documents.
    """
    texts = read_texts(task.chunk, "train")
    groups = near_duplicate_groups(texts.texts)
    in_half, counts = np.zeros(len(groups), np.int64), np.zeros((task.num_classes, 2), np.int64)
    for group in generator(task.seed, "halves", 0).permutation(np.unique(groups)):
        members = np.flatnonzero(groups == group)
        label_id = texts.label_ids[group]
        in_half[members] = counts[label_id].argmin()
        counts[label_id, in_half[group]] += len(members)
    return in_half


def crossfit(task: Task) -> dict[str, LabelledDocuments]:
    """Return the documents of each split with chunk probabilities for vectors, float32 (N, C).

    Training documents have those of the encoder that has not seen them, the others the mean of both encoders'.
    """
    in_half = halves(task)
    encoded = [encoded_by_half(task, number, in_half) for number in (0, 1)]
    found = {}
    for split in SPLITS:
        first, second = (of[split].documents for of in encoded)
        if split == "train":
            unseen = np.repeat(in_half, first.num_chunks)[
                :, None
            ]  # the half of a chunk's document; the other's encoder
            probs = np.where(unseen == 0, second.probs, first.probs)
        else:
            probs = (first.probs + second.probs) / 2
        found[split] = dataclasses.replace(
            encoded[0][split], documents=dataclasses.replace(first, vectors=probs, probs=probs)
        )
    return found


def encoded_by_half(task: Task, number: int, in_half: np.ndarray) -> dict[str, LabelledDocuments]:
    """Return every split's documents as the encoder sees them that was fine-tuned on half `number` alone.

    As finetune does it, with its parameters in this run. Kept beside the shared encoder, for all ways that want it, and
    made anew when this code is another.
    """
    code = files.sha256_of(Path(__file__))[:8]
    place = (task.run / "embed").resolve().parent / f"half-{number}-{code}"
    place.mkdir(exist_ok=True)
    task.trained.add(place)
    chunks = {split: read_chunks(task.chunk, split) for split in SPLITS}
    documents = {split: task.read(split) for split in SPLITS}
    if not (place / "encoded.npz").exists():
        ids = [
            doc_id for doc_id, half in zip(documents["train"].documents.doc_ids, in_half, strict=True) if half == number
        ]
        started = time.monotonic()
        arrays = _train_and_encode(task, place, chunks, some_documents(chunks["train"], set(ids)))
        note_seconds(place, started)
        with files.atomic(place / "encoded.npz") as partial, partial.open("wb") as file:
            np.savez(file, **arrays)
    found = {}
    with np.load(place / "encoded.npz", allow_pickle=False) as stored:
        for split in SPLITS:
            # read_chunks has the documents in the order of the chunk stage, DocumentVectors in that of their ids
            ids = np.asarray(chunks[split].doc_ids)[chunks[split].document_of]
            order = np.lexsort((chunks[split].chunk_index, ids))
            replaced = {kind: stored[f"{split}_{kind}"][order] for kind in ("vectors", "probs")}
            found[split] = dataclasses.replace(
                documents[split], documents=dataclasses.replace(documents[split].documents, **replaced)
            )
    return found


def _train_and_encode(
    task: Task, place: Path, chunks: dict[str, TrainingChunks], train: TrainingChunks
) -> dict[str, np.ndarray]:
    source = find_encoder(task.chunk.details["encoder"])
    parameters, chunk_size = task.finetune.parameters, task.chunk.parameters["chunk_size"]
    seed_tensorflow(task.seed)
    encoder = ENCODERS["bert"](source.config)
    if (weights := source.load_weights()) is not None:
        encoder.assign(weights, str(source.weights_path))
    say(f"{place}: {len(train.doc_ids)} documents")
    head, best_epoch, rates = train_encoder(
        encoder, train, chunks["dev"], task.num_classes, chunk_size, parameters,
        History(place / "history.jsonl"), Checkpoints(place),
    )  # fmt: skip
    say(f"{place}: epoch {best_epoch}, {rates}")
    encoding = task.embed.parameters
    engine = ENGINES[encoding["engine"]](
        {"name": "bert", **encoder.config}, encoder.arrays(), encoding["precision"], chunk_size
    )
    arrays = {}
    for split, of_split in chunks.items():
        with bar(f"embed {split}", "chunks", len(of_split.rows)) as progress:
            vectors = encode_chunks(engine, of_split.rows, progress)
        arrays |= {f"{split}_vectors": vectors, f"{split}_probs": chunk_probs(vectors, head)}
    return arrays


def some_documents(chunks: TrainingChunks, doc_ids: set[str]) -> TrainingChunks:
    """Return the chunks of some of the documents, which are numbered anew."""
    kept = [doc_id for doc_id in chunks.doc_ids if doc_id in doc_ids]
    number = {doc_id: place for place, doc_id in enumerate(kept)}
    new = np.asarray([number.get(doc_id, -1) for doc_id in chunks.doc_ids])[chunks.document_of]
    rows = np.flatnonzero(new >= 0)
    return TrainingChunks(
        [chunks.rows[row] for row in rows], chunks.lengths[rows], new[rows], chunks.label_ids[rows],
        chunks.chunk_index[rows], kept,
    )  # fmt: skip
