"""Whatever a trace leaves out, and however little is left of it, the doctor says what it can and does not stumble."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from hierdoc.diagnosis.diagnosing import as_json, diagnose
from hierdoc.diagnosis.reading_traces import evidence_of
from hierdoc.reporting.diagnoses import COLUMNS, diagnosis_text
from hierdoc.tracing.files import SCHEMAS, Trace
from tests.diagnosis.faults import FAULTS
from tests.diagnosis.simulation import Simulation, World, healthy_world

SMALL = World(num_documents=20, num_held_out=10, num_classes=3, chunk_epochs=2, head_epochs=2, most_chunks=4)
KEPT = {("steps", "epoch"), ("steps", "step"), ("examples", "example")}  # are always there


def thinned(trace: Trace, rng: np.random.Generator) -> Trace:
    """A trace with some of its columns, rows and facts gone."""
    tables = {}
    for name, schema in SCHEMAS.items():
        table = getattr(trace, name)
        for at, field in enumerate(schema):
            if (name, field.name) not in KEPT and rng.random() < 0.25:
                table = table.set_column(at, field, pa.nulls(len(table), field.type))
        if name != "examples":  # which steps name
            table = table.slice(0, int(rng.choice([0, 1, 2, len(table), len(table)])))
        tables[name] = table
    gone = [key for key in trace.facts if key not in ("format", "kind", "num_classes") and rng.random() < 0.2]
    return Trace({key: None if key in gone else value for key, value in trace.facts.items()}, **tables)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("seed", range(40))
def test_what_is_missing_is_no_trouble(seed: int):
    rng = np.random.default_rng(seed)
    names = list(FAULTS)
    fault = FAULTS[names[seed % len(names)]]
    world = replace(SMALL, seed=seed, says_doc_ids=bool(seed % 3), watch_chunks=bool(seed % 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broken trainings
        traces = Simulation(world, fault.breaks, fault.strengths[seed % 2]).run()
    for _ in range(5):
        thin = {name: thinned(trace, rng) for name, trace in traces.items()}
        diagnosis = diagnose("thin", evidence_of(thin))
        text = diagnosis_text(as_json(diagnosis))
        assert max(map(len, text.splitlines())) <= COLUMNS
        if not diagnosis.causes:
            assert "No cause found." in text


@pytest.mark.parametrize("seed", range(30))
def test_a_healthy_set_of_which_little_is_known_is_not_accused(seed: int):
    rng = np.random.default_rng(seed)
    traces = Simulation(replace(healthy_world(seed), random_encoder=False)).run()
    thin = {}
    for name, trace in traces.items():
        tables = {table: getattr(trace, table) for table in SCHEMAS}
        for table, schema in SCHEMAS.items():
            for at, field in enumerate(schema):
                if (table, field.name) not in KEPT | {("made", "split")} and rng.random() < 0.25:
                    tables[table] = tables[table].set_column(at, field, pa.nulls(len(tables[table]), field.type))
        thin[name] = Trace(trace.facts, **tables)
    found = diagnose("thin", evidence_of(thin))
    assert not found.causes, found.causes
