"""What it takes to label documents, beside a bag of words: seconds and CPU-seconds per 1,000 documents.

    python experiments/benchmarks/predicting.py RUN DATA experiments/benchmarks/predicting.json [--head NAME] [--id-column id]

RUN has a head that was trained with `--words`; DATA is a Parquet file of documents, of which the first 1,000 are labelled. "hierdoc" is `python -m hierdoc.predict`, "words alone" its words' classifier (TF-IDF and a linear SVM) in a process that
reads the same file. Each is also run on one document, which is what starting takes, and that is subtracted. Medians of several
turns; the two alternate.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

from hierdoc.heads import find_head
from hierdoc.stages import files
from hierdoc.stages.provenance import versions_and_commit
from hierdoc.words.classifier import FILE as WORDS_FILE

TURNS, NUM_DOCUMENTS = 3, 1000
WORDS = """
import sys
from pathlib import Path
import pandas as pd
from hierdoc.words.classifier import load_words
words = load_words(Path(sys.argv[1]))
scores = words.scores(pd.read_parquet(sys.argv[2])[sys.argv[4]].tolist())
pd.DataFrame(scores).to_csv(sys.argv[3])
"""


def measure(command: list[str]) -> tuple[float, float]:
    """Return (wall seconds, CPU-seconds) of a command."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("data", type=Path, help="a Parquet file")
    parser.add_argument("out", type=Path)
    parser.add_argument("--head")
    parser.add_argument("--text-column", default="text")
    parser.add_argument("--id-column", default="id")
    arguments = parser.parse_args()
    head = find_head(arguments.run, arguments.head)
    if not (arguments.run / "heads" / head / WORDS_FILE).exists():
        raise SystemExit(f"{arguments.run}: the head {head} was not trained with words")
    documents = pd.read_parquet(arguments.data).head(NUM_DOCUMENTS)
    if len(documents) < 2:
        raise SystemExit(f"{arguments.data}: must have two documents at least")
    with tempfile.TemporaryDirectory() as name:
        folder, taken = Path(name), {}
        for num in (1, len(documents)):
            documents.head(num).to_parquet(folder / f"{num}.parquet")
        for _ in range(TURNS):
            for num in (1, len(documents)):
                data, out = folder / f"{num}.parquet", folder / "out.csv"
                out.unlink(missing_ok=True)
                predict = [sys.executable, "-m", "hierdoc.predict", str(arguments.run), str(data), "--out", str(out)]
                predict += ["--head", head, "--text-column", arguments.text_column, "--id-column", arguments.id_column]
                taken.setdefault(("hierdoc", num), []).append(measure(predict))
                words = [str(arguments.run / "heads" / head), str(data), str(out), arguments.text_column]
                taken.setdefault(("words alone", num), []).append(measure([sys.executable, "-c", WORDS, *words]))
    cases = {}
    for way in ("hierdoc", "words alone"):
        wall, cpu = (
            [statistics.median(turn[kind] for turn in taken[way, num]) for num in (1, len(documents))]
            for kind in (0, 1)
        )
        cases[f"{way} ({head})" if way == "hierdoc" else way] = {
            "seconds per 1,000 documents": round((wall[1] - wall[0]) * 1000 / (len(documents) - 1), 2),
            "CPU-seconds per 1,000 documents": round((cpu[1] - cpu[0]) * 1000 / (len(documents) - 1), 2),
            "seconds to start and label one": round(wall[0], 2),
        }
    about = {"turns": TURNS, "documents": len(documents), "machine": {"cores": os.cpu_count()}}
    files.write_json(arguments.out, {**about, "versions": versions_and_commit(), "cases": cases})
    print(f"{arguments.out}: {cases}")


if __name__ == "__main__":
    main()
