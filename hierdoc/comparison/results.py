"""One arm on one dataset with one seed: a JSON file of figures beside a table of predictions without text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hierdoc.comparison.config import Arm, Dataset, Experiment
from hierdoc.corpus.labels import label_matrix
from hierdoc.errors import HierdocError
from hierdoc.evaluation.multi_label import f1_of_documents, multi_label_scores
from hierdoc.evaluation.scores import scores
from hierdoc.stages import files, tables

FORMAT = 1
SELECTION = "selection.json"  # beside the results: which arm dev prefers, written before test is read
_KEYS = ("dataset", "arm", "configuration", "seed", "splits", "data_sha256", "parts", "metrics", "predictions")
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

LABEL_LISTS = pa.schema(  # of documents with any number of labels
    [
        *(field for field in PREDICTIONS if field.name in ("doc_id", "part", "num_chunks", "num_tokens")),
        PREDICTIONS.field("near_duplicate_of_train"),
        ("true_labels", pa.list_(pa.string())),
        ("labels", pa.list_(pa.string())),
        ("ranking_precision", pa.float64()),  # of the document; null where the arm has no probabilities, and as below
        ("log_loss", pa.float64()),  # of the document, summed over labels
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
        """bool (B,): whether a document's label, or all its labels, are right."""
        if self.has_label_lists:
            return (self._truth == self._given).all(axis=1)
        return pc.equal(self.predictions["label"], self.predictions["true_label"]).to_numpy(zero_copy_only=False)

    @property
    def has_label_lists(self) -> bool:
        """Whether documents have any number of labels."""
        return has_label_lists(self.predictions)

    @cached_property
    def hits(self) -> np.ndarray:
        """float64 (B,): how right each document's answer is: 1 or 0, or of any number of labels its F1."""
        if self.has_label_lists:
            return f1_of_documents(self._truth, self._given, np.zeros(len(self._truth), np.int64))
        return self.correct.astype(np.float64)

    @cached_property
    def _truth(self) -> np.ndarray:
        return _matrices(self.predictions)[1]

    @cached_property
    def _given(self) -> np.ndarray:
        return _matrices(self.predictions)[2]


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


def has_label_lists(predictions: pa.Table) -> bool:
    """Return whether predictions are of documents with any number of labels."""
    return "labels" in predictions.schema.names


def _matrices(predictions: pa.Table) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return (the labels that occur, by name; which documents have and which get each of them, bool (B, C))."""
    columns = [predictions[name].to_pylist() for name in ("true_labels", "labels")]
    labels = sorted({label for column in columns for row in column for label in row})
    truth, given = (label_matrix(column, labels) for column in columns)
    return labels, truth, given


def _metrics_of_label_lists(predictions: pa.Table) -> dict[str, Any]:
    labels, truth, given = _matrices(predictions)
    nowhere = np.full(truth.shape, np.nan)
    none_unseen = np.zeros(len(truth), np.int64)
    found = multi_label_scores(truth, given, nowhere, predictions["num_chunks"].to_numpy(), labels, none_unseen)
    del found["num_unseen_labels"]  # nobody knows from answers what train has seen
    for name in ("ranking_precision", "log_loss"):
        values = predictions[name].to_numpy(zero_copy_only=False)
        if not np.isnan(values).all():
            found[name] = float(np.nanmean(values))
    return found


def metrics_of(predictions: pa.Table) -> dict[str, Any]:
    """Return the figures that predictions give (see `scores`, or `multi_label_scores`), over all parts together.

    The classes are those that occur, as truth or as answer, by name. Calibration is told where every answer has a
    probability.
    """
    if has_label_lists(predictions):
        return _metrics_of_label_lists(predictions)
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
        if other.has_label_lists != first.has_label_lists:
            raise HierdocError(f"{other.path}: can't be compared with {first.path.name}: one has lists of labels")
        for column in ("doc_id", "part", "true_labels" if first.has_label_lists else "true_label"):
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


def is_chosen_on(recorded: Mapping[str, Any], splits: Sequence[str], data_sha256: Sequence[str]) -> bool:
    """Return whether what selection.json holds of a dataset is of these split files (their SHA-256) and data.

    What earlier versions wrote does not say it, and is taken to be.
    """
    told = {"splits": list(splits), "data_sha256": list(data_sha256)}
    return all(recorded.get(name, value) == value for name, value in told.items())


def _read(path: Path) -> Result:
    facts = files.read_object(path)
    if facts.get("format") != FORMAT:
        raise HierdocError(f"{path}: `format` must be {FORMAT}, but is {facts.get('format')!r} instead")
    if missing := [key for key in _KEYS if key not in facts]:
        raise HierdocError(f"{path}: must have a key `{missing[0]}`")
    table_path = path.parent / facts["predictions"]["file"]
    if not table_path.exists() or files.sha256_of(table_path) != facts["predictions"]["sha256"]:
        state = "have changed" if table_path.exists() else "are missing"
        raise HierdocError(f"{table_path}: the predictions of {path.name} {state} since they were made")
    predictions = tables.read_tables([table_path])
    schema = LABEL_LISTS if has_label_lists(predictions) else PREDICTIONS
    if not predictions.schema.equals(schema):
        raise HierdocError(f"{table_path}: must have the columns {', '.join(schema.names)}, but has others")
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
