"""How many chunks a second fine-tuning takes: hierdoc beside Hugging Face's Trainer and the question's Keras fit, in turns.

    python experiments/030-speed/finetune.py --data DATA experiments/030-speed/results/finetune-minilm.json

One epoch over the same chunks of movie reviews, 16 a step, MiniLM, [CLS] and a softmax with the same dropout, the same peak learning
rate with linear warm-up and decay; then the accuracy on the same dev chunks. Every contestant is a process of its own in every
round, on two threads; its seconds are of the epoch alone, with whatever it compiles in it, without loading.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
from encode import HERE, THREADS, peers_python, run, write_weights

from hierdoc.stages.provenance import versions_and_commit

ROUNDS, NUM_TRAIN, NUM_DEV, CHUNK_SIZE = 3, 1280, 640, 200
OURS = {"hierdoc": ("hierdoc", "bfloat16"), "hierdoc, float32": ("hierdoc", "float32"), "Keras fit of the question": ("keras", "float32")}  # fmt: skip
PEERS = {
    "Trainer (its default)": ("plain", "float32"),
    "Trainer, group_by_length": ("grouped", "float32"),
    "Trainer, bfloat16": ("plain", "bfloat16"),
    "Trainer, bfloat16, group_by_length": ("grouped", "bfloat16"),
}


def write_examples(path: Path, data: Path) -> dict[str, Any]:
    """Write chunks of movie reviews with their labels, train's and dev's; return their counts."""
    import pandas as pd

    from hierdoc.chunking.chunks import chunk_document
    from hierdoc.chunking.tokenizers import WordPieceTokenizer
    from hierdoc.encoders.pretrained import find_encoder

    source = find_encoder("minilm")
    tokenizer = WordPieceTokenizer(source.vocab_path, source.lower_case)
    rng = np.random.default_rng(0)
    arrays, counts = {}, {}
    for split, num in (("train", NUM_TRAIN), ("dev", NUM_DEV)):
        frame = pd.read_parquet(data / f"movie_reviews/{split}.parquet")
        classes = sorted(frame["label"].unique())
        found = [
            (np.asarray(chunk.token_ids, np.int32), classes.index(label))
            for text, label in zip(frame["text"], frame["label"], strict=True)
            for chunk in chunk_document(text, tokenizer, CHUNK_SIZE, 0, None, False).chunks
        ]
        chosen = [found[at] for at in rng.permutation(len(found))[:num]]
        rows = [row for row, _ in chosen]
        arrays |= {
            f"{split}-ids": np.concatenate(rows),
            f"{split}-lengths": np.asarray([len(row) for row in rows]),
            f"{split}-labels": np.asarray([label for _, label in chosen]),
        }
        counts[split] = {"chunks": len(chosen), "mean_tokens": round(statistics.mean(map(len, rows)), 1)}
    np.savez(path, **arrays)
    return counts


def main() -> None:
    """Measure in turns and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="holds movie_reviews/")
    parser.add_argument("--work", type=Path, default=Path("build/speed"), metavar="DIR")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    of_peers, weights, examples = peers_python(work), work / "minilm", work / "examples.npz"
    counts = write_examples(examples, arguments.data)
    write_weights(weights, "minilm")
    commands = {
        **{name: [sys.executable, HERE / "ours_train.py", *how] for name, how in OURS.items()},
        **{name: [of_peers, HERE / "peers_train.py", *how] for name, how in PEERS.items()},
    }
    rounds: list[dict[str, Any]] = []
    for _ in range(arguments.rounds):
        rounds.append({name: run([*command, weights, examples, THREADS]) for name, command in commands.items()})
        print({name: round(found["chunks_per_second"], 1) for name, found in rounds[-1].items()}, file=sys.stderr)
    cases = {}
    for name in commands:
        rates = [each[name]["chunks_per_second"] for each in rounds]
        ratios = [
            each[name]["chunks_per_second"] / each["Trainer (its default)"]["chunks_per_second"] for each in rounds
        ]
        cases[name] = {
            "chunks/s": round(statistics.median(rates), 1), "spread": f"{min(rates):.1f}-{max(rates):.1f}",
            "times Trainer's default": round(statistics.median(ratios), 2),
            "dev chunk accuracy": round(statistics.mean(each[name]["dev_accuracy"] for each in rounds), 3),
            "peak MiB": round(statistics.median(each[name]["peak_mib"] for each in rounds)),
        }  # fmt: skip
    result = {
        "encoder": "minilm", "threads": THREADS, "machine": {"cores": os.cpu_count()}, **versions_and_commit(), "examples": counts,
        "command": f"python experiments/030-speed/finetune.py --data DATA --rounds {arguments.rounds}", "cases": cases, "rounds": rounds,
    }  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
