"""What a process costs that starts TensorFlow, with and without searches for garbage among its objects.

    python experiments/benchmarks/starting.py experiments/benchmarks/starting.json

CPU-seconds; every case is a process of its own, and they take turns. "trace" is the first step of training a 12-layer encoder of hidden size 8,
and "the rest" the start and the end of Python.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from hierdoc.encoders import compat
from hierdoc.stages.provenance import versions_and_commit

ROUNDS = 5
CASES = {"as hierdoc does it": True, "with searches for garbage": False}
CONFIG = {
    "vocab_size": 19, "hidden_size": 8, "num_hidden_layers": 12, "num_attention_heads": 2, "intermediate_size": 16, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1, "max_position_embeddings": 32, "type_vocab_size": 2,
    "initializer_range": 0.02, "layer_norm_eps": 1e-12,
}  # fmt: skip


def start(as_it_is: bool) -> dict[str, float]:
    """Import TensorFlow and bert-for-tf2 and trace a step; return the CPU-seconds of each."""
    if not as_it_is:
        compat._no_garbage_sought = contextlib.nullcontext
    started = time.process_time()
    compat.load_bert()
    imported = time.process_time()
    from hierdoc.encoders.bert import BertEncoder

    tf = compat.load_tensorflow()
    encoder = BertEncoder(CONFIG)

    @tf.function
    def step(token_ids: object, mask: object) -> object:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(encoder(token_ids, mask, tf.constant([0, 0], tf.int64)) ** 2)
        return tape.gradient(loss, encoder.trainable())

    built = time.process_time()
    step(tf.constant(np.full((2, 9), 5, np.int32)), tf.constant(np.ones((2, 9), bool)))
    return {"import": imported - started, "trace": time.process_time() - built}


def _seconds_of_children() -> float:
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        print(json.dumps(start(CASES[arguments.case])))
        return
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in CASES}
    for _ in range(ROUNDS):
        for name in CASES:
            words = [sys.executable, __file__, str(arguments.out), "--case", name]
            before = _seconds_of_children()
            found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
            whole = _seconds_of_children() - before
            seen[name].append({**found, "the rest": whole - sum(found.values()), "whole": whole})
    cases = {
        name: {f"{part}, CPU-seconds": round(statistics.median(each[part] for each in found), 2) for part in found[0]}
        for name, found in seen.items()
    }
    result = {"machine": {"cores": os.cpu_count()}, **versions_and_commit(), "cases": cases}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
