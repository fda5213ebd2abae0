"""Trainings in NumPy that leave the traces that hierdoc.trace would: a chunk model, its vectors, and a document model.

Both models are really trained (one hidden layer, Adam), so that losses, weights and answers are those of a training. A
fault is a function of (the simulation, the name of a moment, its strength), called at each moment of `MOMENTS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.tracing.files import DEV, EXAMPLES, FORMAT, MADE, STEPS, Trace
from hierdoc.tracing.hashing import hash_rows, sketch_rows

MOMENTS = ("data", "chunk training", "vectors", "made", "grouped", "head training", "batches", "held out", "traces")
DIM = 24


@dataclass(frozen=True)
class World:
    """What is simulated; the defaults make a healthy, easy set."""

    num_documents: int = 90
    num_held_out: int = 40
    num_classes: int = 5
    separation: float = 1.2  # of the classes' centres, where a chunk's own noise is 1
    document_effect: float = 0.5
    fewest_chunks: int = 1
    most_chunks: int = 8
    imbalance: float = 0.0  # 0: equal classes; 2: the first is by far the most frequent
    chunk_epochs: int = 3
    head_epochs: int = 10
    head_batch: int = 8
    rate: float = 1.0  # times the sensible learning rates
    by_length: bool = False  # batches of like length, as hierdoc makes them
    sampled: int = 0  # so many chunks of a document in each epoch of the chunk model
    watch_chunks: bool = False  # else it is fitted on arrays, whose order is not known
    says_doc_ids: bool = True  # in the head's batches
    notes_vectors: bool = True
    notes_dev_vectors: bool = True
    notes_chunks: bool = True
    duplicates: float = 0.0  # share of documents that are copies of another of the same class
    random_encoder: bool = False  # declared
    own_ids: bool = False  # held-out documents are numbered from 0 as well
    seed: int = 0


class Net:
    """inputs -> tanh(hidden) -> softmax, trained by Adam."""

    def __init__(self, sizes: tuple[int, int, int], rng: np.random.Generator, names: tuple[str, ...]):
        first, hidden, num_classes = sizes
        self.arrays = {
            names[0]: rng.standard_normal((first, hidden)) / np.sqrt(first),
            names[1]: np.zeros(hidden),
            names[2]: rng.standard_normal((hidden, num_classes)) / np.sqrt(hidden),
            names[3]: np.zeros(num_classes),
        }
        self.names = names
        self.frozen: set[str] = set()
        self.before = {name: array.copy() for name, array in self.arrays.items()}
        self.moments = {name: (np.zeros_like(array), np.zeros_like(array)) for name, array in self.arrays.items()}
        self.num_steps = 0
        self.optimizer, self.decay, self.clip = "adam", 0.0, np.inf
        self.twice = self.loss_twice = False  # whether the answers, or the loss alone, pass a second softmax
        self.output = "softmax"

    def hidden(self, inputs: np.ndarray) -> np.ndarray:
        return np.tanh(inputs @ self.arrays[self.names[0]] + self.arrays[self.names[1]])

    def outputs_of(self, hidden: np.ndarray) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.nan_to_num(hidden @ self.arrays[self.names[2]] + self.arrays[self.names[3]])

    def logits(self, inputs: np.ndarray) -> np.ndarray:
        return self.hidden(inputs) @ self.arrays[self.names[2]] + self.arrays[self.names[3]]

    def answers(self, inputs: np.ndarray) -> np.ndarray:
        logits = self.logits(inputs)
        if self.output == "logits":
            return logits
        if self.output == "sigmoid":
            return 1 / (1 + np.exp(-logits))
        return softmax(softmax(logits)) if self.twice else softmax(logits)

    def step(self, inputs: np.ndarray, labels: np.ndarray, rate: float, weights: np.ndarray | None = None) -> float:
        """Take one step; a label outside the outputs makes the loss NaN, as on a GPU."""
        with np.errstate(all="ignore"):
            return self._step(inputs, labels, rate, weights)

    def _step(self, inputs: np.ndarray, labels: np.ndarray, rate: float, weights: np.ndarray | None) -> float:
        hidden = self.hidden(inputs)
        probs = softmax(hidden @ self.arrays[self.names[2]] + self.arrays[self.names[3]])
        num = probs.shape[1]
        bad = (labels < 0) | (labels >= num)
        targets = np.eye(num)[np.where(bad, 0, labels)]
        targets[bad] = np.nan
        weights = np.ones(len(labels)) if weights is None else weights
        if self.twice or self.loss_twice:
            again = softmax(probs)
            loss = -(targets * np.log(again + 1e-12)).sum(axis=1)
            outer = again - targets
            slope = probs * (outer - (outer * probs).sum(axis=1, keepdims=True))
        else:
            loss = -(targets * np.log(probs + 1e-12)).sum(axis=1)
            slope = probs - targets
        slope = slope * weights[:, None] / len(labels)
        back = (slope @ self.arrays[self.names[2]].T) * (1 - hidden**2)
        slopes = (inputs.T @ back, back.sum(axis=0), hidden.T @ slope, slope.sum(axis=0))
        self._move(dict(zip(self.names, slopes, strict=True)), rate)
        return float((loss * weights).mean())

    def _move(self, slopes: dict[str, np.ndarray], rate: float) -> None:
        self.num_steps += 1
        for name, slope in slopes.items():
            if name in self.frozen:
                continue
            slope = np.clip(slope, -self.clip, self.clip) + self.decay * self.arrays[name]
            if self.optimizer == "sgd":
                self.arrays[name] = self.arrays[name] - rate * slope
                continue
            mean, square = self.moments[name]
            mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
            self.moments[name] = mean, square
            mean, square = mean / (1 - 0.9**self.num_steps), square / (1 - 0.999**self.num_steps)
            self.arrays[name] = self.arrays[name] - rate * mean / (np.sqrt(square) + 1e-7)

    def weights(self) -> list[dict[str, Any]]:
        rows = []
        for name, array in self.arrays.items():
            before = self.before[name]
            numbers = [np.linalg.norm(before), np.linalg.norm(array), np.linalg.norm(array - before)]
            rows.append(weight_row(name, array.size, *numbers, is_constant=bool((before == before.flat[0]).all())))
        return rows


def weight_row(name: str, size: int, before: float, after: float, change: float, is_constant: bool) -> dict[str, Any]:
    numbers = [float(value) if np.isfinite(value) else None for value in (before, after, change)]
    keys = ("norm_before", "norm_after", "norm_of_change")
    return {"name": name, "size": size, **dict(zip(keys, numbers, strict=True)), "is_constant_before": is_constant}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@dataclass
class Log:
    """What a recorder sees of one training."""

    epochs: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    padded: list[int] = field(default_factory=list)
    mask_given: list[bool] = field(default_factory=list)
    members: list[list[int]] = field(default_factory=list)
    labels: list[list[int]] = field(default_factory=list)
    readings: list[dict[str, Any]] = field(default_factory=list)


class Simulation:
    """One simulated set; faults change its attributes at their moments.

    Attributes (documents are numbered; those from `num_documents` on are held out):
        labels: int (B,). lengths: int (B,). owners, index: int (N,), document and number of each chunk.
        inputs: (N, D). tokens: uint64 (N,). token_sums: int (N,).
        chunk_labels: int (N,), what the chunk model learns.
        vectors: (N, D), what the encoder made. made: its rows as they are noted.
        groups: for each document, the vectors it holds, (S, D). head_labels: int (B,), what the head learns and is measured on.
    """

    def __init__(
        self, world: World, fault: Callable[[Simulation, str, float], None] | None = None, strength: float = 1.0
    ):
        self.world, self.fault, self.strength = world, fault, strength
        self.rng = np.random.default_rng([world.seed, 17])
        self.facts: dict[str, dict[str, Any]] = {"chunks": {}, "head": {}}
        self.probe = {name: {"num_examples": 8, "company": 2e-7, "padding": 3e-7, "repeat": 0.0} for name in self.facts}
        self.chunk_rate, self.head_rate = 4e-3 * world.rate, 1e-2 * world.rate
        self.head_order: Callable[[int], list[np.ndarray]] | None = None
        self.chunk_order: Callable[[int], list[np.ndarray]] | None = None
        self.reads: Callable[[np.ndarray], np.ndarray] = lambda group: group.mean(
            axis=0
        )  # what the head sees of a document
        self.step_weights: Callable[[np.ndarray], np.ndarray | None] = lambda members: None
        self.rate_at: Callable[[int], float] = lambda step: self.head_rate
        self.alters_answers: Callable[[np.ndarray], np.ndarray] = lambda answers: answers
        self.finished = True
        self._read: np.ndarray | None = None

    def run(self) -> dict[str, Trace]:
        self._make_data()
        self._at("data")
        self._train_chunks()
        self._at("vectors")
        self.predicted = self.chunk_net.answers(self.inputs).argmax(axis=1)
        self.made = np.arange(len(self.owners))
        self.noted_docs, self.noted_vectors = self.owners.copy(), self.vectors.copy()
        self._at("made")
        self.predicted = self.chunk_net.outputs_of(self.noted_vectors / 3.0).argmax(axis=1)  # of what is noted
        self.groups = [self.vectors[self.owners == doc] for doc in range(len(self.labels))]
        self.head_labels = self.labels.copy()
        self._at("grouped")
        self._train_head()
        self._at("held out")
        with np.errstate(all="ignore"):
            self.traces = {"chunks": self._chunk_trace(), "head": self._head_trace()}
        self._at("traces")
        if not self.world.notes_chunks:
            del self.traces["chunks"]
        return self.traces

    def _at(self, moment: str) -> None:
        if self.fault is not None:
            self.fault(self, moment, self.strength)

    @property
    def num_train(self) -> int:
        return self.world.num_documents

    def _make_data(self) -> None:
        world, rng = self.world, self.rng
        total = world.num_documents + world.num_held_out
        shares = np.exp(-world.imbalance * np.arange(world.num_classes))
        self.labels = rng.choice(world.num_classes, total, p=shares / shares.sum())
        spread = min(world.num_documents, world.num_classes)
        self.labels[:spread] = np.arange(spread)  # train has every class, as far as it can
        self.lengths = rng.integers(world.fewest_chunks, world.most_chunks + 1, total)
        self.owners = np.repeat(np.arange(total), self.lengths)
        self.index = np.concatenate([np.arange(length) for length in self.lengths])
        self.centres = rng.standard_normal((world.num_classes, DIM)) * world.separation
        of_document = rng.standard_normal((total, DIM)) * world.document_effect
        self.inputs = (self.centres[self.labels] + of_document)[self.owners] + rng.standard_normal(
            (len(self.owners), DIM)
        )
        self.tokens = rng.integers(1, 2**63, len(self.owners)).astype(np.uint64)
        self.token_sums = np.where(
            self.index < self.lengths[self.owners] - 1, 200, rng.integers(10, 201, len(self.owners))
        )
        for doc in np.flatnonzero(rng.random(total) < world.duplicates):
            others = np.flatnonzero((self.labels == self.labels[doc]) & (self.lengths == self.lengths[doc]))
            other = rng.choice(others)
            self.inputs[self.owners == doc] = self.inputs[self.owners == other]
            self.tokens[self.owners == doc] = self.tokens[self.owners == other]

    def in_train(self) -> np.ndarray:
        """bool (N,): the training documents' chunks."""
        return self.owners < self.num_train

    def _train_chunks(self) -> None:
        world = self.world
        self.chunk_labels = self.labels[self.owners].copy()
        self.chunk_net = Net(
            (DIM, DIM, world.num_classes), self.rng, ("dense/kernel", "dense/bias", "output/kernel", "output/bias")
        )
        self.chunk_log = Log()
        self._at("chunk training")
        rows = np.flatnonzero(self.in_train())
        for epoch in range(1, world.chunk_epochs + 1):
            for members in self._chunk_batches(rows, epoch):
                loss = self.chunk_net.step(self.inputs[members], self.chunk_labels[members], self.chunk_rate)
                sums = self.token_sums[members]
                note(
                    self.chunk_log,
                    epoch,
                    loss,
                    self.chunk_rate,
                    int(sums.max()),
                    True,
                    members,
                    self.chunk_labels[members],
                )
            self.chunk_log.readings.append({"loss": finite(np.mean(self.chunk_log.losses[-1:]))})
            if not np.isfinite(self.chunk_log.losses[-1]):
                break
        self.vectors = self.chunk_net.hidden(self.inputs) * 3.0

    def _chunk_batches(self, rows: np.ndarray, epoch: int) -> Iterator[np.ndarray]:
        if self.chunk_order is not None:
            yield from self.chunk_order(epoch)
            return
        order = self.rng.permutation(rows)
        if self.world.sampled:
            kept, counts = [], np.zeros(len(self.labels), int)
            for row in order:
                counts[self.owners[row]] += 1
                if counts[self.owners[row]] <= self.world.sampled:
                    kept.append(row)
            order = np.asarray(kept)
        if self.world.by_length:
            order = order[np.argsort(self.token_sums[order] // 50, kind="stable")]
        batches = [order[at : at + 16] for at in range(0, len(order), 16)]
        yield from (batches[at] for at in self.rng.permutation(len(batches)))

    def _train_head(self) -> None:
        world = self.world
        self.head_net = Net(
            (DIM, 16, world.num_classes), self.rng, ("lstm/kernel", "lstm/bias", "output/kernel", "output/bias")
        )
        self.head_log = Log()
        self.step_labels: Callable[[np.ndarray, int], np.ndarray] = lambda members, step: self.head_labels[members]
        self._at("head training")
        for epoch in range(1, world.head_epochs + 1):
            for members in self._head_batches(epoch):
                labels, rate = self.step_labels(members, self.head_net.num_steps), self.rate_at(self.head_net.num_steps)
                loss = self.head_net.step(self.features(members), labels, rate, self.step_weights(members))
                longest = max(len(self.groups[doc]) for doc in members)
                weights = self.step_weights(members)
                counted = np.ones(len(members), bool) if weights is None else weights > 0  # as the recorder notes them
                note(self.head_log, epoch, loss, rate, longest, False, members[counted], labels[counted])
            right = (
                self.head_net.answers(self.features(np.arange(self.num_train))).argmax(1)
                == self.head_labels[: self.num_train]
            )
            self.head_log.readings.append({"loss": finite(self.head_log.losses[-1]), "accuracy": float(right.mean())})
            if not np.isfinite(self.head_log.losses[-1]):
                self.finished = False
                break

    def features(self, docs: np.ndarray) -> np.ndarray:
        """(M, D): what the head sees of documents."""
        if self._read is None:
            with np.errstate(all="ignore"):
                self._read = np.stack([self.reads(group) for group in self.groups])
        return self._read[docs]

    def _head_batches(self, epoch: int) -> list[np.ndarray]:
        if self.head_order is not None:
            return self.head_order(epoch)
        order, size = self.rng.permutation(self.num_train), self.world.head_batch
        if self.world.by_length:
            order = order[np.argsort(self.lengths[order], kind="stable")]
        batches = [order[at : at + size] for at in range(0, len(order), size)]
        return [batches[at] for at in self.rng.permutation(len(batches))]

    def doc_id(self, doc: int) -> str:
        own = self.world.own_ids and doc >= self.num_train
        return str(doc - self.num_train if own else doc)

    def _chunk_trace(self) -> Trace:
        world, net = self.world, self.chunk_net
        rows = np.flatnonzero(self.in_train())
        keys: dict[tuple[Any, ...], int] = {}
        examples, steps = [], []

        def number(row: int, label: int) -> int:
            key = (self.noted_docs[row], label, self.tokens[row])
            if key not in keys:
                keys[key] = len(keys)
                examples.append(
                    {
                        "example": keys[key], "doc_id": self.doc_id(self.noted_docs[row]), "label_id": int(label),
                        "mask_sum": int(self.token_sums[row]), "chunk_index": [int(self.index[row])],
                        "hashes": [int(self.tokens[row])],
                    }
                )  # fmt: skip
            return keys[key]

        if not world.watch_chunks:
            for row in rows:
                number(row, self.chunk_labels[row])
        for at, row in enumerate(step_rows(self.chunk_log)):
            members, labels = self.chunk_log.members[at], self.chunk_log.labels[at]
            row["examples"] = [number(*pair) for pair in zip(members, labels)] if world.watch_chunks else []
            if not world.watch_chunks:
                row |= {"padded_length": None, "mask_given": None}
            steps.append(row)
        held_out = np.flatnonzero(~self.in_train())
        dev = [
            {
                "doc_id": self.doc_id(self.noted_docs[row]), "label_id": int(self.chunk_labels[row]), "mask_sum": int(self.token_sums[row]),
                "hashes": [int(self.tokens[row])], "probs": probs.tolist(),
            }
            for row, probs in zip(held_out, net.answers(self.inputs[held_out]))
        ]  # fmt: skip
        norm = np.linalg.norm(net.arrays["dense/kernel"] - net.before["dense/kernel"]) / 30
        layer_norm = [
            weight_row(
                f"layer_{layer}/LayerNorm/{name}", DIM, 4.0, 4.0 + norm / 2, norm, is_constant=world.random_encoder
            )
            for layer in (0, 1)
            for name in ("gamma", "beta")
        ]
        counts = (0, 0) if world.random_encoder else (199, 199)
        facts = self._facts("chunks", net, self.chunk_log, {"weights_loaded": counts[0], "weights_expected": counts[1]})
        facts["weights"] = layer_norm + facts["weights"]
        return make_trace(facts | self.facts["chunks"], examples, steps, [], dev)

    def _head_trace(self) -> Trace:
        world, net = self.world, self.head_net
        keys: dict[tuple[Any, ...], int] = {}
        examples, steps = [], []
        hashes = [hash_rows(group.astype(np.float32)).tolist() for group in self.groups]

        def sketches_of(doc: int) -> list[float]:
            with np.errstate(all="ignore"):
                return sketch_rows(self.groups[doc].astype(np.float32)).reshape(-1).tolist()

        def number(doc: int, label: int) -> int:
            key = (doc if world.says_doc_ids else None, label, tuple(hashes[doc]))
            if key not in keys:
                keys[key] = len(keys)
                examples.append(
                    {
                        "example": keys[key], "doc_id": self.doc_id(doc) if world.says_doc_ids else None,
                        "label_id": int(label), "mask_sum": len(self.groups[doc]), "hashes": hashes[doc], "sketches": sketches_of(doc),
                    }
                )  # fmt: skip
            return keys[key]

        for at, row in enumerate(step_rows(self.head_log)):
            pairs = zip(self.head_log.members[at], self.head_log.labels[at])
            steps.append(row | {"examples": [number(*pair) for pair in pairs]})
        docs = np.arange(self.num_train, len(self.labels))
        answers = self.alters_answers(net.answers(self.features(docs)))
        dev = [
            {
                "doc_id": self.doc_id(doc) if world.says_doc_ids else None, "label_id": int(self.head_labels[doc]),
                "mask_sum": len(self.groups[doc]), "hashes": hashes[doc], "probs": probs.tolist(), "sketches": sketches_of(doc),
            }
            for doc, probs in zip(docs, answers)
        ]  # fmt: skip
        facts = self._facts("head", net, self.head_log, {})
        return make_trace(facts | self.facts["head"], examples, steps, self._made_rows(), dev)

    def _made_rows(self) -> list[dict[str, Any]]:
        if not self.world.notes_vectors:
            return []
        counted: dict[int, int] = {}
        rows = []
        hashes = hash_rows(self.noted_vectors.astype(np.float32))
        with np.errstate(all="ignore"):
            sketches = sketch_rows(self.noted_vectors.astype(np.float32))
        for row in self.made.tolist():
            doc = int(self.noted_docs[row])
            is_train = row < self.in_train().sum()
            if not is_train and not self.world.notes_dev_vectors:
                continue
            counted[doc] = counted.get(doc, -1) + 1
            rows.append(
                {
                    "doc_id": self.doc_id(doc), "chunk_index": counted[doc], "label_id": int(self.labels[self.owners[row]]),
                    "split": "train" if is_train else "dev", "predicted": int(self.predicted[row]), "hash": int(hashes[row]),
                    "sketch": sketches[row].tolist(),
                }
            )  # fmt: skip
        return rows

    def _facts(self, name: str, net: Net, log: Log, others: dict[str, Any]) -> dict[str, Any]:
        kind = "chunks" if name == "chunks" else "documents"
        return {
            "format": FORMAT, "kind": kind, "num_classes": self.world.num_classes, "labels": None,
            "num_documents": self.num_train, "weights_loaded": None, "weights_expected": None,
            "optimizer": {"name": "Adam", "parameters": {"learning_rate": 1e-3}}, "epochs": log.readings,
            "weights": net.weights(), "probe": self.probe[name], "finished": self.finished, **others,
        }  # fmt: skip


def note(
    log: Log, epoch: int, loss: float, rate: float, padded: int, mask: bool, members: np.ndarray, labels: np.ndarray
) -> None:
    log.epochs.append(epoch)
    log.losses.append(loss)
    log.rates.append(rate)
    log.padded.append(padded)
    log.mask_given.append(mask)
    log.members.append(np.asarray(members).tolist())
    log.labels.append(np.asarray(labels).tolist())


def finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def step_rows(log: Log) -> Iterator[dict[str, Any]]:
    columns = zip(log.epochs, log.losses, log.rates, log.padded, log.mask_given)
    for at, (epoch, loss, rate, padded, mask) in enumerate(columns):
        yield {
            "step": at, "epoch": epoch, "loss": loss, "learning_rate": rate, "padded_length": padded, "mask_given": mask,
        }  # fmt: skip


def make_trace(facts: dict[str, Any], examples: list, steps: list, made: list, dev: list) -> Trace:
    named = zip((examples, steps, made, dev), (EXAMPLES, STEPS, MADE, DEV))
    return Trace(facts, *(pa.Table.from_pylist(rows, schema=schema) for rows, schema in named))


def healthy_world(seed: int) -> World:
    """Return one of many healthy worlds, weak ones among them."""
    rng = np.random.default_rng([seed, 23])

    def one(*values: Any) -> Any:
        return values[rng.integers(len(values))]

    most, num_documents = one(1, 3, 8, 20), one(30, 60, 120, 250)
    num_classes = one(*(num for num in (2, 3, 5, 10, 20) if num * 10 <= num_documents))
    return World(
        num_documents=num_documents,
        num_held_out=one(5, 15, 40, 80),
        num_classes=num_classes,
        separation=one(0.0, 0.15, 0.3, 0.6, 1.2, 2.5),
        document_effect=one(0.0, 0.5, 1.5),
        fewest_chunks=one(1, most),
        most_chunks=most,
        imbalance=one(0.0, 0.3, 1.0) if num_classes <= 3 < num_documents / 20 else one(0.0, 0.1),
        chunk_epochs=one(1, 3, 6, 40),
        head_epochs=one(1, 3, 10, 30),
        head_batch=one(3, 8, 32),
        rate=one(0.3, 1.0, 1.0, 2.0),
        by_length=one(False, True),
        sampled=one(0, 0, 2),
        watch_chunks=one(False, True),
        says_doc_ids=one(True, True, False),
        notes_vectors=one(True, True, False),
        notes_dev_vectors=one(True, False),
        notes_chunks=one(True, True, False),
        duplicates=one(0.0, 0.0, 0.01),
        random_encoder=one(False, False, True),
        own_ids=one(False, True),
        seed=seed,
    )
