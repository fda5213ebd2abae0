"""What one arm did on one split file, read from its finished stages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hierdoc.comparison.results import LABEL_LISTS, PREDICTIONS, has_label_lists
from hierdoc.corpus.labels import label_matrix
from hierdoc.evaluation.multi_label import log_loss_of_documents, ranking_precision_of_documents
from hierdoc.stages import files, tables
from hierdoc.stages.finished import OWN, TIMINGS, FinishedStage

OF_DEV = ("document_accuracy", "document_micro_f1", "document_macro_f1", "num_documents")


def part_facts(stages: Mapping[str, FinishedStage], evaluate: str, split: Path) -> dict[str, Any]:
    """Return, as JSON values, what a result keeps of one part: dev's figures, histories, costs, coverage, fingerprints.

    Args:
        stages: all finished stages of the arm by name, dev's evaluation ("<evaluate>-dev") among them.
        evaluate: the name of its evaluation of test.
        split: the split file.
    """
    dev = _metrics(stages[f"{evaluate}-dev"])
    histories = {name: _history(stage.path) for name, stage in stages.items()}
    return {
        "split": split.name,
        "split_sha256": files.sha256_of(split),
        "dev": {key: dev[key] for key in OF_DEV if key in dev},
        "chosen": dev.get("chosen", {}),
        "documents_by_split": stages["chunk"].details["documents_by_split"],
        "num_chunks": stages["chunk"].details["num_chunks"],
        "coverage": coverage(stages["chunk"]),
        "history": {name: epochs for name, epochs in histories.items() if epochs},
        "timings": {name: files.read_object(stage.path / TIMINGS) for name, stage in stages.items()},
        "fingerprints": {name: stage.fingerprint for name, stage in stages.items()},
        "commits": sorted({stage.manifest["versions"].get("commit", "unknown") for stage in stages.values()}),
    }


def training_seconds(part: Mapping[str, Any]) -> float:
    """Return what training took on one part, given its facts: of encoder and head, or what own code says."""
    own = part["timings"].get(f"evaluate/{OWN}", {})
    if "training_seconds" in own:
        return own["training_seconds"]
    return sum(
        timing["seconds"] for name, timing in part["timings"].items() if name == "finetune" or name.startswith("heads/")
    )


def answering_seconds(part: Mapping[str, Any]) -> float:
    """Return what answering test took on one part, without what evaluate measures beside a head."""
    found = _answering(part)
    return found["seconds"] - found.get("beside_seconds", 0)


def cpu_seconds(part: Mapping[str, Any]) -> float | None:
    """Return the processors' seconds of one part: training, encoding and answering test, without what evaluate measures beside.

    None where a stage was made before they were counted, or own code says by itself what its training took.
    """
    found = _answering(part)
    stages = [
        timing for name, timing in part["timings"].items() if name in ("finetune", "embed") or name.startswith("heads/")
    ]
    counted = [timing.get("cpu_seconds") for timing in [*stages, found]]
    if None in counted or "training_seconds" in found:
        return None
    return sum(counted) - _beside_cpu_seconds(found)


def _beside_cpu_seconds(found: Mapping[str, float]) -> float:
    """Return the processors' seconds of what evaluate measures beside a head; where only its time was told, in proportion."""
    in_proportion = found["cpu_seconds"] * found.get("beside_seconds", 0) / max(found["seconds"], 1e-9)
    return found.get("beside_cpu_seconds", in_proportion)


def _answering(part: Mapping[str, Any]) -> Mapping[str, float]:
    """Return the timings of test's evaluation."""
    (found,) = [
        timing for name, timing in part["timings"].items() if name.startswith("evaluate/") and not name.endswith("-dev")
    ]
    return found


