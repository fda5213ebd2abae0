"""Ways to break a simulated set, each at any strength from 0 to 1, with what the doctor must call it.

The first group was known while the checks were written; `unseen_faults` holds those that were not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.tracing.files import Trace
from tests.diagnosis.simulation import Simulation


@dataclass(frozen=True)
class Fault:
    """A way to break a set.

    Attributes:
        breaks: called at each moment of the simulation with (the simulation, the moment, the strength).
        codes: any of these names it.
        world: what the world must have for it.
        strengths: strong and weak.
        harmless: strengths at which it is known to do next to nothing to the model, and that nobody need name it.
    """

    breaks: Callable[[Simulation, str, float], None]
    codes: set[str]
    world: dict[str, Any] = field(default_factory=dict)
    strengths: tuple[float, float] = (1.0, 0.4)
    harmless: tuple[float, ...] = ()


def at(moment: str) -> Callable[[Callable[[Simulation, float], None]], Callable[[Simulation, str, float], None]]:
    """Make a fault of a function that is to be called at one moment."""

    def wrap(function: Callable[[Simulation, float], None]) -> Callable[[Simulation, str, float], None]:
        def breaks(sim: Simulation, now: str, strength: float) -> None:
            if now == moment:
                function(sim, strength)

        return breaks

    return wrap


def some(sim: Simulation, num: int, strength: float) -> np.ndarray:
    """bool (num,): a share `strength` of them, drawn."""
    chosen = np.zeros(num, bool)
    chosen[sim.rng.permutation(num)[: max(2, round(strength * num))]] = True
    return chosen


@at("grouped")
def labels_from_one(sim: Simulation, strength: float) -> None:
    wrong = np.ones(len(sim.labels), bool) if strength == 1 else some(sim, len(sim.labels), strength)
    sim.head_labels[wrong] += 1 if strength == 1 else sim.world.num_classes


@at("chunk training")
def chunk_labels_from_one(sim: Simulation, strength: float) -> None:
    rows = some(sim, len(sim.owners), strength) if strength < 1 else np.ones(len(sim.owners), bool)
    sim.chunk_labels[rows] += sim.world.num_classes if strength < 1 else 1


@at("vectors")
def vectors_with_nan(sim: Simulation, strength: float) -> None:
    sim.vectors[some(sim, len(sim.vectors), strength * 0.5), 3] = np.nan


@at("vectors")
def vectors_infinite(sim: Simulation, strength: float) -> None:
    sim.vectors[some(sim, len(sim.vectors), strength * 0.3)] = np.inf


@at("vectors")
def vectors_huge(sim: Simulation, strength: float) -> None:
    sim.vectors *= 1e6 if strength == 1 else 3e3


@at("vectors")
def vectors_the_same(sim: Simulation, strength: float) -> None:
    sim.vectors[some(sim, len(sim.vectors), max(0.6, strength))] = sim.vectors[0]


@at("vectors")
def vectors_nearly_the_same(sim: Simulation, strength: float) -> None:
    sim.vectors = sim.vectors[:1] + sim.vectors * (1e-8 if strength == 1 else 1e-6)


@at("grouped")
def dev_labels_renamed(sim: Simulation, strength: float) -> None:
    num = sim.world.num_classes
    table = np.roll(np.arange(num), 1) if strength == 1 else np.array([1, 0, *range(2, num)])
    sim.head_labels[sim.num_train :] = table[sim.head_labels[sim.num_train :]]


def dev_labels_renamed_from_the_start(sim: Simulation, now: str, strength: float) -> None:
    """As dev_labels_renamed, where the labels noted with the vectors are renamed too."""
    if now == "made":
        table = np.roll(np.arange(sim.world.num_classes), 1)
        if strength < 1:
            table = np.array([1, 0, *range(2, sim.world.num_classes)])
        sim.labels[sim.num_train :] = table[sim.labels[sim.num_train :]]


@at("grouped")
def head_labels_shuffled(sim: Simulation, strength: float) -> None:
    chosen = np.flatnonzero(some(sim, sim.num_train, strength))
    sim.head_labels[chosen] = sim.head_labels[sim.rng.permutation(chosen)]


def head_labels_shuffled_before_noting(sim: Simulation, now: str, strength: float) -> None:
    """The labels noted with the vectors are as shuffled as those learned."""
    if now == "made":
        chosen = np.flatnonzero(some(sim, sim.num_train, strength))
        sim.labels[chosen] = sim.labels[sim.rng.permutation(chosen)]


@at("chunk training")
def chunk_labels_shuffled(sim: Simulation, strength: float) -> None:
    chosen = np.flatnonzero(sim.in_train() & some(sim, len(sim.owners), strength))
    sim.chunk_labels[chosen] = sim.chunk_labels[sim.rng.permutation(chosen)]


@at("head training")
def labels_drawn_anew_each_step(sim: Simulation, strength: float) -> None:
    sim.step_labels = lambda members, step: np.where(
        sim.rng.random(len(members)) < strength, sim.rng.permutation(sim.head_labels[members]), sim.head_labels[members]
    )


@at("grouped")
def vectors_shifted_by_one_document(sim: Simulation, strength: float) -> None:
    last = round(strength * sim.num_train)
    sim.groups[:last] = sim.groups[1 : last + 1]


@at("grouped")
def vectors_dealt_at_random(sim: Simulation, strength: float) -> None:
    owners = sim.owners.copy()
    chosen = np.flatnonzero(sim.in_train() & some(sim, len(owners), strength))
    owners[chosen] = owners[sim.rng.permutation(chosen)]
    sim.groups = [
        sim.vectors[owners == doc] if (owners == doc).any() else sim.groups[doc] for doc in range(len(sim.labels))
    ]


@at("made")
def vectors_dealt_at_random_before_noting(sim: Simulation, strength: float) -> None:
    chosen = np.flatnonzero(sim.in_train() & some(sim, len(sim.owners), strength))
    shuffled = sim.rng.permutation(chosen)
    for name in ("vectors", "predicted", "noted_vectors"):
        array = getattr(sim, name).copy()
        array[chosen] = array[shuffled]
        setattr(sim, name, array)


@at("grouped")
def stale_vectors(sim: Simulation, strength: float) -> None:
    stale = sim.rng.standard_normal(sim.vectors.shape) * sim.vectors.std()
    rows = np.arange(len(sim.owners)) < strength * len(sim.owners)
    vectors = np.where(rows[:, None], stale, sim.vectors)
    sim.groups = [vectors[sim.owners == doc] for doc in range(len(sim.labels))]


@at("grouped")
def dev_from_another_encoder(sim: Simulation, strength: float) -> None:
    turn = np.linalg.qr(sim.rng.standard_normal((24, 24)))[0]
    for doc in range(sim.num_train, len(sim.labels)):
        sim.groups[doc] = sim.groups[doc] @ turn if strength == 1 else sim.groups[doc] * 3


@at("made")
def dev_made_by_another_encoder(sim: Simulation, strength: float) -> None:
    turn = np.linalg.qr(sim.rng.standard_normal((24, 24)))[0]
    held_out = ~sim.in_train()
    sim.vectors[held_out] = sim.vectors[held_out] @ turn if strength == 1 else sim.vectors[held_out] * 3
    sim.noted_vectors = sim.vectors.copy()


@at("grouped")
def chunks_reversed(sim: Simulation, strength: float) -> None:
    for doc in np.flatnonzero(some(sim, len(sim.labels), strength)):
        sim.groups[doc] = sim.groups[doc][::-1]


@at("grouped")
def last_chunks_cut(sim: Simulation, strength: float) -> None:
    sim.groups = [group[: 2 if strength == 1 else 5] for group in sim.groups]


@at("grouped")
def table_cut_by_zip(sim: Simulation, strength: float) -> None:
    last = int((1 - strength * 0.5) * sim.in_train().sum())
    kept = np.arange(len(sim.owners)) < last
    for doc in range(sim.num_train):
        inside = kept[sim.owners == doc]
        sim.groups[doc] = sim.groups[doc][inside]
    there = np.asarray([doc for doc in range(sim.num_train) if len(sim.groups[doc])])
    size = sim.world.head_batch
    sim.head_order = lambda epoch: np.array_split(sim.rng.permutation(there), max(1, len(there) // size))
    for doc in range(sim.num_train):
        if not len(sim.groups[doc]):
            sim.groups[doc] = sim.vectors[sim.owners == doc]


@at("made")
def documents_share_ids(sim: Simulation, strength: float) -> None:
    num = round(strength * sim.num_train / 2)
    renamed = np.arange(len(sim.labels))
    renamed[num : 2 * num] = np.arange(num)
    sim.noted_docs = renamed[sim.owners]
    sim.owners = sim.noted_docs
    docs = np.setdiff1d(np.arange(sim.num_train), np.arange(num, 2 * num))
    size = sim.world.head_batch
    sim.head_order = lambda epoch: np.array_split(sim.rng.permutation(docs), max(1, len(docs) // size))


def sorted_order(sim: Simulation, strength: float) -> list[np.ndarray]:
    noise = sim.rng.permutation(sim.num_train) * (0 if strength == 1 else 1.0 / sim.num_train)
    order = np.argsort(sim.head_labels[: sim.num_train] + noise * 1.5, kind="stable")
    size = sim.world.head_batch
    return [order[at : at + size] for at in range(0, len(order), size)]


@at("head training")
def sorted_by_label(sim: Simulation, strength: float) -> None:
    batches = sorted_order(sim, strength)
    sim.head_order = lambda epoch: batches


@at("head training")
def batches_of_one_class(sim: Simulation, strength: float) -> None:
    batches = sorted_order(sim, strength)
    sim.head_order = lambda epoch: [batches[at] for at in sim.rng.permutation(len(batches))]


@at("chunk training")
def chunks_sorted_by_label(sim: Simulation, strength: float) -> None:
    rows = np.flatnonzero(sim.in_train())
    noise = 0 if strength == 1 else sim.rng.random(len(rows)) * 1.5
    order = rows[np.argsort(sim.chunk_labels[rows] + noise, kind="stable")]
    sim.chunk_order = lambda epoch: [order[at : at + 16] for at in range(0, len(order), 16)]


@at("head training")
def too_few_steps(sim: Simulation, strength: float) -> None:
    order = sim.rng.permutation(sim.num_train)[: round((1 - 0.8 * strength) * sim.num_train)]
    size = sim.world.head_batch
    sim.head_order = lambda epoch: [order[at : at + size] for at in range(0, len(order), size)]


@at("traces")
def padding_read(sim: Simulation, strength: float) -> None:
    sim.traces["chunks"].facts["probe"] |= {"padding": 0.2 * strength, "company": 0.15 * strength}


def padding_read_without_probe(sim: Simulation, now: str, strength: float) -> None:
    if now == "traces":
        trace = sim.traces["chunks"]
        at_mask, steps = trace.steps.schema.get_field_index("mask_given"), trace.steps
        steps = steps.set_column(at_mask, steps.schema.field(at_mask), pa.array([False] * len(steps)))
        facts = {**trace.facts, "probe": None}
        sim.traces["chunks"] = Trace(facts, trace.examples, steps, trace.made, trace.dev)


@at("traces")
def company_read(sim: Simulation, strength: float) -> None:
    sim.traces["head"].facts["probe"] |= {"company": 0.1 * strength}


@at("traces")
def dropout_at_prediction(sim: Simulation, strength: float) -> None:
    sim.traces["head"].facts["probe"] |= dict.fromkeys(("repeat", "company", "padding"), 0.2 * strength)


@at("head training")
def rate_too_small(sim: Simulation, strength: float) -> None:
    sim.head_rate = 1e-6 if strength == 1 else 2e-5


@at("chunk training")
def chunk_rate_too_small(sim: Simulation, strength: float) -> None:
    sim.chunk_rate = 1e-8 if strength == 1 else 1e-6


@at("head training")
def rate_too_large(sim: Simulation, strength: float) -> None:
    sim.head_rate = 30.0 if strength == 1 else 3.0


@at("chunk training")
def chunk_rate_too_large(sim: Simulation, strength: float) -> None:
    sim.chunk_rate = 30.0 if strength == 1 else 3.0


@at("head training")
def nothing_is_trained(sim: Simulation, strength: float) -> None:
    sim.head_net.frozen = set(sim.head_net.names if strength == 1 else sim.head_net.names[:3])


@at("traces")
def weights_not_loaded(sim: Simulation, strength: float) -> None:
    sim.traces["chunks"].facts["weights_loaded"] = 0 if strength == 1 else 150


@at("traces")
def weights_not_loaded_nor_counted(sim: Simulation, strength: float) -> None:
    facts = sim.traces["chunks"].facts
    facts |= {"weights_loaded": None, "weights_expected": None}
    for row in facts["weights"]:
        if "LayerNorm" in row["name"]:
            row["is_constant_before"] = True


def documents_in_both_splits(sim: Simulation, now: str, strength: float) -> None:
    if now == "head training":
        leaked = np.arange(sim.num_train, sim.num_train + round(strength * sim.world.num_held_out))
        docs, size = np.concatenate([np.arange(sim.num_train), leaked]), sim.world.head_batch
        sim.head_order = lambda epoch: np.array_split(sim.rng.permutation(docs), max(1, len(docs) // size))


def chunks_split_instead_of_documents(sim: Simulation, now: str, strength: float) -> None:
    if now == "traces":
        trace, rows = sim.traces["chunks"], sim.traces["chunks"].dev.to_pylist()
        for row in rows[: round(strength * len(rows))]:
            doc = int(row["doc_id"]) - sim.num_train
            row |= {"doc_id": str(doc), "label_id": int(sim.labels[doc])}
        dev = pa.Table.from_pylist(rows, schema=trace.dev.schema)
        sim.traces["chunks"] = Trace(trace.facts, trace.examples, trace.steps, trace.made, dev)


@at("head training")
def softmax_in_the_loss_again(sim: Simulation, strength: float) -> None:
    sim.head_net.loss_twice = True


@at("head training")
def softmax_twice(sim: Simulation, strength: float) -> None:
    sim.head_net.twice = True


@at("grouped")
def dev_labels_shuffled(sim: Simulation, strength: float) -> None:
    chosen = sim.num_train + np.flatnonzero(some(sim, sim.world.num_held_out, strength))
    sim.head_labels[chosen] = sim.head_labels[sim.rng.permutation(chosen)]


def dev_labels_shuffled_before_noting(sim: Simulation, now: str, strength: float) -> None:
    if now == "made":
        chosen = np.arange(sim.num_train, len(sim.labels))
        sim.labels[chosen] = sim.labels[sim.rng.permutation(chosen)]


def dev_labels_shuffled_unsaid(sim: Simulation, now: str, strength: float) -> None:
    """As dev_labels_shuffled_before_noting, where the chunk model's held-out chunks name no documents."""
    dev_labels_shuffled_before_noting(sim, now, strength)
    if now == "traces":
        trace = sim.traces["chunks"]
        nobody = pa.nulls(len(trace.dev), pa.string())
        dev = trace.dev.set_column(0, trace.dev.schema.field("doc_id"), nobody)
        sim.traces["chunks"] = Trace(trace.facts, trace.examples, trace.steps, trace.made, dev)


