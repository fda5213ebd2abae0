"""The encoder in 8-bit integers: quantized after training by NNCF, calibrated on training chunks, and only if it answers as well."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.engines.encoding import Engine, encode_chunks
from hierdoc.engines.graph_engine import engine_of
from hierdoc.engines.openvino import compile_graph, core, import_silenced, load_openvino
from hierdoc.graphs import DELICATE_NODES, ENCODER_GRAPHS
from hierdoc.stages.files import PARTIAL

FILES = ("int8.bin", "int8.xml")  # OpenVINO's; the second is written last
CALIBRATION_CHUNKS = 1000
SMOOTHING = 0.85  # how much of the activations' range is moved into the weights; NNCF's own is 0.95
MOST_LOST = 0.003  # of the chunks' accuracy on dev, before bfloat16 or float32 is taken instead


@dataclass(frozen=True)
class Comparison:
    """What int8 says of dev's chunks beside float32.

    Attributes:
        accuracy, float32_accuracy: the share of chunks whose class, or whose labels, are named.
        disagreement: the share of chunks that are called otherwise.
    """

    accuracy: float
    float32_accuracy: float
    disagreement: float

    @property
    def is_good(self) -> bool:
        return self.accuracy >= self.float32_accuracy - MOST_LOST


def load_nncf() -> Any:
    """Return the `nncf` module; see `hierdoc.engines.openvino.import_silenced`."""
    load_openvino()
    return import_silenced("nncf")


def quantize(
    config: Mapping[str, Any], arrays: Mapping[str, np.ndarray], rows: Sequence[np.ndarray], folder: Path
) -> None:
    """Write an encoder's graph with 8-bit matrix products into `folder`, as `FILES`, unless it is there.

    Post-training quantization with smoothing (Xiao et al. 2023) as NNCF does it for transformers, but for the nodes that are
    better left out, and less smoothing; experiments/030-speed/int8_settings.py measures what both bring.

    Args:
        config: the encoder's, with its `name`.
        arrays: its weights by Hugging Face's names, float32.
        rows: int32 (T_n,) each: the chunks whose activations decide the scales.
        folder: where to.
    """
    if (folder / FILES[-1]).exists():
        return
    nncf, openvino = load_nncf(), load_openvino()
    from nncf.quantization import advanced_parameters as advanced

    inputs = [{"token_ids": row[None], "mask": np.ones((1, len(row)), bool)} for row in rows]
    nncf.set_log_level("ERROR")
    with contextlib.redirect_stdout(io.StringIO()):  # its bars
        quantized = nncf.quantize(
            core().read_model(ENCODER_GRAPHS[config["name"]](config, arrays)),
            nncf.Dataset(inputs),
            subset_size=len(inputs),
            model_type=nncf.ModelType.TRANSFORMER,
            ignored_scope=nncf.IgnoredScope(patterns=DELICATE_NODES[config["name"]](config)),
            advanced_parameters=advanced.AdvancedQuantizationParameters(
                smooth_quant_alphas=advanced.AdvancedSmoothQuantParameters(matmul=SMOOTHING)
            ),
        )
    partial = folder / f"int8{PARTIAL}.xml"
    openvino.save_model(quantized, partial, compress_to_fp16=False)
    partial.with_suffix(".bin").rename(folder / FILES[0])
    partial.rename(folder / FILES[1])


def load_int8_engine(folder: Path, dim: int, chunk_size: int) -> Engine:
    """Return the engine of the graph that `quantize` wrote into `folder`; see `hierdoc.engines.ENGINES`."""
    return engine_of(*compile_graph(folder / FILES[-1], "int8", chunk_size), dim, chunk_size)


def drawn(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the chunks to calibrate on: some of `rows`, at even distances."""
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), CALIBRATION_CHUNKS)).round().astype(int))
    return [rows[place] for place in places.tolist()]


def compare(
    engine: Engine,
    float32: Engine,
    rows: Sequence[np.ndarray],
    label_ids: np.ndarray,
    answer: Callable[[np.ndarray], np.ndarray],
    progress: Any = None,
) -> Comparison:
    """Return how an int8 engine answers beside the float32 engine of the same encoder.

    Args:
        rows: dev's chunks.
        label_ids: int (N,), theirs; -1 for a class that train never saw; or of any number of labels bool (N, C).
        answer: vectors (N, D) to label ids of the same shape: the chunk head.
        progress: told how many chunks are done, twice each.
    """
    found, wanted = (answer(encode_chunks(of, rows, progress)) for of in (engine, float32))
    return Comparison(_share_alike(found, label_ids), _share_alike(wanted, label_ids), 1 - _share_alike(found, wanted))


def _share_alike(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of rows that are the same in both."""
    return float((one == other).reshape(len(one), -1).all(axis=1).mean())
