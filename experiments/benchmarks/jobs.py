"""What `experiment --jobs` brings: fine-tuning on all cores, against one fine-tuning on each core at the same time.

    python experiments/benchmarks/jobs.py experiments/benchmarks/jobs.json

The steps are those of training.py. Both take turns, so that they meet the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from hierdoc.comparison.apart import shares_of_cores

ROUNDS, CHUNKS_A_STEP = 3, 16
STEPS = Path(__file__).with_name("training.py")


def chunks_per_second(at_once: int) -> float:
    """Return what so many trainings at once do together, each in a process on its share of the cores."""
    started = [
        subprocess.Popen(
            [sys.executable, STEPS, "--one", "plain"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda cores=cores: os.sched_setaffinity(0, cores),
        )
        for cores in shares_of_cores(at_once)
    ]
    outputs = [process.communicate()[0] for process in started]
    return sum(CHUNKS_A_STEP / json.loads(output.splitlines()[-1])["seconds_per_step"] for output in outputs)


def main() -> None:
    """Measure in turns and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({"one on all cores": chunks_per_second(1), "one on each core": chunks_per_second(cores)})
        print(rounds[-1], file=sys.stderr)
    cases = {
        name: {"chunks_per_second": round(statistics.median(each[name] for each in rounds), 1)} for name in rounds[0]
    }
    ratios = [each["one on each core"] / each["one on all cores"] for each in rounds]
    cases["each / all"] = {"chunks_per_second": round(statistics.median(ratios), 2)}
    result = {"machine": {"cores": cores}, "cases": cases, "rounds": rounds}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
