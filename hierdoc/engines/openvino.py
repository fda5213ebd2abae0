"""OpenVINO runs graphs: on CPUs, the fastest that was measured (experiments/benchmarks)."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from hierdoc.engines.graph_engine import Run
from hierdoc.engines.precision import cpu_has_bfloat16


def import_silenced(name: str) -> ModuleType:
    """Return a module of OpenVINO's that has found no openvino_telemetry: a stub stands in, and nothing is sent."""
    if name in sys.modules:
        return sys.modules[name]
    displaced = sys.modules.get("openvino_telemetry")
    sys.modules["openvino_telemetry"] = None  # an import of it fails, and openvino 2026.4 and nncf 3.4 go on without
    try:
        return importlib.import_module(name)
    finally:
        del sys.modules["openvino_telemetry"]
        if displaced is not None:
            sys.modules["openvino_telemetry"] = displaced


def load_openvino() -> ModuleType:
    """Return the `openvino` module; see `import_silenced`."""
    return import_silenced("openvino")


@functools.cache
def core() -> Any:
    """Return this process's one `openvino.Core`.

    With two, OpenVINO 2026.4 crashes at the next signal: each gives the thread another stack for signals, and the second to be
    removed puts back that of the first, which is gone. And the first look at a tensor's data must not be had by two threads
    at once, who can wait for each other forever: it is taken here.
    """
    openvino = load_openvino()
    openvino.Tensor(openvino.Type.f32, [1]).data[:] = 0
    return openvino.Core()


def compile_graph(graph: bytes | Path, precision: str, full_length: int | None = None) -> tuple[Run, int]:
    """Return a function of the graph's inputs by name that returns its output, and how many threads may call it at once.

    The graph is ONNX or, by its path, OpenVINO's own; in "int8" what it does not quantize is in bfloat16 where the CPU has it.
    Each call runs on one core, so that a call's numbers do not depend on how many there are.

    Args:
        full_length: inputs (N, T) of just this T go through a graph of its own, whose kernels are made for that T; most chunks
            are full, and OpenVINO 2026.4's attention is 1.7 times as fast so (experiments/benchmarks/forward.py).
    """
    openvino = load_openvino()
    workers = len(os.sched_getaffinity(0))
    rest = {"int8": "bfloat16" if cpu_has_bfloat16() else "float32"}.get(precision, precision)
    kind = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}[rest]
    settings = {
        "INFERENCE_PRECISION_HINT": kind,
        "NUM_STREAMS": workers,
        "INFERENCE_NUM_THREADS": workers,
        "CPU_RUNTIME_CACHE_CAPACITY": 128,  # of kernels for one shape each; with its default, memory grows with the shapes met
        "ENABLE_CPU_PINNING": False,  # what else runs on this machine is not known
    }
    model = core().read_model(graph)
    compiled = {None: core().compile_model(model, "CPU", settings)}
    if full_length is not None:
        model.reshape({name: [-1, full_length] for name in ("token_ids", "mask")})
        compiled[full_length] = core().compile_model(model, "CPU", settings)
    of_thread = threading.local()

    def run(**inputs: np.ndarray) -> np.ndarray:
        length = next(iter(inputs.values())).shape[1]
        key = length if length in compiled else None
        if not hasattr(of_thread, "requests"):
            of_thread.requests = {}
        if key not in of_thread.requests:
            of_thread.requests[key] = compiled[key].create_infer_request()
        return of_thread.requests[key].infer(inputs)[0].copy()

    return run, workers
