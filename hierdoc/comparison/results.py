"""One arm on one dataset with one seed: a JSON file of figures beside a table of predictions without text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hierdoc.errors import HierdocError
from hierdoc.evaluation.scores import scores
from hierdoc.stages import files, tables

FORMAT = 1
SELECTION = "selection.json"  # beside the results: which arm dev prefers, written before test is read
PREDICTIONS = pa.schema(
    [
        ("doc_id", pa.string()),
        ("part", pa.int32()),  # which of the split files, from 0
        ("num_chunks", pa.int32()),
        ("num_tokens", pa.int32()),
        ("near_duplicate_of_train", pa.bool_()),
        ("true_label", pa.string()),
        ("label", pa.string()),
        ("probability", pa.float32()),  # of the label; null where the arm has none
        ("true_probability", pa.float32()),  # of the true label; 0 where train never saw it
    ]
)


@dataclass(frozen=True)
class Result:
    """What `write_result` has written.

    Attributes:
        path: of the JSON.
        facts: what it holds.
        predictions: its table, sorted by part and doc_id.
    """

    path: Path
    facts: dict[str, Any]
    predictions: pa.Table

    @property
    def correct(self) -> np.ndarray:
        """bool (B,)."""
        return pc.equal(self.predictions["label"], self.predictions["true_label"]).to_numpy(zero_copy_only=False)


def result_path(folder: Path, dataset: str, arm: str, seed: int) -> Path:
    """Return where the result of one arm on one dataset with one seed is kept."""
    return folder / "results" / f"{dataset}.{arm}.seed-{seed}.json"


def write_result(path: Path, facts: dict[str, Any], predictions: pa.Table) -> None:
    """Write the predictions beside `path`, then the facts with the metrics that they give, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table_path = path.with_suffix(".parquet")
    table = predictions.sort_by([("part", "ascending"), ("doc_id", "ascending")])
    tables.write_table(table_path, table)
    kept = {"file": table_path.name, "sha256": files.sha256_of(table_path)}
    files.write_json(path, {"format": FORMAT, **facts, "metrics": metrics_of(table), "predictions": kept})


def metrics_of(predictions: pa.Table) -> dict[str, Any]:
    """Return the figures that predictions give (see `scores`), over all parts together.

    The classes are those that occur, as truth or as answer, by name. Calibration is told where every answer has a
    probability.
    """
    true_labels, answers = predictions["true_label"].to_pylist(), predictions["label"].to_pylist()
    labels = sorted({*true_labels, *answers})
    places = {label: place for place, label in enumerate(labels)}
    true_ids, label_ids = (np.array([places[label] for label in column]) for column in (true_labels, answers))
    probs = np.zeros((len(predictions), len(labels)))
    rows = np.arange(len(probs))
    for ids, name in ((label_ids, "probability"), (true_ids, "true_probability")):
        probs[rows, ids] = predictions[name].to_numpy(zero_copy_only=False)  # null becomes NaN
    return scores(true_ids, label_ids, probs, predictions["num_chunks"].to_numpy(), labels)


def read_results(folder: Path) -> list[Result]:
    """Return the results of an experiment, by file name, after computing each one's metrics again.

    Raises:
        HierdocError: there are none; a file is damaged; the predictions have changed or do not give the metrics; two
            results of one dataset are of different splits or documents.
    """
    paths = sorted(path for path in (folder / "results").glob("*.seed-*.json"))
    if not paths:
        raise HierdocError(
            f"{folder / 'results'}: holds no results; make them with: python -m hierdoc.experiment {folder}"
        )
    results = [_read(path) for path in paths]
    for dataset in sorted({result.facts["dataset"] for result in results}):
        check_comparable([result for result in results if result.facts["dataset"] == dataset])
    return results


def check_comparable(results: Sequence[Result]) -> None:
    """Check that results are of the same split files and of the same documents with the same true labels.

    Raises:
        HierdocError: two are not; the message names them.
    """
    first = results[0]
    for other in results[1:]:
        for what in ("splits", "data_sha256"):
            if other.facts[what] != first.facts[what]:
                raise HierdocError(f"{other.path}: can't be compared with {first.path.name}: its {what} differ")
        for column in ("doc_id", "part", "true_label"):
            if not other.predictions[column].equals(first.predictions[column]):
                raise HierdocError(
                    f"{other.path}: can't be compared with {first.path.name}: the {column}s of its predictions differ"
                )


def _read(path: Path) -> Result:
    facts = files.read_object(path)
    if facts.get("format") != FORMAT:
        raise HierdocError(f"{path}: `format` must be {FORMAT}, but is {facts.get('format')!r} instead")
    table_path = path.parent / facts["predictions"]["file"]
    if not table_path.exists() or files.sha256_of(table_path) != facts["predictions"]["sha256"]:
        state = "have changed" if table_path.exists() else "are missing"
        raise HierdocError(f"{table_path}: the predictions of {path.name} {state} since they were made")
    predictions = tables.read_tables([table_path])
    if not predictions.schema.equals(PREDICTIONS):
        raise HierdocError(f"{table_path}: must have the columns {', '.join(PREDICTIONS.names)}, but has others")
    found = metrics_of(predictions)
    for name, value in facts["metrics"].items():
        if isinstance(value, float) and abs(value - found.get(name, np.inf)) > 1e-9:
            raise HierdocError(f"{path}: says {name} {value}, but its predictions give {found.get(name)}")
    return Result(path, facts, predictions)
