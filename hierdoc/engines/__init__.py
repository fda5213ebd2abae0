"""The engines by name: each is a function that returns an `Engine` (see `hierdoc.engines.encoding`).

Its arguments: the encoder's configuration with its `name`, its weights by Hugging Face's names (float32), "float32" or
"bfloat16", and the longest chunk in tokens.
"""

import importlib.util

from hierdoc.engines import openvino, tensorflow
from hierdoc.errors import HierdocError

ENGINES = {"openvino": openvino.load_engine, "tensorflow": tensorflow.load_engine}  # fastest first


def resolve_engine(engine: str) -> str:
    """Return the name of the engine in use; "auto" is the fastest that is installed.

    Raises:
        HierdocError: another name, or an engine whose package is not installed.
    """
    if engine not in ("auto", *ENGINES):
        raise HierdocError(f"`engine` must be one of auto, {', '.join(ENGINES)}, but is {engine!r} instead")
    if engine == "auto":
        return next(name for name in ENGINES if _is_installed(name))
    if not _is_installed(engine):
        raise HierdocError(f"`engine` {engine} needs the package {engine}, which is not installed; use auto")
    return engine


def _is_installed(engine: str) -> bool:
    return importlib.util.find_spec(engine) is not None
