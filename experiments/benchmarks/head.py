"""What an epoch of training the LSTM takes on 10,000 documents of 1 to 40 chunks, and where it goes.

    python experiments/benchmarks/head.py experiments/benchmarks/head.json

Made-up vectors of 384 numbers, on all cores; seconds are of the clock and without the first epoch, in which TensorFlow traces. "batches" is what
NumPy does to make the padded batches, "trace" what recording each step for the doctor takes, "steps" TensorFlow's part.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.learning import head as learning
from hierdoc.learning import loop
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.history import History
from hierdoc.learning.traces import TrainingTrace
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import LabelledDocuments
from hierdoc.stages.provenance import peak_memory_mib, versions_and_commit

DOCUMENTS, DEV, MOST_CHUNKS, DIM, CLASSES, EPOCHS = 10_000, 500, 40, 384, 10, 4


def made_up(num: int, seed: int) -> LabelledDocuments:
    """Return documents of 1 to 40 chunks whose vectors tell their class a little."""
    rng = np.random.default_rng(seed)
    lengths, labels = rng.integers(1, MOST_CHUNKS + 1, num), rng.integers(0, CLASSES, num).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(lengths)])
    vectors = rng.normal(size=(starts[-1], DIM)).astype(np.float32)
    vectors[:, 0] += np.repeat(labels, lengths)
    probs = np.full((len(vectors), CLASSES), 1 / CLASSES, np.float32)
    documents = DocumentVectors([f"d{number:05}" for number in range(num)], vectors, probs, starts)
    return LabelledDocuments(documents, [str(label) for label in labels], labels)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    train, dev = made_up(DOCUMENTS, 0), made_up(DEV, 1)
    spent: list[dict[str, float]] = []

    def timed(name: str, function: Any) -> Any:
        def call(*words: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*words, **named)
            finally:
                spent[-1][name] += time.perf_counter() - started

        return call

    make_trained, train_epoch = learning.loop.make_trained, loop._train_epoch

    def made(*words: Any, **named: Any) -> Any:
        trained = make_trained(*words, **named)
        return loop.Trained(
            trained.variables, trained.optimizer_variables, timed("steps", trained.take_step), trained.optimizer
        )

    def epoch(*words: Any) -> None:
        spent.append({"whole": 0.0, "batches": 0.0, "steps": 0.0, "trace": 0.0})
        timed("whole", train_epoch)(*words)

    learning.loop.make_trained, loop._train_epoch = made, epoch
    learning._make_batch = timed("batches", learning._make_batch)
    TrainingTrace.add_step = timed("trace", TrainingTrace.add_step)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = {"head": "lstm", "epochs": EPOCHS, "learning_rate": 1e-3, "input_dropout": 0.0, "seed": 0}
        trace = TrainingTrace(folder, "run", "documents", [str(label) for label in range(CLASSES)], DOCUMENTS)
        learning.train_head(
            train, dev, DIM, CLASSES, parameters, History(folder / "history.jsonl"), Checkpoints(folder), trace
        )  # fmt: skip
    later = spent[1:]
    seconds = {part: statistics.median(each[part] for each in later) for part in later[0]}
    case = {
        "documents": DOCUMENTS, "chunks": int(train.documents.starts[-1]),
        **{f"{part}, seconds": round(value, 2) for part, value in seconds.items()},
        "documents a second": round(DOCUMENTS / seconds["whole"]), "first epoch, seconds": round(spent[0]["whole"], 2),
        "peak MiB": round(peak_memory_mib()),
    }  # fmt: skip
    result = {"machine": {"cores": os.cpu_count()}, **versions_and_commit(), "cases": {"an epoch": case}}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
