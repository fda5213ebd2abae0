"""A fine-tuned encoder as it lies in RUN/finetune."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders.weight_names import names_of
from hierdoc.errors import HierdocError
from hierdoc.stages.weights import load_weights


def load_config(folder: Path) -> dict[str, Any]:
    """Return finetune's config.json: `encoder`, `labels`, `columns`, and chunk's arguments from `chunk_size` on."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def load_encoder(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the encoder's configuration, with its `name`, and its fine-tuned weights by Hugging Face's names, float32.

    Raises:
        HierdocError: weights are missing or can't be read.
    """
    config, path = load_config(folder)["encoder"], folder / "encoder.safetensors"
    arrays = load_weights(path)
    for _, name, *_ in names_of(config):
        if name not in arrays:
            raise HierdocError(f"{path}: weight {name!r} is missing")
    return config, arrays
