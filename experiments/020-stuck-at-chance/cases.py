"""One case from documents to result: the models, what breaks them, the trace, and what the doctor makes of it."""

from __future__ import annotations

import dataclasses
import gc
import shutil
import time
from collections import Counter
from pathlib import Path
from typing import Any

import document_model
import numpy as np
import pandas as pd
from document_model import Made, Recorded, Sequences
from documents import select
from made_models import ChunkModel, Models, breakage_of, fingerprint, rng_of
from settings import Case, Dataset, Documents

from hierdoc.encoders.pretrained import EncoderSource
from hierdoc.stages import files
from hierdoc.stages.provenance import versions_and_commit

CHUNKS, DOCUMENTS = "chunks", "documents"  # the folders of a case's two traces


class Bench:
    """Everything that the cases of one data set are run with.

    Attributes:
        dataset: with its cases.
        results: the folder of its results.
        documents_per_class, chunks_per_document: about how many, to guess how long a case takes.
    """

    def __init__(self, dataset: Dataset, table: pd.DataFrame, source: EncoderSource, build: Path, results: Path):
        self.dataset, self.results = dataset, results
        self._table, self._source, self._build = table, source, build
        self.documents_per_class = int((table.split == "train").sum() / table.label.nunique())
        self.chunks_per_document = 1 + table.text.str.split().str.len().mean() / dataset.chunk_size
        self.models = Models(build / "chunk-models", dataset, table, source)

    def result_path(self, case: Case) -> Path:
        """Return where a case's result is written."""
        return self.results / f"{case.title}.json"

    def fingerprint(self, case: Case) -> str:
        """Return what a result was made from; the names of the findings that are hoped for are not part of it."""
        settings = {**dataclasses.asdict(case), "codes": None}
        return fingerprint([settings, self.models.fingerprint(case, case.chunks)])

    def is_done(self, case: Case) -> bool:
        """Return whether a case has a result of these settings."""
        path = self.result_path(case)
        return path.exists() and files.read_object(path)["fingerprint"] == self.fingerprint(case)

    def trace_folder(self, case: Case) -> Path:
        """Return the folder of a case's traces, whose name says nothing of the case."""
        return self._build / "traces" / fingerprint([case.group, case.name, case.strength])

    def run(self, case: Case) -> dict[str, Any]:
        """Run a case, write its result, and return it; it keeps what the doctor said of an earlier result of it at first."""
        started = time.monotonic()
        folder = self.trace_folder(case)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        model = self.models.model_of(case)
        if case.encoder and model.trace.exists():
            shutil.copytree(model.trace, folder / CHUNKS)
        probs, val, shown = self._train(case, model, folder / DOCUMENTS)
        result = {
            "dataset": self.dataset.name,
            **describe(case),
            "fingerprint": self.fingerprint(case),
            **measure(probs, val, len(case.documents.classes)),
            "accuracy_shown": shown,
            "chunk_accuracy": {side: model.accuracy(side) for side in ("train", "val")},
            "num_documents": {side: len(frame) for side, frame in model.frames.sides().items()},
            "num_chunks": {side: len(arrays.y) for side, arrays in model.arrays.items()},
            "hierdoc_accuracy": self.hierdoc_accuracy(case.documents),
            "findings": examine(folder),
            "made_with": (versions := versions_and_commit()),
            "examined_at": versions.get("commit"),
            "seconds": round(time.monotonic() - started, 1),
        }
        if self.result_path(case).exists():
            result["first"] = at_first(files.read_object(self.result_path(case)))
        self.results.mkdir(parents=True, exist_ok=True)
        files.write_json(self.result_path(case), result)
        gc.collect()  # Keras models are in circles, and a process makes hundreds of them
        return result

    def examine_again(self, case: Case) -> dict[str, Any]:
        """Let the doctor look again at a finished case's trace, and write the result anew."""
        result = files.read_object(self.result_path(case))
        commit = versions_and_commit().get("commit")
        result |= {**describe(case), "first": at_first(result)}
        result |= {"findings": examine(self.trace_folder(case)), "examined_at": commit}
        files.write_json(self.result_path(case), result)
        return result

    def hierdoc_run(self, wanted: Documents) -> Path:
        """Return hierdoc's own run on the same documents with the same split, made where it is not there."""
        from hierdoc import run_pipeline

        run = (
            self._build
            / "hierdoc"
            / fingerprint([dataclasses.asdict(wanted), self._source.sha256, self.dataset.hierdoc])
        )
        run_pipeline(
            select(self._table, wanted),
            run,
            id_column="id",
            split_column="split",
            encoder=self.dataset.encoder,
            chunk_size=self.dataset.chunk_size,
            max_chunks=wanted.max_chunks,
            head="lstm",
            words=False,
            **self.dataset.hierdoc,
        )
        return run

    def hierdoc_accuracy(self, wanted: Documents) -> float | None:
        """Return the test accuracy of `hierdoc_run`; None where the configuration asks for none."""
        if self.dataset.hierdoc is None:
            return None
        metrics = files.read_object(self.hierdoc_run(wanted) / "evaluate" / "lstm" / "metrics.json")
        return round(metrics["document_accuracy"], 4)

    def _train(self, case: Case, model: ChunkModel, trace: Path) -> tuple[np.ndarray, Sequences, float | None]:
        """Train the LSTM as the case says; return val's probabilities, val, and the accuracy that Keras showed."""
        rng = rng_of(case)
        sides = made_sides(model)

        def other(source: str) -> dict[str, Made]:
            return made_sides(self.models.model_of(case, self.dataset.sources[source]))

        if break_made := breakage_of(case, "made"):
            break_made(sides, rng, other)
        noted = {side: (dataclasses.replace(made), model.predicted(made.cls)) for side, made in sides.items()}
        if break_grouped := breakage_of(case, "grouped"):
            break_grouped(sides, rng, other)
        documents = {side: document_model.group(made) for side, made in sides.items()}
        if break_documents := breakage_of(case, "documents"):
            break_documents(documents, rng)
        weighted = breakage_of(case, "weighted batches")
        break_batches = breakage_of(case, "batches") or weighted
        recorded = Recorded(trace, case.documents.classes, len(model.frames.train), noted)
        probs, shown = document_model.fit(
            documents,
            case.head,
            recorded,
            wrap=None if break_batches is None else lambda given: break_batches(given, rng),
            wrap_names=weighted is None,
        )
        return probs, documents["val"], shown


