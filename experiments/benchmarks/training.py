"""What --deterministic and a checkpoint cost: MiniLM on made-up chunks of 200 tokens, 16 a step.

    python experiments/benchmarks/training.py experiments/benchmarks/training.json

Each measurement is a process of its own; with and without --deterministic take turns, so that both meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WARM_UP, STEPS, ROUNDS = 3, 20, 3


def measure(deterministic: bool) -> dict[str, float]:
    """Return seconds per step (median), and the seconds and bytes of a checkpoint."""
    from hierdoc.encoders import ENCODERS, compat
    from hierdoc.encoders.pretrained import find_encoder
    from hierdoc.engines.precision import in_precision, resolve_precision
    from hierdoc.learning import loop
    from hierdoc.learning.checkpoints import Checkpoints
    from hierdoc.learning.optimizers import adam
    from hierdoc.objectives.classification import ChunkHead
    from hierdoc.stages.store import CHECKPOINT

    source = find_encoder("minilm")
    with compat.deterministic_ops(deterministic), in_precision(resolve_precision("auto")):
        encoder = ENCODERS["bert"](source.config)
        encoder.assign(source.load_weights(), "minilm")
        head = ChunkHead(encoder.dim, 10)
        variables = [*encoder.trainable(), head.kernel, head.bias]
        trained = loop.make_trained(
            lambda ids, mask, dropout_seed: head(encoder(ids, mask, dropout_seed), dropout_seed),
            variables,
            adam(5e-5),
            seed=0,
            trace_each_shape=True,
        )
        rng = np.random.default_rng(0)
        seconds = []
        for number in range(WARM_UP + STEPS):
            ids = rng.integers(1000, source.config["vocab_size"], (16, 200)).astype(np.int32)
            batch = loop.LabelledBatch(
                (ids, np.ones(ids.shape, bool)), rng.integers(0, 10, 16).astype(np.int32), np.ones(16, np.float32)
            )
            started = time.perf_counter()
            trained.take_step(batch, number)
            seconds.append(time.perf_counter() - started)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        arrays = {
            str(at): variable.numpy() for at, variable in enumerate([*trained.variables, *trained.optimizer_variables])
        }
        Checkpoints(Path(folder)).save({}, arrays)
        checkpoint_seconds = time.perf_counter() - started
        checkpoint_bytes = (Path(folder) / CHECKPOINT).stat().st_size
    return {
        "seconds_per_step": statistics.median(seconds[WARM_UP:]),
        "checkpoint_seconds": checkpoint_seconds,
        "checkpoint_mib": checkpoint_bytes / 2**20,
    }


def main() -> None:
    """Measure in turns and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--one", choices=["plain", "deterministic"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one == "deterministic")))
        return
    if arguments.out is None:
        parser.error("name the file to write")
    rounds = []
    for _ in range(ROUNDS):
        readings = {}
        for name in ("plain", "deterministic"):
            done = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True, check=True)
            readings[name] = json.loads(done.stdout.splitlines()[-1])
        rounds.append(readings)
        print(readings, file=sys.stderr)
    ratios = [each["deterministic"]["seconds_per_step"] / each["plain"]["seconds_per_step"] for each in rounds]
    cases = {
        name: {key: round(statistics.median(each[name][key] for each in rounds), 3) for key in rounds[0][name]}
        for name in ("plain", "deterministic")
    }
    cases["deterministic / plain"] = {"seconds_per_step": round(statistics.median(ratios), 3)}
    result = {"machine": {"cores": os.cpu_count()}, "cases": cases, "rounds": rounds}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
