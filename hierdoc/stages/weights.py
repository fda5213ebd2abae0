"""Weights in safetensors files."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.stages.files import atomic


def save_weights(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write named float32 arrays as safetensors, atomically, in order of their names."""
    from safetensors.numpy import save

    with atomic(path) as partial:
        partial.write_bytes(save({name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}))


def load_weights(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays that `save_weights` wrote.

    Raises:
        HierdocError: the file is missing or is not safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except (SafetensorError, FileNotFoundError) as error:
        raise HierdocError(f"{path}: can't be read as safetensors: {error}") from None
