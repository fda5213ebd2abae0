"""What runs on one-chunk documents reached, and how many documents a second each of their stages took in.

    python experiments/044-chinese/titles.py RUN... OUT.json

A run that was not evaluated has no accuracy on test. The fastest was, as dev could not tell them apart.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS, FinishedStage, is_finished, read_stage

HEAD = "mean_pool"
JUDGED = {
    "document_accuracy": "test accuracy",
    "average_accuracy": "of the chunk alone",
    "tfidf_svm_accuracy": "of TF-IDF + linear SVM",
}


def per_second(stage: FinishedStage, num: int) -> int:
    """Return how many of `num` documents a stage took a second."""
    return round(num / files.read_object(stage.path / TIMINGS)["seconds"])


def case(run: Path) -> dict[str, float]:
    """Return a run's figures."""
    chunk, finetune = read_stage(run, "chunk"), read_stage(run, "finetune")
    num = sum(chunk.details["documents_by_split"].values())
    if chunk.details["num_chunks"] != num:
        raise SystemExit(f"{run}: its documents have more than one chunk")
    trained = files.read_object(finetune.path / TIMINGS)
    found = {
        "epochs": finetune.parameters["epochs"],
        "best epoch": finetune.details["best_epoch"],
        "dev accuracy": round(finetune.details["dev_chunk_accuracy"], 4),
        "trained a second": round(trained["train_chunks_per_second"]),
        "minutes of training": round(trained["seconds"] / 60, 1),
    }
    if is_finished(run, f"evaluate/{HEAD}"):
        metrics = files.read_object(run / "evaluate" / HEAD / "metrics.json")
        found |= {name: round(metrics[key], 4) for key, name in JUDGED.items()}
        found |= {"cut a second": per_second(chunk, num), "encoded a second": per_second(read_stage(run, "embed"), num)}
    return found


def main(*words: str) -> None:
    """Write the cases."""
    *runs, out = map(Path, words)
    cases = {f"{read_stage(run, 'finetune').parameters['batch_size']} titles a step": case(run) for run in runs}
    files.write_json(out, {"cases": cases, "machine": {"cores": os.cpu_count()}})
    print(f"{out}: {len(cases)} cases")


if __name__ == "__main__":
    main(*sys.argv[1:])
