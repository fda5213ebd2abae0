"""What people do and have that is no fault: simulated trainings with it are not accused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hierdoc.diagnosis.diagnosing import diagnose
from hierdoc.diagnosis.reading_traces import evidence_of
from tests.diagnosis.faults import at
from tests.diagnosis.simulation import Simulation, World


@at("data")
def letterhead(sim: Simulation, share: float) -> None:
    """A share of the documents begin with one and the same chunk."""
    first = (sim.index == 0) & (sim.rng.random(len(sim.labels)) < share)[sim.owners]
    sim.tokens[first], sim.inputs[first] = sim.tokens[0], sim.inputs[0]


@at("head training")
def drawn_with_replacement(sim: Simulation, strength: float) -> None:
    size, num = sim.world.head_batch, sim.num_train
    sim.head_order = lambda epoch: np.array_split(sim.rng.integers(0, num, num), num // size)


Habit = Callable[[Simulation, str, float], None]
HABITS: dict[str, tuple[Habit, float, dict[str, Any]]] = {
    "a letterhead on each document": (letterhead, 1.0, {"fewest_chunks": 2}),
    "a letterhead on each of short documents": (letterhead, 1.0, {"fewest_chunks": 2, "most_chunks": 3}),
    "a letterhead, vectors not noted": (letterhead, 1.0, {"fewest_chunks": 2, "notes_vectors": False}),
    "documents that are a letterhead and no more": (
        letterhead,
        0.1,
        {"most_chunks": 1, "num_documents": 200, "num_held_out": 150},
    ),
    "documents drawn with replacement": (drawn_with_replacement, 1.0, {"head_epochs": 2}),
    "documents drawn with replacement, once": (drawn_with_replacement, 1.0, {"head_epochs": 1, "num_documents": 250}),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", HABITS)
def test_a_habit_is_not_accused(name: str, seed: int):
    breaks, strength, world = HABITS[name]
    found = diagnose(name, evidence_of(Simulation(World(seed=seed, **world), breaks, strength).run()))
    assert not found.causes
