"""What each setting of the quantization brings: how near its vectors are to float32's, and how fast it is beside bfloat16.

    python experiments/030-speed/int8_settings.py --runs RUNS experiments/030-speed/results/int8-settings.json

RUNS as for agreement.py; of each data set the first fold, and of it the dev documents' chunks: test has no say in how int8 is set. Every row
has what the one above has, but for the last two.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from agreement import FOLDS, cosines, run_of

from hierdoc.encoders.finetuned import load_encoder
from hierdoc.engines import ENGINES, int8
from hierdoc.engines.encoding import Engine, encode_chunks
from hierdoc.objectives.classification import chunk_probs
from hierdoc.sequences.reading import read_chunks
from hierdoc.stages.finished import read_stage
from hierdoc.stages.provenance import versions_and_commit
from hierdoc.stages.weights import load_weights

TIMES = 3  # each is timed, in turns with bfloat16
ATTENTION, LAST = r".*\.attention\.(scores|context)", r"encoder\.layer\.5\..*"


@dataclass(frozen=True)
class Setting:
    """How to quantize: what is left out, how strong the smoothing is, and on how many chunks it is calibrated."""

    left_out: tuple[str, ...] = (ATTENTION, LAST)
    smoothing: float = 0.85
    chunks: int = 1000


SETTINGS = {
    "NNCF's defaults": Setting((), 0.95, 300),
    "attention's own products left out": Setting((ATTENTION,), 0.95, 300),
    "the last layer left out": Setting(smoothing=0.95, chunks=300),
    "smoothing 0.85": Setting(chunks=300),
    "1,000 chunks (hierdoc)": Setting(),
    "hierdoc's, and the second dense layers left out": Setting((ATTENTION, LAST, r".*\.output\.dense\.product")),
    "hierdoc's, but smoothing 0.5": Setting(smoothing=0.5),
}


def engine_of(
    setting: Setting, encoder: tuple[Any, Any], rows: list[np.ndarray], chunk_size: int, work: Path
) -> Engine:
    """Return the int8 engine of an encoder by one setting."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    config, arrays = encoder
    int8.DELICATE_NODES = {config["name"]: lambda _: list(setting.left_out)}
    int8.SMOOTHING, int8.CALIBRATION_CHUNKS = setting.smoothing, setting.chunks
    int8.quantize(config, arrays, int8.drawn(rows), work)
    return int8.load_int8_engine(work, config["hidden_size"], chunk_size)


def seconds_of(function: Callable[[], Any]) -> float:
    """Return how long a call takes."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def measure(run: Path, work: Path) -> dict[str, dict[str, float]]:
    """Return each setting's figures on one run's dev chunks."""
    chunk, finetune = read_stage(run, "chunk"), read_stage(run, "finetune")
    encoder, chunk_size = load_encoder(finetune.path), chunk.parameters["chunk_size"]
    head = load_weights(finetune.path / "chunk_head.safetensors")
    train, dev = (read_chunks(chunk, split) for split in ("train", "dev"))
    engines = {name: ENGINES["openvino"](*encoder, name, chunk_size) for name in ("float32", "bfloat16")}
    wanted = encode_chunks(engines["float32"], dev.rows)
    labels = chunk_probs(wanted, head).argmax(axis=1)
    found = {}
    for name, setting in SETTINGS.items():
        engine = engine_of(setting, encoder, train.rows, chunk_size, work)
        vectors = encode_chunks(engine, dev.rows)
        times = [
            seconds_of(lambda: encode_chunks(engines["bfloat16"], dev.rows))
            / seconds_of(lambda: encode_chunks(engine, dev.rows))
            for _ in range(TIMES)
        ]
        near = cosines(vectors, wanted)
        found[name] = {
            "mean cosine": round(float(near.mean()), 5), "worst cosine": round(float(near.min()), 4),
            "chunks called otherwise": round(float((chunk_probs(vectors, head).argmax(axis=1) != labels).mean()), 4),
            "times bfloat16": round(statistics.median(times), 2),
        }  # fmt: skip
        print(run, name, found[name], file=sys.stderr)
    return found


def main() -> None:
    """Measure on both data sets and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, default=Path("build/int8"), metavar="DIR")
    arguments = parser.parse_args()
    by_set = {dataset: measure(run_of(arguments.runs, dataset, 1), arguments.work) for dataset in FOLDS}
    cases = {
        name: {f"{dataset}, {key}": value for dataset, found in by_set.items() for key, value in found[name].items()}
        for name in SETTINGS
    }
    result = {
        "command": "python experiments/030-speed/int8_settings.py --runs RUNS experiments/030-speed/results/int8-settings.json",
        **versions_and_commit(), "cases": cases,
    }  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