def made_sides(model: ChunkModel) -> dict[str, Made]:
    """Return both sides' vectors as a chunk model makes them."""
    return {
        side: Made(
            model.vectors[f"{side}_cls"],
            model.arrays[side].index,
            model.arrays[side].y,
            dict(zip(frame.index.tolist(), frame.label.tolist(), strict=True)),
            {"last": model.vectors[f"{side}_last"]},
        )
        for side, frame in model.frames.sides().items()
    }


def at_first(result: dict[str, Any]) -> dict[str, Any]:
    """Return what the doctor said of a case when it saw it for the first time, and at which commit that was."""
    return result.get("first") or {key: result[key] for key in ("findings", "examined_at")}


def describe(case: Case) -> dict[str, Any]:
    """Return what a result says of its case."""
    return {
        "group": case.group,
        "name": case.name,
        "strength": case.strength,
        "changes": case.changes,
        "codes": list(case.codes),
    }


def measure(probs: np.ndarray, val: Sequences, num_classes: int) -> dict[str, Any]:
    """Return the accuracy of probabilities (B, C) on val, beside what no model reaches these rates."""
    labels, predicted = np.asarray(val.labels), np.argmax(probs, axis=1)
    return {
        "accuracy": round(float((labels == predicted).mean()), 4),
        "uniform_rate": round(1 / num_classes, 4),
        "majority_rate": round(max(Counter(val.labels).values()) / len(labels), 4),
        "class_0_rate": round(float((labels == 0).mean()), 4),
        "commonest_answer_rate": round(max(Counter(predicted.tolist()).values()) / len(labels), 4),
        "num_classes": num_classes,
    }


def examine(folder: Path) -> list[dict[str, Any]]:
    """Return the doctor's findings for a trace or a run, as JSON can hold them."""
    from hierdoc.doctor import examine as ask

    return [dataclasses.asdict(finding) for finding in ask(folder).findings]
