"""What each stage costs as the chunks become many: processor seconds a chunk and memory, at 1,000 to 1,000,000 chunks.

    python experiments/030-speed/growth.py --data DATA experiments/030-speed/results/growth.json
    python experiments/030-speed/growth.py --data DATA --encoder minilm experiments/030-speed/results/growth-minilm.json

The encoder is tiny and random (2 layers, 32 wide), so that the pipeline is measured and not the arithmetic; or the default one, at
1,000 and 30,000 chunks. The documents are words
drawn from movie reviews, so that no two chunks are alike, about 25 chunks each. Every stage is its own command, as a user would run
it; seconds are the processors', and those of the same command on 250 chunks are taken off. A size
that is in the JSON already is not measured again.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders.pretrained import find_encoder
from hierdoc.stages.finished import read_stage
from hierdoc.stages.provenance import versions_and_commit

SIZES = {"tiny": (1_000, 10_000, 100_000, 1_000_000), "minilm": (1_000, 30_000)}
LEAST = 250  # what starting up costs
CHUNKS_PER_DOCUMENT, WORDS_PER_CHUNK, CLASSES, DOCUMENTS_AT_ONCE = 25, 162, 4, 1000
TINY = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64, "hidden_act": "gelu",
    "max_position_embeddings": 512, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "initializer_range": 0.02,
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
}  # fmt: skip


def write_documents(path: Path, words: np.ndarray, num_chunks: int) -> None:
    """Write documents of about so many chunks in all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(num_chunks)
    schema = pa.schema([("id", pa.string()), ("text", pa.string()), ("label", pa.string())])
    lengths = np.maximum(20, rng.exponential(CHUNKS_PER_DOCUMENT * WORDS_PER_CHUNK, num_chunks // CHUNKS_PER_DOCUMENT)).astype(int)  # fmt: skip
    with pq.ParquetWriter(path, schema) as writer:
        for at in range(0, len(lengths), DOCUMENTS_AT_ONCE):
            numbers = range(at, min(len(lengths), at + DOCUMENTS_AT_ONCE))
            texts = [" ".join(words[rng.integers(0, len(words), lengths[number])]) for number in numbers]
            labels = [f"class {number % CLASSES}" for number in numbers]
            writer.write_table(pa.table([[f"d{number}" for number in numbers], texts, labels], schema=schema))


def write_encoder(folder: Path) -> str:
    """Write the tiny encoder's configuration with MiniLM's vocabulary beside it; return how it is named."""
    source = find_encoder("minilm")
    shutil.copyfile(source.vocab_path, folder / "vocab.txt")
    (folder / "config.json").write_text(json.dumps({**TINY, "vocab_size": source.config["vocab_size"]}))
    return f"random:{folder / 'config.json'}"


def measure(*words: object) -> dict[str, float]:
    """Run a command of hierdoc's to its end; return its processor and wall seconds and the most memory that it held."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "hierdoc", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{words}: {said[-1000:]}")
    return {
        "cpu_seconds": used.ru_utime + used.ru_stime,
        "seconds": time.perf_counter() - started,
        "peak_mib": used.ru_maxrss / 2**10,
    }


def measure_size(folder: Path, words: np.ndarray, num_chunks: int, encoder: str) -> dict[str, Any]:
    """Return the number of chunks and what each stage took."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    data, run = folder / "documents.parquet", folder / "run"
    if encoder == "tiny":
        encoder = write_encoder(folder)
    write_documents(data, words, num_chunks)
    commands = {
        "chunk": ["chunk", data, run, "--id-column", "id", "--encoder", encoder],
        "finetune": ["finetune", run, "--epochs", 1, "--chunks-per-document", 1],
        "embed": ["embed", run],
        "train_lstm": ["train_lstm", run, "--epochs", 1],
        "predict": ["predict", run, data, "--out", folder / "predictions.parquet"],
        "evaluate": ["evaluate", run],
    }
    found: dict[str, Any] = {"stages": {}}
    for name, command in commands.items():
        found["stages"][name] = measure(*command)
        print(num_chunks, name, {key: round(value, 1) for key, value in found["stages"][name].items()}, file=sys.stderr)
    found["num_chunks"] = read_stage(run, "chunk").details["num_chunks"]
    shutil.rmtree(folder)
    return found


def summarised(found: dict[str, Any], least: dict[str, Any]) -> dict[str, Any]:
    """Return one size's row of the table."""
    row: dict[str, Any] = {"chunks": found["num_chunks"]}
    more = found["num_chunks"] - least["num_chunks"]
    for name, stage in found["stages"].items():
        seconds = stage["cpu_seconds"] - least["stages"][name]["cpu_seconds"]
        row[f"{name}, CPU ms a chunk"] = round(1000 * seconds / more, 3)
    for name, stage in found["stages"].items():
        row[f"{name}, MiB"] = round(stage["peak_mib"])
    return row


def main() -> None:
    """Measure the sizes that are missing and write the result after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="holds movie_reviews/")
    parser.add_argument("--work", type=Path, default=Path("build/growth"), metavar="DIR")
    parser.add_argument("--encoder", choices=sorted(SIZES), default="tiny")
    parser.add_argument("--most", type=int, default=max(SIZES["tiny"]), metavar="N", help="no more chunks than that")
    arguments = parser.parse_args()
    import pandas as pd

    texts = pd.read_parquet(arguments.data / "movie_reviews/train.parquet")["text"]
    words = np.asarray([word for text in texts for word in text.split()], object)
    stored = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"sizes": {}}
    sizes: dict[str, Any] = stored["sizes"]
    for size in (LEAST, *(size for size in SIZES[arguments.encoder] if size <= arguments.most)):
        if str(size) in sizes:
            continue
        sizes[str(size)] = {
            **measure_size(arguments.work.resolve() / str(size), words, size, arguments.encoder),
            **versions_and_commit(),
        }
        least = sizes[str(LEAST)]
        cases = {key: summarised(found, least) for key, found in sizes.items() if key != str(LEAST)}
        result = {
            "command": f"python experiments/030-speed/growth.py --data DATA --encoder {arguments.encoder} OUT",
            "machine": {"cores": os.cpu_count()}, "encoder": TINY if arguments.encoder == "tiny" else arguments.encoder, "cases": cases, "sizes": sizes,
        }  # fmt: skip
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
