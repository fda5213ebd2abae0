"""How soon the first document is labelled: by the command, from its start, and by a predictor that is loaded.

    python experiments/benchmarks/first_document.py experiments/benchmarks/first_document.json

MiniLM with an LSTM, on made-up documents of 200-token chunks. "command" is `python -m hierdoc.predict` on a CSV of one document; its
parts are timed within one process after each other: Python with the imports, loading the run, the first document (which warms up what is
made at first use). "warm" is the same predictor's next documents. Medians of several processes and calls.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from hierdoc.encoders.pretrained import find_encoder
from hierdoc.run import run_pipeline
from hierdoc.stages.provenance import versions_and_commit

PROCESSES, CALLS, WARM = 5, 20, (1, 5, 20)
PARTS = """
import json, sys, time
started = time.perf_counter()
from hierdoc.heads.predictor import Predictor
from hierdoc.stages.finished import read_stage
imported = time.perf_counter()
predictor = Predictor(*(read_stage(sys.argv[1], name) for name in ("finetune", "heads/lstm")))
loaded = time.perf_counter()
sets = json.loads(sys.stdin.read())
def label(text):
    begun = time.perf_counter()
    predictor.predict(predictor.cut(["a"], [text]))
    return time.perf_counter() - begun
first = label(sets["5"][0])
warm = {num: [label(text) for text in texts[1:]] for num, texts in sets.items()}
print(json.dumps({"imports": imported - started, "loading": loaded - imported, "the first document": first, "warm": warm}))
"""


def made_up(words: list[str], rng: np.random.Generator, num_chunks: int) -> str:
    """Return a text of words that are one token each, of so many full chunks."""
    return " ".join(rng.choice(words, num_chunks * 198))


def main() -> None:
    """Make a run, measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    vocabulary = Path(find_encoder("minilm").vocab_path).read_text(encoding="utf-8").split()
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and word.islower() and len(word) > 3]
    rng = np.random.default_rng(0)
    command, parts = [], []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data, run, one = folder / "data.csv", folder / "run", folder / "one.csv"
        for path, num in ((data, 60), (one, 1)):
            with path.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "label"])
                writer.writerows([made_up(words, rng, 5), f"class {number % 3}"] for number in range(num))
        run_pipeline(data, run, epochs=0, head="lstm", words=False)
        texts = json.dumps({num: [made_up(words, rng, num) for _ in range(CALLS + 1)] for num in WARM})
        for _ in range(PROCESSES):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-m", "hierdoc.predict", run, one], check=True, capture_output=True)
            command.append(time.perf_counter() - started)
            done = subprocess.run(
                [sys.executable, "-c", PARTS, run], input=texts, check=True, capture_output=True, text=True
            )  # fmt: skip
            parts.append(json.loads(done.stdout))
    cases = {"the command, with one document of 5 chunks": statistics.median(command)}
    cases |= {
        name: statistics.median(each[name] for each in parts) for name in ("imports", "loading", "the first document")
    }
    for num in WARM:
        cases[f"warm, a document of {num} chunks"] = statistics.median(
            seconds for each in parts for seconds in each["warm"][str(num)]
        )
    result = {
        "machine": {"cores": os.cpu_count()}, **versions_and_commit(),
        "cases": {name: {"milliseconds": round(1000 * value)} for name, value in cases.items()},
    }  # fmt: skip
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
