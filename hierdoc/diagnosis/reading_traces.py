"""From traces to evidence."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hierdoc.diagnosis.evidence import UNKNOWN, Evidence, Examples, Predictions, Ragged, Steps, Training, Vectors
from hierdoc.errors import HierdocError
from hierdoc.tracing.files import Trace, is_trace, read_trace

NO_STRINGS = np.zeros(0, object)
NO_NUMBERS = np.zeros(0, np.int64)
NO_ROWS = Ragged(NO_NUMBERS, np.zeros(1, np.int64))


def holds_traces(folder: Path) -> bool:
    """Return whether a folder is a trace, or holds folders that are."""
    return is_trace(folder) or any(is_trace(path) for path in folder.iterdir())


def read_set(folder: Path) -> list[Evidence]:
    """Return the evidence in a trace, or in the traces that lie in a folder: one for each document model.

    Raises:
        HierdocError: a trace is damaged.
    """
    found = [folder] if is_trace(folder) else [path for path in sorted(folder.iterdir()) if is_trace(path)]
    return evidence_of({path.resolve().name: read_trace(path) for path in found})


def evidence_of(traces: dict[str, Trace]) -> list[Evidence]:
    """Return the evidence in traces by name: each document model beside the chunk model; chunk models alone if there is none.

    Raises:
        HierdocError: a trace says what can't be.
    """
    trainings = {name: training_of(name, trace) for name, trace in traces.items()}
    noted = {name: vectors_of(trace.made) for name, trace in traces.items()}
    made = {name: vectors for name, vectors in noted.items() if len(vectors)}
    chunks = [training for training in trainings.values() if training.kind == "chunks"]
    documents = [training for training in trainings.values() if training.kind == "documents"]
    found = []
    for training in documents:
        beside = next((other for other in chunks if other.num_classes == training.num_classes), None)
        beside = beside or (chunks[0] if chunks else None)
        names = [training.name, *([beside.name] if beside else [])]
        found.append(Evidence(beside, training, next((made[name] for name in names if name in made), None)))
    used = [evidence.chunks for evidence in found]
    rest = [training for training in chunks if not any(training is other for other in used)]
    return found + [Evidence(training, None, made.get(training.name)) for training in rest]


def training_of(name: str, trace: Trace) -> Training:
    """Return what a trace says of its training.

    Raises:
        HierdocError: a fact is not what docs/trace.md says.
    """
    facts = trace.facts
    num_classes = facts.get("num_classes")
    if not isinstance(num_classes, int) or num_classes < 1:
        raise HierdocError(f"{name}: `num_classes` must be a number of outputs, but is {num_classes!r} instead")
    _check_facts(name, facts)
    return Training(
        name=name,
        kind=facts["kind"],
        num_classes=num_classes,
        labels=facts.get("labels"),
        num_documents=facts.get("num_documents"),
        weights_loaded=facts.get("weights_loaded"),
        weights_expected=facts.get("weights_expected"),
        optimizer=facts.get("optimizer"),
        readings=facts.get("epochs") or [],
        weights=[weight for weight in facts.get("weights") or [] if weight.get("size")],
        probe=facts.get("probe"),
        finished=bool(facts.get("finished")),
        examples=examples_of(trace.examples),
        steps=_steps_of(name, trace.steps, trace.examples),
        held_out=predictions_of(trace.dev, "dev"),
        trains_nothing=facts.get("weights") == [],
        multi_label=facts.get("multi_label", False),
        uninformed_loss=facts.get("uninformed_loss"),
    )


def _check_facts(name: str, facts: dict[str, Any]) -> None:
    """Check the kinds of what trace.json says, and of what its lists and dicts hold."""
    numbers = (int, float, type(None))

    def check(what: str, value: Any, kinds: tuple[type, ...], wanted: str) -> None:
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise HierdocError(f"{name}: {what} must be {wanted}, but is {value!r} instead")

    for key, kind in (("epochs", list), ("weights", list), ("labels", list), ("probe", dict), ("optimizer", dict)):
        check(f"`{key}`", facts.get(key), (kind, type(None)), f"a {kind.__name__}")
    for key in ("num_documents", "weights_loaded", "weights_expected", "uninformed_loss"):
        check(f"`{key}`", facts.get(key), numbers, "a number")
    for key in ("epochs", "weights"):
        for entry in facts.get(key) or []:
            check(f"what `{key}` holds", entry, (dict,), "a dict")
    for weight in facts.get("weights") or []:
        check("the name of a trained array", weight.get("name"), (str,), "a text")
        for key, value in weight.items():
            if key not in ("name", "is_constant_before"):
                check(f"`{key}` of {weight['name']}", value, numbers, "a number")
    for key, value in (facts.get("probe") or {}).items():
        check(f"`{key}` of `probe`", value, numbers, "a number")


def examples_of(table: pa.Table) -> Examples:
    """Return the examples of a trace."""
    hashes = ragged_of(table["hashes"])
    vectors = _vectors_of(ragged_of(table["sketches"]), hashes)
    numbers = (integers_of(table[name]) for name in ("label_id", "mask_sum"))
    return Examples(strings_of(table["doc_id"]), *numbers, hashes, ragged_of(table["chunk_index"]), vectors)


def _vectors_of(sketches: Ragged, hashes: Ragged) -> np.ndarray | None:
    """Return the sketch of each hash, float32 (P, K); None where there is none for each."""
    if not len(hashes.values) or len(sketches.values) % len(hashes.values) or not len(sketches.values):
        return None
    return sketches.values.astype(np.float32).reshape(len(hashes.values), -1)


def predictions_of(table: pa.Table, split: str) -> Predictions:
    """Return the held-out predictions of a trace; rows without probabilities are left out."""
    probs = ragged_of(table["probs"])
    size = int(probs.lengths.max(initial=0))
    whole = np.flatnonzero(probs.lengths == size) if size else NO_NUMBERS
    table = table.take(pa.array(whole))
    hashes = ragged_of(table["hashes"])
    matrix = np.asarray([probs[row] for row in whole], np.float64).reshape(len(whole), max(size, 1))
    numbers = (integers_of(table[name]) for name in ("label_id", "mask_sum"))
    splits = np.full(len(whole), split, object)
    vectors = _vectors_of(ragged_of(table["sketches"]), hashes)
    return Predictions(strings_of(table["doc_id"]), *numbers, hashes, matrix, splits, vectors)


def vectors_of(table: pa.Table) -> Vectors:
    """Return the vectors that a trace says were made; those without a hash are left out."""
    table = table.filter(table["hash"].is_valid())
    sketches = ragged_of(table["sketch"])
    size = int(sketches.lengths.max(initial=0))
    values = None
    if size and (sketches.lengths == size).all():
        values = sketches.values.astype(np.float32).reshape(len(table), size)
    return Vectors(
        doc_ids=strings_of(table["doc_id"]),
        splits=strings_of(table["split"].fill_null("train")),
        chunk_index=integers_of(table["chunk_index"]),
        label_ids=integers_of(table["label_id"]),
        predicted=integers_of(table["predicted"]),
        hashes=table["hash"].to_numpy(),
        values=values,
    )


def _steps_of(name: str, table: pa.Table, examples: pa.Table) -> Steps:
    number = {example: row for row, example in enumerate(examples["example"].to_pylist())}
    named = ragged_of(table["examples"])
    missing = sorted(set(named.values.tolist()) - number.keys())
    if missing:
        raise HierdocError(f"{name}: a step names example {missing[0]}, which the trace does not hold")
    rows = np.asarray([number[example] for example in named.values.tolist()], np.int64)
    given = pc.cast(table["mask_given"], pa.int32())
    return Steps(
        epochs=integers_of(table["epoch"]),
        losses=floats_of(table["loss"]),
        loss_known=table["loss"].is_valid().to_numpy(),
        learning_rates=floats_of(table["learning_rate"]),
        padded_lengths=integers_of(table["padded_length"]),
        mask_given=integers_of(given),
        examples=Ragged(rows, named.starts),
    )


def ragged_of(column: pa.ChunkedArray) -> Ragged:
    """Return a column of lists; null is an empty row, and null in a list is NaN."""
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    values = pc.list_flatten(column).to_numpy()
    return Ragged(values, np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def strings_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of strings, object (N,); None where null."""
    values: list[Any] = column.to_pylist()
    found = np.empty(len(values), object)
    found[:] = values
    return found


