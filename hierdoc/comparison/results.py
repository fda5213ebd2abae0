"""One arm on one dataset with one seed: a JSON file of figures beside a table of predictions without text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hierdoc.comparison.config import Arm, Dataset, Experiment
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
        HierdocError: there are none; a file is damaged or has another's name; the predictions have changed, do not give
            the metrics or hold a document twice; two results of one dataset are of different splits or documents.
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


def check_configured(path: Path, facts: Mapping[str, Any], experiment: Experiment, dataset: Dataset, arm: Arm) -> None:
    """Check that a result is of what config.yaml says now.

    Args:
        path, facts: of the result.
        experiment, dataset, arm: whose it should be.

    Raises:
        HierdocError: its configuration, splits or seed are others.
    """
    config = experiment.folder / "config.yaml"
    splits = [files.sha256_of(split) for split in dataset.splits]
    same = facts["configuration"] == experiment.configuration(dataset, arm)
    if not same or [part["sha256"] for part in facts["splits"]] != splits:
        raise HierdocError(
            f"{path}: is of another configuration than {config} says now; give the arm another name, or remove the file to "
            "make it again"
        )
    if facts["seed"] not in arm.seeds(dataset):
        raise HierdocError(f"{path}: is of seed {facts['seed']}, which {config} does not name")


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
    seen: set[str] = set()
    for doc_id in predictions["doc_id"].to_pylist():
        if doc_id in seen:
            raise HierdocError(
                f"{table_path}: document {doc_id!r} is in it twice; a document may be in the test of one fold"
            )
        seen.add(doc_id)
    found = metrics_of(predictions)
    for name in sorted({*found, *facts["metrics"]}):
        said = facts["metrics"].get(name)
        if not _alike(said, found.get(name)):
            raise HierdocError(
                f"{path}: says {name} {_shown(said)}, but its predictions give {_shown(found.get(name))}"
            )
    folder, asked = path.parent.parent, (facts["dataset"], facts["arm"], facts["seed"])
    if path != result_path(folder, *asked):
        raise HierdocError(f"{path}: is the result of {result_path(folder, *asked).name} under another name")
    return Result(path, {**facts, "metrics": found}, predictions)


def _alike(said: Any, found: Any) -> bool:
    """Whether two JSON values are the same, but for a float's last digits."""
    if isinstance(said, dict) and isinstance(found, dict):
        return said.keys() == found.keys() and all(_alike(said[key], found[key]) for key in said)
    if isinstance(said, list) and isinstance(found, list):
        return len(said) == len(found) and all(map(_alike, said, found))
    if isinstance(said, float) and isinstance(found, float):
        return abs(said - found) <= 1e-9  # False where one is NaN
    return type(said) is type(found) and said == found


def _shown(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:59] + "…"
