"""How many chunks a second: hierdoc's engines beside what people would pick instead, on the same chunks, in turns.

    python experiments/030-speed/encode.py --data DATA experiments/030-speed/results/encode-minilm.json
    python experiments/030-speed/encode.py --data DATA --encoder base experiments/030-speed/results/encode-base.json

Makes an environment of the peers' own (peers.txt) under --work, writes the chunks' token ids and the weights there, and starts
every contestant anew in every round: a process that loads, warms up, and then encodes each set twice, of which the faster time
counts. All have the same token ids, weights, output ([CLS]), order (by length) and number of threads. Tokenization and loading
are not in the chunks a second; how long a process takes to its first vector is told apart. No chunk is in a set twice, and what
int8 is calibrated on, once and before, is in none.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from ours import CALIBRATION

from hierdoc.stages.provenance import versions_and_commit

HERE = Path(__file__).parent
ROUNDS, THREADS, CHUNK_SIZE = 3, 2, 200
OURS = {
    "hierdoc, OpenVINO, float32": ("openvino", "float32"),  # the first: the others' vectors are compared with its
    "hierdoc, OpenVINO, bfloat16": ("openvino", "bfloat16"),
    "hierdoc, OpenVINO, int8": ("openvino", "int8"),
    "hierdoc, ONNX Runtime, float32": ("onnxruntime", "float32"),
    "hierdoc, TensorFlow, bfloat16": ("tensorflow", "bfloat16"),
    "hierdoc, TensorFlow, float32": ("tensorflow", "float32"),
    "bert-for-tf2 in Keras, padded to 200, predict by 100": ("keras", "float32"),
}
PEERS = {
    "sentence-transformers (its default)": ("torch", "float32"),
    "sentence-transformers, bfloat16": ("torch", "bfloat16"),
    "sentence-transformers, ONNX": ("onnx", "float32"),
    "sentence-transformers, OpenVINO": ("openvino", "default"),
    "ONNX Runtime, dynamic int8": ("onnx-int8", "int8"),
}
DEFAULT_PEER, BEST_PEER = "sentence-transformers (its default)", "sentence-transformers, OpenVINO"
NUM_CHUNKS = {"minilm": 640, "base": 96}  # in each set
DATA = {"20ng": "20ng/train.parquet", "movie_reviews": "movie_reviews/train.parquet"}


def peers_python(work: Path) -> Path:
    """Return the Python of the peers' environment, which is made unless it is there."""
    python = work / "peers/bin/python"
    if not (work / "peers/installed").exists():
        subprocess.run([sys.executable, "-m", "venv", work / "peers"], check=True)
        subprocess.run([python, "-m", "pip", "install", "-r", HERE / "peers.txt"], check=True)
        (work / "peers/installed").touch()
    return python


def write_chunks(path: Path, data: Path, num_chunks: int) -> dict[str, list[int]]:
    """Write the sets of token ids, each sorted by length, longest first; return the lengths of each."""
    import pandas as pd

    from hierdoc.chunking.chunks import chunk_document
    from hierdoc.chunking.tokenizers import WordPieceTokenizer
    from hierdoc.encoders.pretrained import find_encoder
    from hierdoc.engines.int8 import drawn

    source = find_encoder("minilm")
    tokenizer = WordPieceTokenizer(source.vocab_path, source.lower_case)
    arrays = {}
    full: dict[bytes, np.ndarray] = {}
    spare: list[np.ndarray] = []
    for name, file in DATA.items():
        texts = pd.read_parquet(data / file)["text"]
        found: dict[bytes, np.ndarray] = {}
        for text in texts.sample(frac=1, random_state=0):
            for chunk in chunk_document(text, tokenizer, CHUNK_SIZE, 0, None, False).chunks:
                ids = np.asarray(chunk.token_ids, np.int32)
                found[ids.tobytes()] = ids
                if len(ids) == CHUNK_SIZE:
                    full[ids.tobytes()] = ids
            if len(found) >= 4 * num_chunks:
                break
        every = list(found.values())
        chosen = np.random.default_rng(0).permutation(len(every))[:num_chunks]
        arrays[name] = sorted((every[at] for at in chosen), key=len, reverse=True)
        spare += every
    every = list(full.values())
    arrays["full"] = [every[at] for at in np.random.default_rng(0).permutation(len(every))[:num_chunks]]
    lengths = {name: [len(row) for row in rows] for name, rows in arrays.items()}
    in_use = {row.tobytes() for rows in arrays.values() for row in rows}
    spare = [row for row in spare if row.tobytes() not in in_use]
    arrays[CALIBRATION] = drawn(spare)
    packed = {}
    for name, rows in arrays.items():
        packed |= {f"{name}-ids": np.concatenate(rows), f"{name}-lengths": np.asarray([len(row) for row in rows])}
    np.savez(path, **packed)
    for old in path.parent.glob(f"{path.stem}-*.npy"):  # vectors of other chunks
        old.unlink()
    return lengths


def write_weights(folder: Path, encoder: str) -> dict[str, Any]:
    """Write the encoder as Hugging Face has it: MiniLM's weights, or BERT-base's sizes with random ones; return its config."""
    from safetensors.numpy import save_file

    from hierdoc.encoders.pretrained import find_encoder

    source = find_encoder("minilm")
    config = {"model_type": "bert", "architectures": ["BertModel"], "pad_token_id": 0, **source.config}
    arrays = source.load_weights()
    if encoder == "base":
        config |= {
            "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072,
        }  # fmt: skip
        arrays = random_weights(config)
    folder.mkdir(parents=True, exist_ok=True)
    save_file({key: np.ascontiguousarray(value) for key, value in arrays.items()}, folder / "model.safetensors", {"format": "pt"})  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "vocab.txt").write_bytes(Path(source.vocab_path).read_bytes())
    (folder / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True, "tokenizer_class": "BertTokenizer"}))  # fmt: skip
    return config


