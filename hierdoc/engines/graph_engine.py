"""An engine that is an ONNX graph in somebody's runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hierdoc.encoders.poolings import vector_size
from hierdoc.engines.encoding import Engine
from hierdoc.engines.token_batches import any_shape
from hierdoc.graphs import ENCODER_GRAPHS

Run = Callable[..., np.ndarray]  # of the graph's inputs by name; returns its output
Compile = Callable[
    [bytes, str, "int | None"], tuple[Run, int]
]  # of a graph, a precision and a full chunk's length; also returns how many threads may run it at once


def load_graph_engine(
    compile_graph: Compile, config: dict[str, Any], arrays: dict[str, np.ndarray], precision: str, chunk_size: int
) -> Engine:
    """Return the engine of an encoder with these weights, in the runtime that `compile_graph` stands for."""
    graph = ENCODER_GRAPHS[config["name"]](config, arrays)
    return engine_of(*compile_graph(graph, precision, chunk_size), vector_size(config), chunk_size)


def engine_of(run: Run, workers: int, dim: int, chunk_size: int) -> Engine:
    """Return the engine of a compiled encoder."""

    def encode(token_ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        return run(token_ids=token_ids, mask=mask)

    return Engine(encode, dim, any_shape(chunk_size), workers)
