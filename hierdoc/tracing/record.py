"""All that has been noted of one training, on its way to a trace."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.tracing.batches import Batch
from hierdoc.tracing.examples import Examples, hashes_of, lists, or_null, sketches_of
from hierdoc.tracing.files import DEV, FORMAT, MADE, STEPS, Trace, write_trace
from hierdoc.tracing.hashing import hash_rows, sketch_rows


class Record:
    """What will be a trace.

    Attributes:
        facts: trace.json's, all but `epochs` and `finished`.
        examples: the distinct examples.
        epochs: a dict of numbers for each epoch.
    """

    def __init__(
        self,
        kind: str,
        num_classes: int,
        labels: Sequence[str] | None = None,
        num_documents: int | None = None,
        weights_loaded: int | None = None,
        weights_expected: int | None = None,
        with_sketches: bool = False,
        multi_label: bool = False,
    ):
        """Begin with nothing noted; docs/trace.md says what the arguments are."""
        self.facts: dict[str, Any] = {
            "format": FORMAT,
            "kind": kind,
            "num_classes": int(num_classes),
            "labels": None if labels is None else [str(label) for label in labels],
            "num_documents": None if num_documents is None else int(num_documents),
            "weights_loaded": None if weights_loaded is None else int(weights_loaded),
            "weights_expected": None if weights_expected is None else int(weights_expected),
            "optimizer": None,
            "weights": None,
            "probe": None,
        }
        if multi_label:
            self.facts["multi_label"] = True
        self.examples = Examples(with_sketches)
        self.epochs: list[dict[str, Any]] = []
        self._steps: list[tuple[Any, ...]] = []  # STEPS' columns but the first
        self._made: list[pa.Table] = []
        self._dev: list[pa.Table] = []

    def add_step(
        self,
        epoch: int,
        loss: float | None,
        learning_rate: float | None,
        examples: np.ndarray | None,
        padded_length: int | None,
        mask_given: bool | None,
    ) -> None:
        """Note one step, on examples by number (int32 (B,))."""
        self._steps.append((epoch, loss, learning_rate, padded_length, mask_given, examples))

    def add_made(
        self,
        doc_ids: Sequence[str],
        chunk_index: np.ndarray,
        vectors: np.ndarray,
        label_ids: np.ndarray | None,
        split: str,
        predicted: np.ndarray | None,
    ) -> None:
        """Note vectors (N, D) as an encoder made them."""
        num = len(doc_ids)
        columns = [
            pa.array(doc_ids, pa.string()),
            pa.array(chunk_index, pa.int32()),
            pa.nulls(num, pa.int32()) if label_ids is None else pa.array(label_ids, pa.int32()),
            pa.array([split] * num, pa.string()),
            pa.nulls(num, pa.int32()) if predicted is None else pa.array(predicted, pa.int32()),
            pa.array(hash_rows(vectors), pa.uint64()),
            lists(list(sketch_rows(vectors)), pa.float32()),
        ]
        self._made.append(pa.Table.from_arrays(columns, schema=MADE))

    def add_dev(self, table: pa.Table) -> None:
        """Note predictions on held-out examples; see `dev_table`."""
        self._dev.append(table)

    def set_dev(self, parts: Sequence[pa.Table]) -> None:
        """Hold `parts` in the place of all held-out examples noted before."""
        self._dev = list(parts)

    def trace(self, finished: bool) -> Trace:
        """Return the trace of what has been noted."""
        facts = plain({**self.facts, "epochs": self.epochs, "finished": finished})
        made = pa.concat_tables([MADE.empty_table(), *self._made])
        return Trace(
            facts, self.examples.table(), self.steps(), made, pa.concat_tables([DEV.empty_table(), *self._dev])
        )

    def save(self, folder: Path, finished: bool) -> None:
        """Write the trace into `folder`."""
        write_trace(folder, self.trace(finished))

    def steps(self) -> pa.Table:
        """Return the steps so far."""
        epochs, losses, rates, lengths, given, examples = zip(*self._steps) if self._steps else [()] * 6
        columns = [
            pa.array(range(len(self._steps)), pa.int32()),
            pa.array(epochs, pa.int32()),
            pa.array(losses, pa.float32(), from_pandas=False),
            pa.array(rates, pa.float32(), from_pandas=False),
            pa.array(lengths, pa.int32()),
            pa.array(given, pa.bool_()),
            lists(examples, pa.int32()),
        ]
        return pa.Table.from_arrays(columns, schema=STEPS)

    def state(self) -> dict[str, np.ndarray]:
        """Return examples and steps as plain arrays, from which `restore` goes on."""
        return {"examples": _to_bytes(self.examples.table()), "steps": _to_bytes(self.steps())}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Hold the examples and steps of `state` and no others."""
        self.examples.restore(_from_bytes(state["examples"]))
        table = _from_bytes(state["steps"])
        columns = [table[name].to_pylist() for name in STEPS.names[1:]]
        columns[-1] = [None if numbers is None else np.asarray(numbers, np.int32) for numbers in columns[-1]]
        self._steps = list(zip(*columns))


def dev_table(
    doc_ids: Sequence[str] | None,
    label_ids: np.ndarray,
    mask_sums: Sequence[int],
    hashes: Sequence[np.ndarray],
    probs: np.ndarray,
    sketches: Sequence[np.ndarray | None] | None = None,
) -> pa.Table:
    """Return B held-out examples with their probabilities (B, C) and their vectors' sketches, of the schema DEV."""
    columns = [
        pa.array([None] * len(probs) if doc_ids is None else doc_ids, pa.string()),
        or_null(label_ids),
        pa.array(mask_sums, pa.int32()),
        lists(hashes, pa.uint64()),
        lists(list(probs), pa.float32()),
        lists([None] * len(probs) if sketches is None else sketches, pa.float32()),
    ]
    return pa.Table.from_arrays(columns, schema=DEV)


def dev_table_of(batch: Batch, probs: np.ndarray) -> pa.Table:
    """Return a batch's held-out examples with their probabilities (B, C), of the schema DEV."""
    hashed = [hashes_of(batch, row) for row in range(len(batch))]
    mask_sums = [mask_sum for _, mask_sum in hashed]
    sketches = [sketches_of(batch, row) for row in range(len(batch))]
    return dev_table(batch.doc_ids, batch.label_ids, mask_sums, [hashes for hashes, _ in hashed], probs, sketches)


def plain(value: Any) -> Any:
    """Return `value` as JSON can hold it: NumPy's numbers as Python's, what is not finite as None, all else as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, (np.generic, np.ndarray)):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, (bool, int, str)) else str(value)


def _to_bytes(table: pa.Table) -> np.ndarray:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return np.frombuffer(sink.getvalue(), np.uint8)


def _from_bytes(content: np.ndarray) -> pa.Table:
    return pa.ipc.open_stream(content.tobytes()).read_all()
