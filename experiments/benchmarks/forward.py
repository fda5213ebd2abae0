"""Where an encoding goes: the time of each kind of node in OpenVINO's graph, and what a graph made for one length gains.

    python experiments/benchmarks/forward.py experiments/benchmarks/forward.json

MiniLM, four chunks of 200 tokens at a time, on one core, in bfloat16 where the CPU has it. "any length" is the graph that takes
every length, "full chunks" the one that is made for 200 tokens (hierdoc/engines/openvino.py); they take turns. The
shares are by OpenVINO's own counters. The gigaflops are of the matrix products alone: of dense layers, and of attention.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders.pretrained import find_encoder
from hierdoc.engines.openvino import core, load_openvino
from hierdoc.engines.precision import resolve_precision
from hierdoc.graphs.bert import bert_graph
from hierdoc.stages.provenance import versions_and_commit

ROUNDS, WARM_UP, CHUNKS, LENGTH = 40, 5, 4, 200
KINDS = {
    "FullyConnected": "dense layers",
    "Subgraph": "attention",
}  # and the rest: embeddings, normalisation, reordering


def compile_for(graph: bytes, precision: str, length: int | None, counted: bool) -> Any:
    """Return a request of the graph for inputs of one length, or of any."""
    openvino = load_openvino()
    model = core().read_model(graph)
    if length is not None:
        model.reshape({name: [-1, length] for name in ("token_ids", "mask")})
    kind = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}[precision]
    settings = {"INFERENCE_PRECISION_HINT": kind, "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": 1, "PERF_COUNT": counted}
    return core().compile_model(model, "CPU", settings).create_infer_request()


def gflop_of(config: dict[str, Any]) -> dict[str, float]:
    """Return the GFLOP of one chunk's matrix products by kind; the last layer is of [CLS] alone."""
    dim, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    dense = (layers - 1) * LENGTH * (8 * dim**2 + 4 * dim * inner) + LENGTH * 4 * dim**2 + 4 * dim**2 + 4 * dim * inner
    attention = (layers - 1) * 4 * LENGTH**2 * dim + 4 * LENGTH * dim
    return {"dense layers": dense / 1e9, "attention": attention / 1e9}


def main() -> None:
    """Measure in turns and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    source, precision = find_encoder("minilm"), resolve_precision("auto")
    graph = bert_graph(source.config, source.load_weights())
    ids = np.random.default_rng(0).integers(1000, source.config["vocab_size"], (CHUNKS, LENGTH)).astype(np.int32)
    inputs = {"token_ids": ids, "mask": np.ones(ids.shape, bool)}
    lengths = {"any length": None, "full chunks": LENGTH}
    plain = {name: compile_for(graph, precision, length, False) for name, length in lengths.items()}
    counted = {name: compile_for(graph, precision, length, True) for name, length in lengths.items()}
    seconds = collections.defaultdict(list)
    by_kind = {name: collections.Counter() for name in lengths}
    for number in range(ROUNDS):
        for name in lengths:
            started = time.perf_counter()
            plain[name].infer(inputs)
            seconds[name].append(time.perf_counter() - started)
            counted[name].infer(inputs)
            if number >= WARM_UP:
                for node in counted[name].profiling_info:
                    by_kind[name][KINDS.get(node.node_type, "the rest")] += node.real_time.total_seconds()
    cases = {}
    for name in lengths:
        took = statistics.median(seconds[name][WARM_UP:])
        share = {kind: found / by_kind[name].total() for kind, found in by_kind[name].items()}
        cases[name] = {"chunks a second": round(CHUNKS / took, 1)}
        for kind, gflop in gflop_of(source.config).items():
            cases[name][f"{kind}, share of the time"] = round(share[kind], 3)
            cases[name][f"{kind}, GFLOP/s"] = round(CHUNKS * gflop / (took * share[kind]))
        cases[name]["the rest, share of the time"] = round(share["the rest"], 3)
    result = {"precision": precision, "machine": {"cores_used": 1}, **versions_and_commit(), "cases": cases}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
