"""ONNX Runtime runs graphs, in float32 only."""

from __future__ import annotations

import os

import numpy as np

from hierdoc.engines.graph_engine import Run


def compile_graph(graph: bytes, precision: str) -> tuple[Run, int]:
    """As `hierdoc.engines.openvino.compile_graph`; the precision must be float32."""
    assert precision == "float32", precision
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(**inputs: np.ndarray) -> np.ndarray:
        return session.run(None, inputs)[0]

    return run, len(os.sched_getaffinity(0))