def predictions_of_part(chunk: FinishedStage, evaluate: FinishedStage, part: int) -> pa.Table:
    """Return the test predictions of one part as a result keeps them (see `results.PREDICTIONS` and `LABEL_LISTS`)."""
    found = tables.read_tables([evaluate.path / "predictions.parquet"])
    columns = ["doc_id", "num_tokens", "near_duplicate_of_train"]
    read = tables.read_tables(chunk.files("documents-"), columns).to_pylist()
    by_id = {row["doc_id"]: row for row in read}
    rows = [by_id[doc_id] for doc_id in found["doc_id"].to_pylist()]
    added = {
        "part": pa.array([part] * len(found), pa.int32()),
        "num_tokens": pa.array([row["num_tokens"] for row in rows], pa.int32()),
        "near_duplicate_of_train": pa.array([row["near_duplicate_of_train"] for row in rows], pa.bool_()),
        **(_of_label_lists(found) if has_label_lists(found) else {"true_probability": _true_probability(found)}),
    }
    schema = LABEL_LISTS if has_label_lists(found) else PREDICTIONS
    columns = {name: added[name] if name in added else found[name] for name in schema.names}
    return pa.table(columns, schema=schema)


def _of_label_lists(found: pa.Table) -> dict[str, pa.Array]:
    """Return how each document's labels are ranked and how likely they are; null where there are no probabilities."""
    labels = [name.removeprefix("probability:") for name in found.column_names if name.startswith("probability:")]
    probs = np.stack([found[f"probability:{label}"].to_numpy() for label in labels], axis=1)
    if np.isnan(probs).any():
        return dict.fromkeys(("ranking_precision", "log_loss"), pa.nulls(len(found), pa.float64()))
    truth = label_matrix(found["true_labels"].to_pylist(), labels)
    values = {
        "ranking_precision": ranking_precision_of_documents(truth, probs),
        "log_loss": log_loss_of_documents(truth, probs),
    }
    return {name: pa.array(column, pa.float64(), from_pandas=True) for name, column in values.items()}


def _true_probability(found: pa.Table) -> pa.Array:
    columns = {name: found[name].to_pylist() for name in found.column_names if name.startswith("probability:")}
    values = [
        columns[name][row] if (name := f"probability:{label}") in columns else None if unknown else 0.0
        for row, (label, unknown) in enumerate(
            zip(found["true_label"].to_pylist(), found["probability"].is_null().to_pylist(), strict=True)
        )
    ]
    return pa.array(values, pa.float32())


def coverage(chunk: FinishedStage) -> dict[str, dict[str, int]]:
    """Return, for each class over all splits: documents, tokens, tokens kept (not cut off by `max_chunks`), unknown."""
    columns = ["doc_id", "labels", "num_tokens", "num_chunks", "num_unknown", "num_dropped"]
    documents = tables.read_tables(chunk.files("documents-"), columns)
    kept = _kept_tokens(chunk, documents)
    found: dict[str, dict[str, int]] = {}
    for row, num_kept in zip(documents.to_pylist(), kept, strict=True):
        for label in row["labels"]:
            counts = found.setdefault(label, {"documents": 0, "tokens": 0, "kept": 0, "unknown": 0})
            counts["documents"] += 1
            counts["tokens"] += row["num_tokens"]
            counts["kept"] += num_kept
            counts["unknown"] += row["num_unknown"]
    return dict(sorted(found.items()))


def _kept_tokens(chunk: FinishedStage, documents: pa.Table) -> list[int]:
    if not pc.sum(documents["num_dropped"]).as_py():
        return documents["num_tokens"].to_pylist()
    overlap = chunk.parameters["overlap"]
    kept: dict[str, int] = {}
    for path in chunk.files("chunks-"):
        table = tables.read_tables([path], ["doc_id", "chunk_index", "token_ids"])
        lengths = pc.list_value_length(table["token_ids"]).to_numpy() - 2  # without [CLS] and [SEP]
        new = lengths - np.where(table["chunk_index"].to_numpy() > 0, overlap, 0)
        for doc_id, count in zip(table["doc_id"].to_pylist(), new.tolist(), strict=True):
            kept[doc_id] = kept.get(doc_id, 0) + count
    return [kept[doc_id] for doc_id in documents["doc_id"].to_pylist()]


def _metrics(evaluate: FinishedStage) -> dict[str, Any]:
    return files.read_object(evaluate.path / "metrics.json")


def _history(folder: Path) -> list[dict[str, Any]]:
    path = folder / "history.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
