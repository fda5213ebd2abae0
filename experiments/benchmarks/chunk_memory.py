"""Peak memory and time of `chunk` on generated texts that are very long or very many.

    python experiments/benchmarks/chunk_memory.py --out experiments/benchmarks/chunk_memory.json [CASE …]

Each case makes a Parquet file, and a process of its own cuts it with the default encoder's vocabulary (weights needed):

- english: one document of 50 MB (words of 2 to 12 letters) and 20 small ones.
- chinese: one document of 50 MB of UTF-8, ideographs and commas without a single space, and 20 small ones.
- one_word: one document of 50 MB of letters without a space, and 20 small ones.
- tiny: 200,000 documents of 5 to 12 words.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MEGABYTES = 50


def vocabulary(rng: random.Random) -> list[str]:
    return ["".join(rng.choices("etaoinshrdlucmfwyp", k=rng.randint(2, 12))) for _ in range(20_000)]


def english(rng: random.Random) -> list[str]:
    words, text, size = vocabulary(rng), [], 0
    while size < MEGABYTES * 1_000_000:
        text.append(" ".join(rng.choices(words, k=1000)) + ".\n")
        size += len(text[-1])
    return ["".join(text), *few(rng)]


def chinese(rng: random.Random) -> list[str]:
    characters = [chr(code) for code in range(0x4E00, 0x5E00)] + ["，"] * 400
    return ["".join(rng.choices(characters, k=MEGABYTES * 1_000_000 // 3)), *few(rng)]


def one_word(rng: random.Random) -> list[str]:
    return ["".join(rng.choices("etaoinshrdlu", k=MEGABYTES * 1_000_000)), *few(rng)]


def tiny(rng: random.Random) -> list[str]:
    words = vocabulary(rng)
    return [" ".join(rng.choices(words, k=rng.randint(5, 12))) for _ in range(200_000)]


def few(rng: random.Random) -> list[str]:
    words = vocabulary(rng)
    return [" ".join(rng.choices(words, k=300)) for _ in range(20)]


CASES = {"english": english, "chinese": chinese, "one_word": one_word, "tiny": tiny}


def make(case: str, data: str) -> float:
    """Write the documents of one case to a Parquet file; return their size in MB of UTF-8."""
    texts = CASES[case](random.Random(0))
    labels = [("one", "two")[number % 2] for number in range(len(texts))]
    pq.write_table(pa.table({"text": texts, "label": labels}), data)
    return round(sum(len(text.encode()) for text in texts) / 1e6, 1)


def measure(data: str, run: str) -> dict:
    """Return what chunking one file took, in this process."""
    from hierdoc.chunk import chunk_documents
    from hierdoc.stages.provenance import peak_memory_mib

    before, started = peak_memory_mib(), time.perf_counter()
    stage = chunk_documents(data, run)
    return {
        "documents": stage.details["num_documents"],
        "tokens": stage.details["num_tokens"],
        "chunks": stage.details["num_chunks"],
        "seconds": round(time.perf_counter() - started, 1),
        "peak_memory_mib": round(peak_memory_mib()),
        "peak_memory_mib_before": round(before),
    }


def in_a_process(*words: str) -> Any:
    """Return what this script prints when it is called with `words`."""
    command = [sys.executable, __file__, *words]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def main() -> None:
    """Run the cases one after the other and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--out", type=Path, help="the JSON file; by default the result is printed")
    parser.add_argument("--make", nargs=2, metavar=("CASE", "DATA"), help="write one case's file and print its size")
    parser.add_argument("--here", nargs=2, metavar=("DATA", "RUN"), help="cut one file in this process and print it")
    arguments = parser.parse_args()
    if arguments.make or arguments.here:
        print(json.dumps(make(*arguments.make) if arguments.make else measure(*arguments.here)))
        return
    results = {}
    for case in arguments.cases or CASES:
        with tempfile.TemporaryDirectory() as folder:
            data, run = str(Path(folder) / "data.parquet"), str(Path(folder) / "run")
            megabytes = in_a_process("--make", case, data)  # a process inherits its parent's peak memory
            results[case] = {"megabytes": megabytes, **in_a_process("--here", data, run)}
        print(case, results[case], file=sys.stderr)
    machine = {"python": platform.python_version(), "processor": platform.machine()}
    text = json.dumps({"machine": machine, "cases": results}, indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
