"""The third group of faults, written after the second had been learned from, again before the doctor saw any of them.

At first sight 112 of 138 were named (three worlds, two strengths)."""

from __future__ import annotations

import numpy as np

from tests.diagnosis.faults import LONG, Fault, at, some
from tests.diagnosis.simulation import Simulation


@at("grouped")
def vectors_sorted_by_length(sim: Simulation, strength: float) -> None:
    for doc in np.flatnonzero(some(sim, len(sim.labels), strength)):
        group = sim.groups[doc]
        sim.groups[doc] = group[np.argsort(np.linalg.norm(group, axis=1))]


@at("grouped")
def two_classes_exchanged_in_train(sim: Simulation, strength: float) -> None:
    num = sim.world.num_classes
    table = np.array([1, 0, *range(2, num)]) if strength < 1 else np.roll(np.arange(num), 1)
    sim.head_labels[: sim.num_train] = table[sim.head_labels[: sim.num_train]]


@at("head training")
def uphill(sim: Simulation, strength: float) -> None:
    sim.head_rate = -sim.head_rate * (1 if strength == 1 else 0.1)


@at("head training")
def all_but_everything_dropped(sim: Simulation, strength: float) -> None:
    share = 0.999 if strength == 1 else 0.97
    whole = sim.features
    sim.features = lambda docs: whole(docs) * (sim.rng.random((len(docs), 24)) > share)


@at("grouped")
def first_chunk_only(sim: Simulation, strength: float) -> None:
    for doc in np.flatnonzero(some(sim, len(sim.labels), strength)):
        sim.groups[doc] = sim.groups[doc][:1]


