"""Time and peak memory of finding near-duplicates, on generated texts.

    python experiments/benchmarks/near_duplicates.py --out experiments/benchmarks/near_duplicates.json [CASE …]

Each case runs in a process of its own. The corpora:

- one_group_N: N letters of one template whose names and numbers differ: all are near-duplicates of each other.
- below_N: N letters that share two thirds of their shingles with each other (a Jaccard similarity of 0.5, which is not
  over it; by chance a few share one more), with sentences of their own before and after.
- variants_N: N letters of 24 sentences, each drawn from three: every shingle is in a ninth or a third of the letters.
- pools_N: N letters with a shared template under the threshold and 12 slots, each filled from 40 phrases.
- tiny_N: N documents of 5 to 12 words, a tenth of them written twice.
- book_50_mb: one document of 50 MB among 100 small ones.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.stages.provenance import peak_memory_mib


def words(rng: random.Random, count: int) -> str:
    return " ".join(f"w{rng.randrange(50_000)}" for _ in range(count))


def one_group(count: int) -> list[str]:
    rng = random.Random(0)
    start, middle, end = words(rng, 40), words(rng, 40), words(rng, 30)
    return [f"dear n{rng.randrange(5000)} {start} k{rng.randrange(10**6)} {middle} s{number % 40} {end}" for number in range(count)]  # fmt: skip


def below(count: int) -> list[str]:
    rng = random.Random(0)
    template = words(rng, 69)
    return [f"{words(rng, 15)} x{number} {template} {words(rng, 15)}" for number in range(count)]


def variants(count: int) -> list[str]:
    rng = random.Random(0)
    sentences = [[words(rng, 12) for _ in range(3)] for _ in range(24)]
    return [" ".join(rng.choice(choices) for choices in sentences) for _ in range(count)]


def pools(count: int) -> list[str]:
    rng = random.Random(0)
    fixed = [words(rng, 14) for _ in range(12)]
    phrases = [[words(rng, 3) for _ in range(40)] for _ in range(12)]
    return [" ".join(f"{part} {rng.choice(pool)}" for part, pool in zip(fixed, phrases)) for _ in range(count)]


def tiny(count: int) -> list[str]:
    rng = random.Random(0)
    texts = [words(rng, rng.randint(5, 12)) for _ in range(count * 9 // 10)]
    return texts + [text + " again" if len(text) > 50 else text for text in rng.sample(texts, count - len(texts))]


def book(megabytes: int) -> list[str]:
    rng = random.Random(0)
    small = [words(rng, 200) for _ in range(100)]
    return [*small, " ".join(words(rng, 10_000) for _ in range(megabytes * 15)) + " end"]


CASES = {
    "one_group_4000": lambda: one_group(4000),
    "one_group_20000": lambda: one_group(20_000),
    "below_4000": lambda: below(4000),
    "below_20000": lambda: below(20_000),
    "variants_4000": lambda: variants(4000),
    "variants_20000": lambda: variants(20_000),
    "pools_4000": lambda: pools(4000),
    "pools_20000": lambda: pools(20_000),
    "tiny_200000": lambda: tiny(200_000),
    "book_50_mb": lambda: book(50),
}


def measure(case: str) -> dict:
    """Return what one case took, in this process."""
    texts = CASES[case]()
    before, started = peak_memory_mib(), time.perf_counter()
    groups = near_duplicate_groups(texts)
    seconds = time.perf_counter() - started
    return {
        "documents": len(texts),
        "megabytes": round(sum(map(len, texts)) / 1e6, 1),
        "groups": len(np.unique(groups)),
        "seconds": round(seconds, 2),
        "peak_memory_mib": round(peak_memory_mib()),
        "peak_memory_mib_before": round(before),
    }


def main() -> None:
    """Run the cases one after the other and write one JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--out", type=Path, help="the JSON file; by default the result is printed")
    parser.add_argument("--here", action="store_true", help="measure one case in this process and print it")
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(measure(*arguments.cases)))
        return
    results = {}
    for case in arguments.cases or CASES:
        command = [sys.executable, __file__, "--here", case]
        results[case] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        print(case, results[case], file=sys.stderr)
    machine = {"python": platform.python_version(), "numpy": np.__version__, "processor": platform.machine()}
    text = json.dumps({"machine": machine, "cases": results}, indent=1) + "\n"
    if arguments.out:
        arguments.out.write_text(text, encoding="utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
