"""Simulated trainings: each fault is named, and no healthy set is accused."""

from __future__ import annotations

import pytest

from hierdoc.diagnosis.diagnosing import Diagnosis, diagnose
from hierdoc.diagnosis.reading_traces import evidence_of
from tests.diagnosis.faults import FAULTS, Fault
from tests.diagnosis.fourth_faults import FOURTH
from tests.diagnosis.simulation import Simulation, World, healthy_world
from tests.diagnosis.stuck_faults import STUCK
from tests.diagnosis.third_faults import THIRD
from tests.diagnosis.unseen_faults import UNSEEN

GROUPS = {"first": FAULTS, "second": UNSEEN, "third": THIRD, "fourth": FOURTH, "stuck": STUCK}
WORLDS = {
    "easy": {"seed": 0},
    "larger": {"seed": 1, "num_documents": 200, "num_classes": 10, "num_held_out": 80},
    "harder": {"seed": 2, "num_classes": 3, "separation": 0.8},
}
NUM_HEALTHY, MORE_HEALTHY = 210, 900

CASES = [
    pytest.param(fault, strength, world, id=f"{group}-{name}-{strength:g}-{world}", marks=marks)
    for group, faults in GROUPS.items()
    for name, fault in faults.items()
    for strength in fault.strengths
    for world, marks in (("easy", ()), ("larger", pytest.mark.slow), ("harder", pytest.mark.slow))
]


def diagnosis_of(simulation: Simulation) -> Diagnosis:
    return diagnose("simulated", evidence_of(simulation.run()))


@pytest.mark.filterwarnings("ignore:Mean of empty slice:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(("fault", "strength", "world"), CASES)
def test_a_fault_is_named(fault: Fault, strength: float, world: str):
    found = diagnosis_of(Simulation(World(**(WORLDS[world] | fault.world)), fault.breaks, strength))
    causes = {finding.code for finding in found.causes}
    if strength in fault.harmless:
        assert causes <= fault.codes
    else:
        assert causes & fault.codes, f"found {sorted(causes)}, and {[finding.code for finding in found.findings]}"


@pytest.mark.parametrize("first", range(0, NUM_HEALTHY, 30))
def test_healthy_sets_are_not_accused(first: int):
    check_healthy(range(first, first + 30))


@pytest.mark.slow
@pytest.mark.parametrize("first", range(NUM_HEALTHY, NUM_HEALTHY + MORE_HEALTHY, 30))
def test_more_healthy_sets_are_not_accused(first: int):
    check_healthy(range(first, first + 30))


def check_healthy(seeds: range) -> None:
    """Check that none of these worlds is accused of anything."""
    for seed in seeds:
        world = healthy_world(seed)
        found = diagnosis_of(Simulation(world))
        assert not found.causes, f"{world}: {found.causes}"


def test_healthy_worlds_are_weak_and_strong():
    worlds = [healthy_world(seed) for seed in range(NUM_HEALTHY)]
    for name, least in (
        ("separation", 0.0),
        ("num_documents", 30),
        ("num_held_out", 5),
        ("most_chunks", 1),
        ("head_epochs", 1),
    ):
        values = [getattr(world, name) for world in worlds]
        assert min(values) == least and len(set(values)) >= 4, name
    assert {world.random_encoder for world in worlds} == {world.by_length for world in worlds} == {True, False}