@at("made")
def ids_that_are_missing_are_one(sim: Simulation, strength: float) -> None:
    lost = np.flatnonzero(some(sim, sim.num_train, strength * 0.5))
    docs = np.arange(len(sim.labels))
    docs[lost] = lost[0]
    sim.noted_docs = docs[sim.owners]
    sim.owners = sim.noted_docs
    there, size = np.setdiff1d(np.arange(sim.num_train), lost[1:]), sim.world.head_batch
    sim.head_order = lambda epoch: np.array_split(sim.rng.permutation(there), max(1, len(there) // size))


@at("grouped")
def missing_labels_are_minus_one(sim: Simulation, strength: float) -> None:
    sim.head_labels[np.flatnonzero(some(sim, sim.num_train, strength * 0.5))] = -1


@at("grouped")
def dev_of_zeros(sim: Simulation, strength: float) -> None:
    for doc in sim.num_train + np.flatnonzero(some(sim, sim.world.num_held_out, strength)):
        sim.groups[doc] = np.zeros_like(sim.groups[doc])


@at("vectors")
def dev_made_of_zeros(sim: Simulation, strength: float) -> None:
    held_out = np.flatnonzero(~sim.in_train())
    sim.vectors[held_out[: round(strength * len(held_out))]] = 0.0


@at("grouped")
def dev_labels_missing(sim: Simulation, strength: float) -> None:
    sim.head_labels[sim.num_train + np.flatnonzero(some(sim, sim.world.num_held_out, strength))] = 0


@at("grouped")
def noise_on_training_vectors(sim: Simulation, strength: float) -> None:
    size = (30 if strength == 1 else 5) * sim.vectors.std()
    for doc in range(sim.num_train):
        sim.groups[doc] = sim.groups[doc] + size * sim.rng.standard_normal(sim.groups[doc].shape)


@at("held out")
def answers_that_are_no_numbers(sim: Simulation, strength: float) -> None:
    def alter(answers: np.ndarray) -> np.ndarray:
        return np.where(some(sim, len(answers), strength)[:, None], np.nan, answers)

    sim.alters_answers = alter


@at("held out")
def columns_of_the_answers_reversed(sim: Simulation, strength: float) -> None:
    order = np.arange(sim.world.num_classes)
    order[: 2 if strength < 1 else None] = order[: 2 if strength < 1 else None][::-1]
    sim.alters_answers = lambda answers: answers[:, order]


@at("chunk training")
def chunk_loss_breaks_late(sim: Simulation, strength: float) -> None:
    whole = sim.chunk_net._step
    last = 10 if strength == 1 else 40

    def step(*given: object) -> float:
        loss = whole(*given)
        if sim.chunk_net.num_steps >= last:
            sim.chunk_net.arrays["output/bias"] = sim.chunk_net.arrays["output/bias"] * np.nan
            return float("nan")
        return loss

    sim.chunk_net._step = step


@at("head training")
def each_label_rotates_by_epoch(sim: Simulation, strength: float) -> None:
    every = 20 if strength == 1 else 100
    sim.step_labels = lambda members, step: (sim.head_labels[members] + step // every) % sim.world.num_classes


@at("grouped")
def every_second_chunk(sim: Simulation, strength: float) -> None:
    for doc in np.flatnonzero(some(sim, len(sim.labels), strength)):
        sim.groups[doc] = sim.groups[doc][::2]


@at("grouped")
def chunks_of_two_documents_exchanged(sim: Simulation, strength: float) -> None:
    num = round(strength * sim.num_train / 2)
    for doc in range(0, 2 * num, 2):
        sim.groups[doc], sim.groups[doc + 1] = sim.groups[doc + 1], sim.groups[doc]


@at("head training")
def epoch_of_one_class_after_the_other(sim: Simulation, strength: float) -> None:
    def order(epoch: int) -> list[np.ndarray]:
        key = (sim.head_labels[: sim.num_train] + epoch) % sim.world.num_classes
        key = key + sim.rng.random(sim.num_train) * (0.5 if strength == 1 else 1.8)
        ranked, size = np.argsort(key), sim.world.head_batch
        return [ranked[at : at + size] for at in range(0, len(ranked), size)]

    sim.head_order = order


@at("traces")
def state_kept_between_batches(sim: Simulation, strength: float) -> None:
    sim.traces["head"].facts["probe"] |= {
        "company": 0.3 * strength,
        "repeat": 0.25 * strength,
        "padding": 0.2 * strength,
    }


@at("chunk training")
def encoder_thrown_away(sim: Simulation, strength: float) -> None:
    sim.chunk_rate = 0.5 if strength == 1 else 0.2


THIRD: dict[str, Fault] = {
    "vectors sorted by length": Fault(vectors_sorted_by_length, {"chunks-out-of-order"}),
    "classes exchanged in train": Fault(
        two_classes_exchanged_in_train, {"held-out-label-order"}, LONG | {"num_held_out": 80}
    ),
    "classes exchanged in train, nothing noted": Fault(
        two_classes_exchanged_in_train,
        {"held-out-label-order"},
        LONG | {"num_held_out": 80, "notes_vectors": False, "notes_chunks": False, "separation": 2.0},
    ),
    "uphill": Fault(uphill, {"learning-rate-too-large", "unexplained"}, LONG),
    "all but everything dropped": Fault(all_but_everything_dropped, {"unexplained"}, LONG | {"num_held_out": 80}),
    "first chunk only": Fault(first_chunk_only, {"chunks-left-out"}),
    "missing ids are one": Fault(ids_that_are_missing_are_one, {"documents-merged"}),
    "missing labels are -1": Fault(missing_labels_are_minus_one, {"labels-out-of-range"}),
    "dev of zeros": Fault(dev_of_zeros, {"vectors-never-made"}),
    "dev made of zeros": Fault(dev_made_of_zeros, {"held-out-vectors-foreign", "vectors-constant"}),
    "dev labels missing": Fault(dev_labels_missing, {"labels-changed"}),
    "dev labels missing, nothing noted": Fault(
        dev_labels_missing,
        {"held-out-one-class"},
        LONG | {"notes_vectors": False, "notes_chunks": False},
        harmless=(0.4,),
    ),
    "noise on training vectors": Fault(noise_on_training_vectors, {"vectors-never-made"}),
    "noise on training vectors, not noted": Fault(
        noise_on_training_vectors,
        {"grouping-lost", "labels-shuffled", "held-out-vectors-foreign", "unexplained", "vectors-out-of-scale"},
        LONG | {"notes_vectors": False, "num_documents": 150, "num_held_out": 80},
        harmless=(0.4,),
    ),
    "answers that are no numbers": Fault(answers_that_are_no_numbers, {"loss-not-finite"}),
    "columns of the answers reversed": Fault(
        columns_of_the_answers_reversed,
        {"held-out-label-order", "answers-astray", "unexplained"},
        LONG | {"num_held_out": 80},
    ),
    "chunk loss breaks late": Fault(chunk_loss_breaks_late, {"loss-not-finite"}),
    "labels rotate": Fault(each_label_rotates_by_epoch, {"several-labels"}),
    "every second chunk": Fault(every_second_chunk, {"chunks-left-out"}),
    "neighbours exchanged": Fault(chunks_of_two_documents_exchanged, {"vectors-of-other-documents"}),
    "one class after the other": Fault(epoch_of_one_class_after_the_other, {"sorted-by-label"}),
    "state kept between batches": Fault(state_kept_between_batches, {"answers-by-chance", "company-matters"}),
    "encoder thrown away": Fault(encoder_thrown_away, {"learning-rate-too-large"}, harmless=(1.0, 0.4)),
}
