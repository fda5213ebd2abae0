"""Whether bfloat16 and int8 answer as float32 does: the labels of documents, by the same encoder and head.

    python experiments/030-speed/agreement.py --runs RUNS experiments/030-speed/results/agreement.json

RUNS is what `python -m hierdoc.experiment EXPERIMENT --data DATA --runs RUNS` leaves, where EXPERIMENT is experiments/010-heads for movie
reviews and experiments/012-out-of-sample for complaints. In each of their folds, the test documents' chunks are encoded in each precision, int8 being calibrated on that fold's training chunks, and read by
the head that was trained there, on bfloat16 vectors, as it is by default. So every document is answered by models that have never seen it,
and the folds' documents are looked at together. What the guard would have decided on dev is told beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders.finetuned import load_encoder
from hierdoc.engines import ENGINES, int8
from hierdoc.engines.encoding import Engine, encode_chunks
from hierdoc.evaluation.significance import bootstrap_mean
from hierdoc.heads.document_probs import load_document_probs
from hierdoc.objectives.classification import chunk_probs
from hierdoc.sequences.grouping import group_by_document
from hierdoc.sequences.reading import read_chunks
from hierdoc.stages.finished import read_stage
from hierdoc.stages.provenance import versions_and_commit
from hierdoc.stages.weights import load_weights

FOLDS = {"complaints": 3, "movie_reviews": 5}
PRECISIONS = ("float32", "bfloat16", "int8")
EPOCHS = 2  # of these experiments' encoders, by which they are known among those of others


def run_of(runs: Path, dataset: str, fold: int) -> Path:
    """Return the run directory of the LSTM without dropout."""
    found = []
    for path in sorted((runs / dataset / f"fold-{fold}").glob("lstm-*")):
        of_head, of_encoder = read_stage(path, "heads/lstm").parameters, read_stage(path, "finetune").parameters
        of_chunk = read_stage(path, "chunk").parameters
        sizes = (of_chunk["chunk_size"], of_chunk["overlap"])
        plain = of_head.get("inputs", "vectors") == "vectors" and not of_head.get("words")
        if plain and (of_head["input_dropout"], of_encoder["epochs"], *sizes) == (0.0, EPOCHS, 200, 0):
            found.append(path)
    if len(found) != 1:
        raise SystemExit(f"{runs}: has {len(found)} runs of the LSTM on fold {fold} of {dataset}, not one")
    return found[0]


def load_engines(run: Path, work: Path) -> dict[str, Engine]:
    """Return the run's encoder in each precision."""
    chunk, finetune = read_stage(run, "chunk"), read_stage(run, "finetune")
    config, arrays = load_encoder(finetune.path)
    chunk_size = chunk.parameters["chunk_size"]
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    rows = int8.drawn(read_chunks(chunk, "train").rows)
    int8.quantize(config, arrays, rows, work)
    return {
        **{name: ENGINES["openvino"](config, arrays, name, chunk_size) for name in ("float32", "bfloat16")},
        "int8": int8.load_int8_engine(work, config["hidden_size"], chunk_size),
    }


def answers_of_fold(run: Path, work: Path) -> dict[str, Any]:
    """Return each precision's label ids of the test documents, the true ones, and what the guard finds on dev."""
    chunk = read_stage(run, "chunk")
    test, dev = (read_chunks(chunk, split) for split in ("test", "dev"))
    head = load_weights(read_stage(run, "finetune").path / "chunk_head.safetensors")
    document_probs, _ = load_document_probs(read_stage(run, "heads/lstm").path)
    owners = [test.doc_ids[document] for document in test.document_of.tolist()]
    engines = load_engines(run, work)
    answers, vectors_of = {}, {}
    for name, engine in engines.items():
        vectors_of[name] = vectors = encode_chunks(engine, test.rows)
        documents = group_by_document(owners, test.chunk_index, vectors, chunk_probs(vectors, head))
        answers[name] = document_probs(documents, ()).argmax(axis=1)
    truth = dict(zip(owners, test.label_ids.tolist(), strict=True))
    guard = int8.compare(
        engines["int8"], engines["float32"], dev.rows, dev.label_ids,
        lambda vectors: chunk_probs(vectors, head).argmax(axis=1),
    )  # fmt: skip
    return {
        "truth": np.asarray([truth[doc_id] for doc_id in documents.doc_ids]), "answers": answers,
        "cosines": {name: cosines(vectors_of[name], vectors_of["float32"]) for name in PRECISIONS[1:]},
        "guard": {"accuracy": guard.accuracy, "float32_accuracy": guard.float32_accuracy, "passes": guard.is_good},
    }  # fmt: skip


def cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the cosine of each pair of rows."""
    return (found * wanted).sum(axis=1) / (np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1))


def summarised(folds: list[dict[str, Any]], precision: str) -> dict[str, Any]:
    """Return a precision's row of the table, over all folds' documents."""
    truth = np.concatenate([fold["truth"] for fold in folds])
    wanted, found = (np.concatenate([fold["answers"][name] for fold in folds]) for name in ("float32", precision))
    gained = bootstrap_mean((found == truth).astype(float) - (wanted == truth))
    near = np.concatenate([fold["cosines"][precision] for fold in folds])
    return {
        "documents": len(truth), "same label": round(float((found == wanted).mean()), 4),
        "accuracy": round(float((found == truth).mean()), 4), "float32's": round(float((wanted == truth).mean()), 4),
        "difference, points": round(100 * gained.estimate, 2),
        "95 % interval": f"{100 * gained.low:+.2f} to {100 * gained.high:+.2f}",
        "mean cosine": round(float(near.mean()), 5), "worst cosine": round(float(near.min()), 5),
        "folds the guard lets pass": sum(fold["guard"]["passes"] for fold in folds) if precision == "int8" else None,
    }  # fmt: skip


def main() -> None:
    """Compare on every fold and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path("build/agreement"), metavar="DIR")
    arguments = parser.parse_args()
    cases, guards = {}, {}
    for dataset, num_folds in FOLDS.items():
        folds = []
        for fold in range(1, num_folds + 1):
            started = time.perf_counter()
            folds.append(answers_of_fold(run_of(arguments.runs, dataset, fold), arguments.work / f"{dataset}-{fold}"))
            print(f"{dataset}, fold {fold}: {time.perf_counter() - started:.0f} s", file=sys.stderr)
        cases |= {f"{dataset}, {name}": summarised(folds, name) for name in PRECISIONS[1:]}
        guards[dataset] = [fold["guard"] for fold in folds]
    result = {
        "command": "python experiments/030-speed/agreement.py --runs RUNS experiments/030-speed/results/agreement.json",
        **versions_and_commit(), "cases": cases, "guards": guards,
    }  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