def random_weights(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Return weights of a configuration's shapes, as a new BERT has them."""
    from hierdoc.encoders.bert import BertEncoder

    return BertEncoder(config).arrays()


def flops_of(length: int, config: dict[str, Any]) -> float:
    """Return the floating-point operations of one chunk's matrix products, of which the last layer has [CLS] alone.

    Per token and layer: query, key, value and output projections 8 D², the feed-forward 4 D F, scores and context 4 T D. The last
    layer: key and value of every token 4 D² a token, and for [CLS] alone 4 D² + 4 D F + 4 T D.
    """
    dim, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    whole = length * (8 * dim**2 + 4 * dim * inner + 4 * length * dim)
    last = length * 4 * dim**2 + 4 * dim**2 + 4 * dim * inner + 4 * length * dim
    return (layers - 1) * whole + last


def run(command: list[Any]) -> dict[str, Any]:
    """Run one contestant and return what it says in its last line."""
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": str(THREADS),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure in turns and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="holds 20ng/ and movie_reviews/")
    parser.add_argument("--encoder", choices=sorted(NUM_CHUNKS), default="minilm")
    parser.add_argument("--work", type=Path, default=Path("build/speed"), metavar="DIR")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--chunks", type=int, help="in each set (default: 640, of BERT-base 96)")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    of_peers = peers_python(work)
    weights, chunks = work / arguments.encoder, work / f"chunks-{arguments.encoder}.npz"
    num_chunks = arguments.chunks or NUM_CHUNKS[arguments.encoder]
    lengths = write_chunks(chunks, arguments.data, num_chunks)
    config = write_weights(weights, arguments.encoder)
    commands = {
        **{name: [sys.executable, HERE / "ours.py", *how] for name, how in OURS.items()},
        **{name: [of_peers, HERE / "peers.py", *how] for name, how in PEERS.items()},
    }
    run([sys.executable, HERE / "ours.py", "quantize", "", weights, chunks, THREADS])
    rounds: list[dict[str, Any]] = []
    ceilings: list[dict[str, float]] = []
    for _ in range(arguments.rounds):
        ceilings.append(run([sys.executable, HERE / "ours.py", "ceiling", "", weights, chunks, THREADS]))
        found = {}
        for name, command in commands.items():
            started = time.perf_counter()
            found[name] = run([*command, weights, chunks, THREADS])
            print(f"{name}: {found[name]['chunks_per_second']}, {time.perf_counter() - started:.0f} s", file=sys.stderr)
        rounds.append(found)
    result = {
        "encoder": arguments.encoder, "threads": THREADS, "machine": {"cores": os.cpu_count()}, **versions_and_commit(),
        "command": f"python experiments/030-speed/encode.py --data DATA --encoder {arguments.encoder} --chunks {num_chunks} --rounds {arguments.rounds}",
        "chunks": {name: {"num": len(found), "mean_tokens": round(statistics.mean(found), 1)} for name, found in lengths.items()},
        "ceiling_gflops": {key: round(statistics.median(each[key] for each in ceilings)) for key in ceilings[0]},
        "gflop_of_a_full_chunk": round(flops_of(CHUNK_SIZE, config) / 1e9, 3),
        "cases": {name: summarised(name, rounds, lengths, config, ceilings) for name in commands},
        "rounds": rounds, "ceilings": ceilings,
    }  # fmt: skip
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def summarised(
    name: str,
    rounds: list[dict[str, Any]],
    lengths: dict[str, list[int]],
    config: dict[str, Any],
    ceilings: list[dict[str, float]],
) -> dict[str, Any]:
    """Return a contestant's row of the table: medians over rounds; ratios are taken within a round."""
    first = rounds[0][name]
    row: dict[str, Any] = {"precision": first["precision"]}
    for of in lengths:
        values = [each[name]["chunks_per_second"][of] for each in rounds]
        row[f"{of}, chunks/s"] = round(statistics.median(values), 1)
        row[f"{of}, spread"] = f"{min(values):.1f}-{max(values):.1f}"
        ratios = [each[name]["chunks_per_second"][of] / each[DEFAULT_PEER]["chunks_per_second"][of] for each in rounds]
        row[f"{of}, times the default peer"] = round(statistics.median(ratios), 2)
        ratios = [each[name]["chunks_per_second"][of] / each[BEST_PEER]["chunks_per_second"][of] for each in rounds]
        row[f"{of}, times the best peer"] = round(statistics.median(ratios), 2)
    if first["precision"] in ceilings[0]:
        work = flops_of(CHUNK_SIZE, config) / 1e9
        shares = [
            each[name]["chunks_per_second"]["full"] * work / of[first["precision"]]
            for each, of in zip(rounds, ceilings, strict=True)
        ]
        row["share of the ceiling, full"] = round(statistics.median(shares), 2)
    for key in ("first_vector_seconds", "peak_mib"):
        row[key.replace("_", " ")] = round(statistics.median(each[name][key] for each in rounds), 1)
    row["worst cosine"] = round(first["worst_cosine"], 5)
    return row


if __name__ == "__main__":
    main()