@at("traces")
def class_0_counted_for_accuracy(sim: Simulation, strength: float) -> None:
    answered = np.asarray(sim.traces["head"].dev["probs"].to_pylist()).argmax(axis=1)
    name = "val_acc" if strength == 1 else "val_categorical_accuracy"
    sim.traces["head"].facts["epochs"][-1][name] = float((answered == 0).mean())


@at("data")
def texts_the_same(sim: Simulation, strength: float) -> None:
    chosen = some(sim, len(sim.owners), max(0.6, strength))
    sim.tokens[chosen], sim.inputs[chosen] = sim.tokens[0], sim.inputs[0]


@at("data")
def texts_empty(sim: Simulation, strength: float) -> None:
    sim.token_sums[some(sim, len(sim.owners), strength)] = 0


@at("head training")
def head_reads_noise(sim: Simulation, strength: float) -> None:
    sim.reads = lambda group: (
        sim.rng.standard_normal(group.shape[1]) * 3 + (0.0 if strength == 1 else 0.1) * group.mean(axis=0)
    )


@at("head training")
def only_the_majority_is_answered(sim: Simulation, strength: float) -> None:
    sim.reads = lambda group: group.mean(axis=0) * 1e-4


LONG = {"head_epochs": 30, "head_batch": 8}
FAULTS: dict[str, Fault] = {
    "labels 1 to C": Fault(labels_from_one, {"labels-out-of-range"}, strengths=(1.0, 0.05)),
    "chunk labels 1 to C": Fault(chunk_labels_from_one, {"labels-out-of-range"}, strengths=(1.0, 0.02)),
    "NaN in vectors": Fault(vectors_with_nan, {"vectors-not-finite"}, strengths=(1.0, 0.05)),
    "infinite vectors": Fault(vectors_infinite, {"vectors-not-finite"}, strengths=(1.0, 0.05)),
    "huge vectors": Fault(vectors_huge, {"vectors-out-of-scale"}),
    "the same vector": Fault(vectors_the_same, {"vectors-constant"}),
    "nearly the same vector": Fault(vectors_nearly_the_same, {"vectors-constant"}),
    "dev labels renamed": Fault(dev_labels_renamed, {"held-out-label-order"}, LONG),
    "dev labels renamed, vectors not noted": Fault(
        dev_labels_renamed,
        {"held-out-label-order"},
        LONG | {"notes_vectors": False, "num_held_out": 80, "separation": 2.0},
    ),
    "dev labels renamed from the start": Fault(
        dev_labels_renamed_from_the_start, {"held-out-label-order"}, LONG | {"num_held_out": 80, "separation": 2.0}
    ),
    "labels shuffled": Fault(head_labels_shuffled, {"labels-changed"}, strengths=(1.0, 0.2)),
    "labels shuffled, vectors not noted": Fault(
        head_labels_shuffled, {"labels-changed", "labels-shuffled"}, {"notes_vectors": False}, strengths=(1.0, 0.2)
    ),
    "labels shuffled, ids not said": Fault(
        head_labels_shuffled, {"labels-changed"}, {"says_doc_ids": False}, strengths=(1.0, 0.2)
    ),
    "labels shuffled before noting": Fault(
        head_labels_shuffled_before_noting, {"labels-shuffled", "labels-changed"}, strengths=(1.0, 0.6)
    ),
    "chunk labels shuffled": Fault(chunk_labels_shuffled, {"several-labels"}, strengths=(1.0, 0.1)),
    "labels drawn anew each step": Fault(labels_drawn_anew_each_step, {"several-labels", "same-input-several-labels"}),
    "labels drawn anew, ids not said": Fault(
        labels_drawn_anew_each_step, {"labels-changed", "same-input-several-labels"}, {"says_doc_ids": False}
    ),
    "vectors of the next document": Fault(
        vectors_shifted_by_one_document, {"vectors-of-other-documents"}, strengths=(1.0, 0.3)
    ),
    "vectors of the next document, ids not said": Fault(
        vectors_shifted_by_one_document, {"labels-changed"}, {"says_doc_ids": False}, strengths=(1.0, 0.3)
    ),
    "vectors dealt at random": Fault(vectors_dealt_at_random, {"vectors-of-other-documents"}, strengths=(1.0, 0.1)),
    "vectors dealt at random, ids not said": Fault(
        vectors_dealt_at_random, {"vectors-of-other-documents"}, {"says_doc_ids": False}, strengths=(1.0, 0.1)
    ),
    "vectors dealt at random before noting": Fault(
        vectors_dealt_at_random_before_noting, {"grouping-lost"}, {"separation": 2.0}, strengths=(1.0, 0.6)
    ),
    "stale vectors": Fault(stale_vectors, {"vectors-never-made"}, strengths=(1.0, 0.1)),
    "dev from another encoder": Fault(dev_from_another_encoder, {"vectors-never-made"}),
    "dev made by another encoder": Fault(dev_made_by_another_encoder, {"held-out-vectors-foreign"}),
    "chunks reversed": Fault(chunks_reversed, {"chunks-out-of-order"}, strengths=(1.0, 0.1)),
    "last chunks cut": Fault(last_chunks_cut, {"chunks-left-out"}),
    "last chunks cut, vectors not noted": Fault(last_chunks_cut, {"chunks-left-out"}, {"notes_vectors": False}),
    "table cut": Fault(table_cut_by_zip, {"documents-never-seen", "chunks-left-out"}, strengths=(1.0, 0.3)),
    "documents share ids": Fault(documents_share_ids, {"documents-merged"}, strengths=(1.0, 0.1)),
    "sorted by label": Fault(sorted_by_label, {"sorted-by-label"}),
    "batches of one class": Fault(batches_of_one_class, {"sorted-by-label"}),
    "chunks sorted by label": Fault(chunks_sorted_by_label, {"sorted-by-label"}, {"watch_chunks": True}),
    "too few steps": Fault(too_few_steps, {"documents-never-seen"}, strengths=(1.0, 0.2)),
    "too few steps, ids not said": Fault(
        too_few_steps, {"documents-never-seen"}, {"says_doc_ids": False}, strengths=(1.0, 0.2)
    ),
    "padding read": Fault(padding_read, {"padding-attended"}, strengths=(1.0, 0.02)),
    "padding read, not probed": Fault(padding_read_without_probe, {"padding-attended"}, {"watch_chunks": True}),
    "company read": Fault(company_read, {"company-matters"}, strengths=(1.0, 0.03)),
    "dropout at prediction": Fault(dropout_at_prediction, {"answers-by-chance"}, strengths=(1.0, 0.03)),
    "rate too small": Fault(rate_too_small, {"learning-rate-too-small"}, LONG),
    "chunk rate too small": Fault(chunk_rate_too_small, {"learning-rate-too-small"}),
    "rate too large": Fault(rate_too_large, {"learning-rate-too-large"}, LONG),
    "chunk rate too large": Fault(chunk_rate_too_large, {"learning-rate-too-large"}),
    "nothing is trained": Fault(nothing_is_trained, {"weights-did-not-move"}),
    "weights not loaded": Fault(weights_not_loaded, {"weights-not-loaded"}),
    "weights not loaded nor counted": Fault(weights_not_loaded_nor_counted, {"weights-not-loaded"}),
    "documents in both splits": Fault(documents_in_both_splits, {"leak"}, strengths=(1.0, 0.1)),
    "chunks split instead of documents": Fault(chunks_split_instead_of_documents, {"leak"}),
    "softmax in the loss again": Fault(softmax_in_the_loss_again, {"softmax-twice"}, LONG),
    "softmax twice": Fault(softmax_twice, {"softmax-twice"}, LONG),
    "dev labels shuffled": Fault(dev_labels_shuffled, {"labels-changed", "held-out-labels-shuffled"}, LONG),
    "dev labels shuffled before noting": Fault(
        dev_labels_shuffled_before_noting, {"labels-changed"}, LONG | {"num_held_out": 80}
    ),
    "dev labels shuffled before noting, documents of chunks not said": Fault(
        dev_labels_shuffled_unsaid, {"held-out-labels-shuffled"}, LONG | {"num_held_out": 80}
    ),
    "class 0 counted for accuracy": Fault(class_0_counted_for_accuracy, {"accuracy-misread"}, {"num_held_out": 80}),
    "texts the same": Fault(texts_the_same, {"same-input-several-labels"}, {"notes_vectors": False, "most_chunks": 2}),
    "texts empty": Fault(texts_empty, {"examples-empty"}),
    "head reads noise": Fault(
        head_reads_noise,
        {"only-memorised", "unexplained", "answers-astray"},
        LONG | {"num_held_out": 80, "notes_dev_vectors": False},
    ),
    "only the majority is answered": Fault(
        only_the_majority_is_answered,
        {"majority-answered", "unexplained"},
        {"num_held_out": 80, "imbalance": 1.0, "num_documents": 200},
        strengths=(1.0,),
    ),
    "few documents": Fault(
        lambda *_: None, {"too-few-documents"}, {"num_documents": 10, "num_classes": 5}, strengths=(1.0,)
    ),
}
