"""Results typed by hand."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from hierdoc.comparison.config import Arm, Dataset, Experiment
from hierdoc.comparison.results import PREDICTIONS, Result, read_results, result_path, write_result

SPLITS = {name: f"doc_id,split,sha256 of {name}\n" for name in ("fold-1.csv", "fold-2.csv")}  # nobody reads them
TRUTH = ["a", "a", "b", "b", "b", "c"]
ON_DEV = {"lstm": 0.8, "average": 0.7, "svm": 0.6}
CHUNKS = [1, 2, 5, 4, 1, 20]


def predictions(answers: Sequence[str], probability: float | Sequence[float] | None = 0.8, **columns: Any) -> pa.Table:
    """Six documents d0 … d5, the last three of part 1; right answers have `probability`, wrong ones leave the rest."""
    chance = list(probability) if isinstance(probability, Sequence) else [probability] * len(answers)
    rows = [
        {
            "doc_id": f"d{at}", "part": at // 3, "num_chunks": CHUNKS[at], "num_tokens": 100 * CHUNKS[at],
            "near_duplicate_of_train": at == 0, "true_label": TRUTH[at], "label": answer, "probability": chance[at],
            "true_probability": None if chance[at] is None else chance[at] if answer == TRUTH[at] else 1 - chance[at],
            **{name: values[at] for name, values in columns.items()},
        }
        for at, answer in enumerate(answers)
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def configuration(arm: str) -> dict[str, Any]:
    """What config.yaml decides of an arm without arguments."""
    return {"answers": arm, "chunk": {}, "finetune": {}, "embed": {}, "head": {}}


def selection(**others: Any) -> dict[str, Any]:
    """What selection.json holds where dev was asked of all but the SVM."""
    arms = {arm: ON_DEV[arm] for arm in ("lstm", "average")}
    recorded = {
        "chosen": "lstm", "mean_dev_accuracy": arms, "seeds": [0, 1], "test_was_read": False,
        "configurations": {arm: configuration(arm) for arm in arms},
    }  # fmt: skip
    return {"letters": {**recorded, **others}}


def experiment_of(
    folder: Path, arms: Sequence[str] = ("lstm", "average", "svm"), datasets: Sequence[str] = ("letters",),
    baseline: str = "svm", seeds: Sequence[int] = (0, 1),
) -> Experiment:  # fmt: skip
    """The experiment that the results are of."""
    for name, text in SPLITS.items():
        (folder / name).write_text(text)
    splits = tuple(folder / name for name in SPLITS)
    return Experiment(
        folder, "which letters?", baseline, [Dataset(name, ("d.csv",), splits, {}, tuple(seeds)) for name in datasets],
        [Arm(name, name) for name in arms],
    )  # fmt: skip


def facts(arm: str, seed: int = 0, dataset: str = "letters", **others: Any) -> dict[str, Any]:
    """The facts of a result of two split files."""
    epochs = [{"epoch": 1, "train_loss": 1.0, "dev_loss": 1.1, "dev_accuracy": 0.5},
              {"epoch": 2, "train_loss": 0.5, "dev_loss": 0.9, "dev_accuracy": 0.75}]  # fmt: skip
    part = {
        "dev": {"document_accuracy": ON_DEV.get(arm, 0.5)}, "chosen": {}, "documents_by_split": {"train": 8, "dev": 2, "test": 3},
        "coverage": {"a": {"documents": 7, "tokens": 1000, "kept": 900, "unknown": 5},
                     "b": {"documents": 6, "tokens": 500, "kept": 500, "unknown": 0}},
        "history": {"heads/lstm": epochs} if arm == "lstm" else {},
        "timings": {"chunk": {"seconds": 1.0, "peak_memory_mib": 512.0},
                    "finetune": {"seconds": 540.0, "cpu_seconds": 900.0, "peak_memory_mib": 1024.0},
                    "heads/lstm": {"seconds": 60.0, "cpu_seconds": 61.0, "peak_memory_mib": 512.0},
                    "embed": {"seconds": 60.0, "cpu_seconds": 26.0, "chunks_per_second": 50.0, "peak_memory_mib": 2048.0},
                    f"evaluate/{arm}-dev": {"seconds": 1.0, "peak_memory_mib": 512.0},
                    f"evaluate/{arm}": {"seconds": 10.0, "cpu_seconds": 10.0, "beside_seconds": 7.0, "peak_memory_mib": 512.0}},
        "fingerprints": {"chunk": "c" * 64, "embed": f"e{seed}", "heads/lstm": f"{arm}{seed}"},
    }  # fmt: skip
    return {
        "experiment": "001-letters", "dataset": dataset, "data_sha256": ["d" * 64],
        "splits": [{"file": name, "sha256": hashlib.sha256(text.encode()).hexdigest()} for name, text in SPLITS.items()],
        "arm": arm, "configuration": configuration(arm), "seed": seed, "parts": [part, part],
        "command": "python -m hierdoc.experiment experiments/001-letters --data DATA", "commits": ["f" * 40],
        "dirty": False, "versions": {"python": "3.11.7"}, "machine": {"cores": 2, "architecture": "x86_64"}, **others,
    }  # fmt: skip


def write(
    folder: Path, arm: str, answers: Sequence[str], seed: int = 0, probability: float | None = 0.8, **others: Any
) -> Path:
    """Write one result; return its path."""
    given = facts(arm, seed, **others)
    path = result_path(folder, given["dataset"], arm, seed)
    write_result(path, given, predictions(answers, probability))
    return path


def three_arms(folder: Path) -> list[Result]:
    """An LSTM with two seeds, an average with one, and an SVM without probabilities."""
    write(folder, "lstm", ["a", "a", "b", "b", "c", "c"], seed=0)
    write(folder, "lstm", ["a", "b", "b", "b", "c", "c"], seed=1)
    write(folder, "average", ["a", "a", "b", "c", "c", "b"])
    write(folder, "svm", ["a", "b", "a", "b", "c", "b"], probability=None)
    return read_results(folder)
