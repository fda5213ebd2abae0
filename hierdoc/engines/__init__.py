"""The engines by name: each is a function that returns an `Engine` (see `hierdoc.engines.encoding`).

Its arguments: the encoder's configuration with its `name`, its weights by Hugging Face's names (float32), "float32" or
"bfloat16", and the longest chunk in tokens.
"""

import functools
import importlib.util

from hierdoc.engines import onnxruntime, openvino, tensorflow
from hierdoc.engines.graph_engine import load_graph_engine
from hierdoc.engines.precision import PRECISIONS, resolve_precision
from hierdoc.errors import HierdocError

RUNTIMES = {"openvino": openvino.compile_graph, "onnxruntime": onnxruntime.compile_graph}  # of ONNX graphs
ENGINES = {name: functools.partial(load_graph_engine, compile_graph) for name, compile_graph in RUNTIMES.items()} | {
    "tensorflow": tensorflow.load_engine
}


def resolve_engine(engine: str, precision: str) -> tuple[str, str]:
    """Return the names of the engine and the precision in use; "auto" is the fastest that is to be had.

    That is OpenVINO, or TensorFlow where it is not installed, in bfloat16 where the CPU has it; ONNX Runtime has float32 only.

    Raises:
        HierdocError: another name; a package that is not installed; a precision that the CPU or the engine lacks.
    """
    if engine not in ("auto", *ENGINES):
        raise HierdocError(f"`engine` must be one of auto, {', '.join(ENGINES)}, but is {engine!r} instead")
    if engine == "auto":
        engine = "openvino" if is_installed("openvino") else "tensorflow"
    if not is_installed(engine):
        raise HierdocError(f"`engine` {engine} needs the package {engine}, which is not installed; use auto")
    if precision not in (*PRECISIONS, "int8"):
        known = ", ".join((*PRECISIONS, "int8"))
        raise HierdocError(f"`precision` must be one of {known}, but is {precision!r} instead")
    if precision == "int8":
        if engine != "openvino":
            raise HierdocError(f"`precision` int8 is not to be had with `engine` {engine}; use openvino")
        if not is_installed("nncf"):
            raise HierdocError("`precision` int8 needs the package nncf, which is not installed; pip install nncf")
        return engine, precision
    if engine == "onnxruntime" and precision == "auto":
        precision = "float32"
    if engine == "onnxruntime" and precision == "bfloat16":
        raise HierdocError("`precision` bfloat16 is not to be had with `engine` onnxruntime; use float32")
    return engine, resolve_precision(precision)


def why(asked_engine: str, asked_precision: str, engine: str, precision: str) -> str:
    """Return a sentence's part that says which engine and precision are in use (see `resolve_engine`), and why."""
    of_engine, of_precision = "asked for", "asked for"
    if asked_engine == "auto":
        of_engine = "the fastest" if engine == "openvino" else "openvino, which is faster, is not installed"
    if asked_precision != precision:  # auto, or int8 that lost too much
        of_precision = "this CPU has it" if precision == "bfloat16" else "this CPU has no bfloat16"
        of_precision = "all that this engine has" if engine == "onnxruntime" else of_precision
    return f"by {engine} ({of_engine}) in {precision} ({of_precision})"


def is_installed(engine: str) -> bool:
    """Return whether an engine's package is."""
    return importlib.util.find_spec(engine) is not None