def integers_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of integers, int64 (N,); UNKNOWN where null."""
    return pc.fill_null(pc.cast(column, pa.int64()), UNKNOWN).to_numpy()


def floats_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return a column of numbers, float64 (N,); NaN where null."""
    return pc.cast(column, pa.float64()).to_numpy()


def no_examples() -> Examples:
    """Return the examples of a training that left no trace."""
    return Examples(NO_STRINGS, NO_NUMBERS, NO_NUMBERS, NO_ROWS, NO_ROWS, None)


def no_steps() -> Steps:
    """Return the steps of a training that left no trace."""
    return Steps(
        NO_NUMBERS,
        np.zeros(0),
        np.zeros(0, bool),
        np.zeros(0),
        NO_NUMBERS,
        NO_NUMBERS,
        Ragged(NO_NUMBERS, NO_ROWS.starts),
    )


def no_predictions() -> Predictions:
    """Return the predictions of a training of which none are known."""
    return Predictions(NO_STRINGS, NO_NUMBERS, NO_NUMBERS, NO_ROWS, np.zeros((0, 1)), NO_STRINGS)


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Return several splits' predictions of one model as one."""
    parts = [part for part in parts if len(part)]
    if not parts:
        return no_predictions()
    values = np.concatenate([part.hashes.values for part in parts])
    starts = np.concatenate([[0], np.cumsum(np.concatenate([part.hashes.lengths for part in parts]))]).astype(np.int64)
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("doc_ids", "label_ids", "mask_sums", "probs", "splits")
    }
    return Predictions(hashes=Ragged(values, starts), **columns)
