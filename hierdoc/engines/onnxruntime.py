"""ONNX Runtime runs graphs, in float32 only."""

from __future__ import annotations

import os

import numpy as np

from hierdoc.engines.graph_engine import Run
from hierdoc.errors import HierdocError


def compile_graph(graph: bytes, precision: str, full_length: int | None = None) -> tuple[Run, int]:
    """As `hierdoc.engines.openvino.compile_graph`; full chunks go through the one graph that there is.

    Raises:
        HierdocError: another precision than float32.
    """
    if precision != "float32":
        raise HierdocError(f"`engine` onnxruntime computes in float32 only, but is asked for {precision}")
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(**inputs: np.ndarray) -> np.ndarray:
        return session.run(None, inputs)[0]

    return run, len(os.sched_getaffinity(0))
