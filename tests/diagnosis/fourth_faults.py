"""The fourth group of faults: what a hostile reader broke in a loop of their own, as far as the doctor missed it at first."""

from __future__ import annotations

import numpy as np

from tests.diagnosis.faults import LONG, Fault, at
from tests.diagnosis.simulation import Simulation
from tests.diagnosis.third_faults import columns_of_the_answers_reversed

ONLY_HEAD = {"notes_vectors": False, "notes_chunks": False}


def held_out_accuracy(sim: Simulation) -> float:
    docs = np.arange(sim.num_train, len(sim.labels))
    return float((sim.head_net.answers(sim.features(docs)).argmax(axis=1) == sim.head_labels[docs]).mean())


def another_model_answers(sim: Simulation, now: str, strength: float) -> None:
    """What was shown is of the model that was trained; the weights that answer are another's, or those of the beginning."""
    if now == "held out":
        sim.head_log.readings[-1]["val_accuracy"] = held_out_accuracy(sim)
        for name, array in sim.head_net.arrays.items():
            fresh = sim.rng.standard_normal(array.shape)
            sim.head_net.arrays[name] = fresh if strength == 1 else sim.head_net.before[name].copy()


def accuracy_of_all_pairs(sim: Simulation, now: str, strength: float) -> None:
    """Labels (B, 1) against answers (B,): each with each, of all documents or of each batch of 16."""
    if now == "held out":
        docs = np.arange(sim.num_train, len(sim.labels))
        answered, size = sim.head_net.answers(sim.features(docs)).argmax(axis=1), len(docs) if strength == 1 else 16
        parts = [slice(begin, begin + size) for begin in range(0, len(docs), size)]
        same = [answered[part][:, None] == sim.head_labels[docs][part][None] for part in parts]
        for reading in sim.head_log.readings:
            reading["val_accuracy"] = float(np.mean([part.mean() for part in same]))


@at("head training")
def all_but_nothing_of_the_labels(sim: Simulation, strength: float) -> None:
    """Targets smoothed until next to nothing is left of them: the loss can't fall."""
    whole, share = sim.head_net._step, 0.0 if strength == 1 else 0.003

    def step(inputs: np.ndarray, labels: np.ndarray, rate: float, weights: np.ndarray | None) -> float:
        drawn = sim.rng.integers(0, sim.world.num_classes, len(labels))
        return whole(inputs, np.where(sim.rng.random(len(labels)) < share, labels, drawn), rate, weights)

    sim.head_net._step = step


def starts_anew(sim: Simulation, now: str, strength: float) -> None:
    """The model is built in the loop over epochs: each epoch, or each third one, begins with fresh weights."""
    if now != "head training":
        return
    whole = sim._head_batches
    sim.head_rate *= 0.1

    def batches(epoch: int) -> list[np.ndarray]:
        if strength == 1 or epoch % 3 == 0:
            for name, array in sim.head_net.before.items():
                sim.head_net.arrays[name] = sim.rng.permutation(array.reshape(-1)).reshape(array.shape)
        return whole(epoch)

    sim._head_batches = batches


def held_out_labels_a_place_off(sim: Simulation, now: str, strength: float) -> None:
    """Everywhere alike, from the beginning: all of them by three places, or by one from a document on."""
    if now == "data":
        begin, places = (0, 3) if strength == 1 else (sim.world.num_held_out // 4, 1)
        part = slice(sim.num_train + begin, None)
        sim.labels[part] = np.roll(sim.labels[part], places)


def held_out_labels_turned_round(sim: Simulation, now: str, strength: float) -> None:
    if now == "data":
        sim.labels[sim.num_train :] = sim.labels[sim.num_train :][::-1]


FOURTH: dict[str, Fault] = {
    "columns of the answers exchanged": Fault(
        columns_of_the_answers_reversed, {"held-out-label-order"}, LONG | {"num_held_out": 160, "separation": 2.0}
    ),
    "another model answers": Fault(
        another_model_answers,
        # of few and well separated classes, any model's answers are nearly a renaming
        {"answers-astray", "weights-did-not-move", "held-out-label-order"},
        LONG | ONLY_HEAD | {"num_held_out": 80},
    ),
    "accuracy of all pairs": Fault(
        accuracy_of_all_pairs, {"accuracy-misread"}, LONG | {"num_held_out": 160, "separation": 2.0}
    ),
    "all but nothing of the labels": Fault(
        all_but_nothing_of_the_labels, {"unexplained"}, LONG | ONLY_HEAD | {"num_held_out": 80, "num_classes": 5}
    ),
    "starts anew": Fault(starts_anew, {"unexplained"}, LONG | {"num_held_out": 80, "num_classes": 5}),
    "held-out labels a place off": Fault(
        held_out_labels_a_place_off,
        {"held-out-labels-shifted"},
        LONG | {"num_held_out": 160, "separation": 2.0, "num_classes": 5},
    ),
    "held-out labels a place off, only the head": Fault(
        held_out_labels_a_place_off,
        {"held-out-labels-shifted"},
        LONG | ONLY_HEAD | {"num_held_out": 160, "separation": 2.0, "num_classes": 5},
    ),
    "held-out labels turned round": Fault(
        held_out_labels_turned_round,
        {"held-out-labels-shifted"},
        LONG | {"num_held_out": 80, "separation": 2.0, "num_classes": 5},
        strengths=(1.0,),
    ),
}
