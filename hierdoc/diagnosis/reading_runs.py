"""From a run directory to evidence, as far as its stages go."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.corpus.labels import label_ids
from hierdoc.diagnosis import reading_traces as traces
from hierdoc.diagnosis.evidence import JOINED, UNKNOWN, Evidence, Predictions, Run, Training, Vectors
from hierdoc.errors import HierdocError
from hierdoc.sequences.grouping import INPUTS, inputs_of
from hierdoc.stages import files, tables
from hierdoc.stages.finished import MANIFEST, STARTED, FinishedStage, is_begun, is_finished, read_stage
from hierdoc.tracing.files import is_trace, read_trace
from hierdoc.tracing.hashing import hash_rows, sketch_rows

DOCUMENT_COLUMNS = ["doc_id", "labels", "split", "num_tokens", "num_chunks", "num_unknown", "num_dropped"]
NEAR_DUPLICATE = "near_duplicate_of_train"


def is_run(folder: Path) -> bool:
    """Return whether a folder holds a stage of a run, finished or not."""
    return any(is_begun(folder / name) for name in ("chunk", "finetune", "embed"))


def read_run(folder: Path) -> list[Evidence]:
    """Return the evidence in a run directory: one for each head, or one without.

    Raises:
        HierdocError: a finished stage is damaged or of another version; the chunk stage is not finished.
    """
    names = [name for name in _stage_names(folder) if is_begun(folder / name)]
    finished = {name: read_stage(folder, name) for name in names if is_finished(folder, name)}
    if "chunk" not in finished:
        raise HierdocError(f"{folder / 'chunk'}: this stage is not finished, and the doctor needs its documents")
    chunk = finished["chunk"]
    documents = tables.read_tables(chunk.files("documents-"), _columns(chunk))
    labels = chunk.details["labels"]
    run = _run_facts(names, finished, documents)
    common = (chunk, documents, labels, finished)
    chunks = _read_training(folder, "finetune", "chunks", *common) if "finetune" in names else None
    heads = [name for name in names if name.startswith("heads/")]
    trainings = [_read_training(folder, name, "documents", *common) for name in heads] or [None]
    read = [_inputs_of_head(folder / name) for name in heads] or [INPUTS[0]]
    made = {
        inputs: _read_vectors(finished["embed"], documents, chunk.details, inputs) if "embed" in finished else None
        for inputs in set(read)
    }
    return [Evidence(chunks, training, made[inputs], run) for training, inputs in zip(trainings, read, strict=True)]


def _inputs_of_head(path: Path) -> str:
    """Return what a head reads of each chunk; heads of older versions read the vectors."""
    begun = files.read_object(path / (MANIFEST if (path / MANIFEST).exists() else STARTED))
    return begun.get("parameters", {}).get("inputs", INPUTS[0])


def _columns(chunk: FinishedStage) -> list[str]:
    import pyarrow.parquet as pq

    held = pq.read_schema(chunk.files("documents-")[0]).names
    return DOCUMENT_COLUMNS + ([NEAR_DUPLICATE] if NEAR_DUPLICATE in held else [])


def _stage_names(folder: Path) -> Iterator[str]:
    yield from ("chunk", "finetune", "embed", "tokens")
    for room in ("heads", "evaluate"):
        if (folder / room).is_dir():
            yield from (f"{room}/{path.name}" for path in sorted((folder / room).iterdir()))


def _run_facts(names: list[str], finished: dict[str, FinishedStage], documents: pa.Table) -> Run:
    out_of_date = [
        (name, parent)
        for name, stage in finished.items()
        for parent, fingerprint in stage.manifest["parents"].items()
        if parent in finished and finished[parent].fingerprint != fingerprint
    ]
    metrics = [
        files.read_object(finished[name].path / "metrics.json")
        for name in names
        if name.startswith("evaluate/") and name in finished and finished[name].parameters.get("split") == "test"
    ]
    measured = metrics[0] if metrics else {}
    near = documents[NEAR_DUPLICATE].to_numpy() if NEAR_DUPLICATE in documents.schema.names else None
    numbers = {
        name: documents[name].to_numpy().astype(np.int64) for name in DOCUMENT_COLUMNS if name.startswith("num_")
    }
    return Run(
        out_of_date=out_of_date,
        unfinished=[name for name in names if name not in finished],
        details=finished["chunk"].details,
        splits=traces.strings_of(documents["split"]),
        label_ids=_document_labels(documents, finished["chunk"].details),
        near_duplicate=np.zeros(len(documents), bool) if near is None else near,
        tfidf_svm_accuracy=measured.get("tfidf_svm_accuracy"),
        label_f1s=_label_f1s(finished) if finished["chunk"].details.get("multi_label") else (),
        with_words=[
            name for name, stage in finished.items() if name.startswith("heads/") and stage.parameters.get("words")
        ],
        **numbers,
    )


def _label_f1s(finished: dict[str, FinishedStage]) -> list[dict[str, Any]]:
    """Return how right heads are on any number of labels, as evaluate has measured it on the stages of today."""
    rows = []
    for name, stage in finished.items():
        if name.startswith("evaluate/") and stage.parameters.get("head") and _is_of_today(stage, finished):
            head, measured = f"heads/{stage.parameters['head']}", stage.details
            with_words = head in finished and finished[head].parameters.get("words")
            rows.append(
                {
                    "model": f"{head}{JOINED}" if with_words else head,
                    "data": stage.parameters["split"],
                    "micro_f1": measured["document_micro_f1"],
                    "guessing": measured["majority_micro_f1"],
                    "words": measured["tfidf_svm_micro_f1"],
                }
            )
    return rows


def _document_labels(documents: pa.Table, details: dict[str, Any]) -> np.ndarray:
    if details.get("multi_label"):
        return np.full(len(documents), UNKNOWN, np.int64)
    first = [row[0] if row else "" for row in documents["labels"].to_pylist()]
    return label_ids(first, details["labels"]).astype(np.int64)


def _read_vectors(embed: FinishedStage, documents: pa.Table, details: dict[str, Any], inputs: str) -> Vectors:
    """Return what heads read of embed's chunks as if a trace had noted them; shards are read one at a time, and only sketches are kept."""
    split_of = dict(zip(documents["doc_id"].to_pylist(), documents["split"].to_pylist(), strict=True))
    label_of = dict(zip(documents["doc_id"].to_pylist(), _document_labels(documents, details).tolist(), strict=True))
    parts = []
    for path in embed.files("vectors-"):
        table = tables.read_tables([path])
        probs = tables.matrix_of(table["probs"])
        vectors = inputs_of(tables.matrix_of(table["vector"]), probs, inputs)
        doc_ids = traces.strings_of(table["doc_id"])
        parts.append(
            (
                doc_ids,
                np.asarray([split_of.get(doc_id, "excluded") for doc_id in doc_ids], object),
                table["chunk_index"].to_numpy().astype(np.int64),
                np.asarray([label_of.get(doc_id, UNKNOWN) for doc_id in doc_ids], np.int64),
                probs.argmax(axis=1).astype(np.int64),
                hash_rows(vectors),
                sketch_rows(vectors),
            )
        )
    return Vectors(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _read_training(
    folder: Path,
    name: str,
    kind: str,
    chunk: FinishedStage,
    documents: pa.Table,
    labels: list[str],
    finished: dict[str, FinishedStage],
) -> Training:
    """Return a stage's training: from its trace, or without one from its history and parameters."""
    path = folder / name
    measured = _read_evaluations(name, labels, finished) if kind == "documents" else []
    if is_trace(path):
        training = traces.training_of(name, read_trace(path))
        if training.kind != kind:
            raise HierdocError(f"{path}: must hold the trace of a training on {kind}, but holds one on {training.kind}")
        training = dataclasses.replace(training, readings=training.readings or _read_history(path))
        known = set(training.held_out.splits.tolist())
        others = [part for part in measured if part.splits[0] not in known]
        kept = finished[name].details.get("best_epoch") if name in finished else None
        return dataclasses.replace(
            training, held_out=traces.join_predictions([training.held_out, *others]), kept_epoch=kept
        )
    stage = finished.get(name)
    return Training(
        name=name,
        kind=kind,
        num_classes=len(labels),
        labels=labels,
        num_documents=chunk.details["documents_by_split"].get("train"),
        weights_loaded=None,
        weights_expected=None,
        optimizer=None,
        readings=_read_history(path),
        weights=[],
        probe=None,
        finished=stage is not None,
        examples=traces.no_examples(),
        steps=traces.no_steps(),
        held_out=traces.join_predictions(measured),
        has_trace=False,
        kept_epoch=stage.details.get("best_epoch") if stage is not None else None,
    )


def _read_history(path: Path) -> list[dict[str, Any]]:
    """Return the epochs of history.jsonl; a line that an interruption has cut is left out."""
    readings = []
    if (path / "history.jsonl").exists():
        for line in (path / "history.jsonl").read_text(encoding="utf-8").splitlines():
            try:
                readings.append(json.loads(line))
            except json.JSONDecodeError:
                break
    return [reading for reading in readings if isinstance(reading, dict)]


def _is_of_today(stage: FinishedStage, finished: dict[str, FinishedStage]) -> bool:
    """Return whether a stage was made of the stages as they are now."""
    parents = stage.manifest["parents"]
    return all(name in finished and finished[name].fingerprint == parents[name] for name in parents)


def _read_evaluations(name: str, labels: list[str], finished: dict[str, FinishedStage]) -> list[Predictions]:
    """Return what evaluate has predicted with this head, for the splits that it was called for."""
    head = name.removeprefix("heads/")
    if name in finished and finished[name].parameters.get("words"):
        return []  # these are of head and words together, and the trace is of the head alone
    found = []
    for stage_name, stage in finished.items():
        if (
            stage_name.startswith("evaluate/")
            and stage.parameters.get("head") == head
            and _is_of_today(stage, finished)
        ):
            table = tables.read_tables([stage.path / "predictions.parquet"])
            columns = [table[f"probability:{label}"].to_numpy() for label in labels]
            found.append(
                Predictions(
                    doc_ids=traces.strings_of(table["doc_id"]),
                    label_ids=label_ids(table["true_label"].to_pylist(), labels).astype(np.int64)
                    if "true_label" in table.schema.names
                    else np.full(len(table), UNKNOWN, np.int64),
                    mask_sums=table["num_chunks"].to_numpy().astype(np.int64),
                    hashes=traces.Ragged(np.zeros(0, np.uint64), np.zeros(len(table) + 1, np.int64)),
                    probs=np.stack(columns, axis=1).astype(np.float64),
                    splits=np.full(len(table), stage.parameters["split"], object),
                )
            )
    return found
