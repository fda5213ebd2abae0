"""A fine-tuned encoder as it lies in RUN/finetune."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders.weight_names import names_of
from hierdoc.errors import HierdocError
from hierdoc.stages.files import write_json
from hierdoc.stages.weights import load_weights, save_weights

CONFIG, WEIGHTS, CHUNK_HEAD = "config.json", "encoder.safetensors", "chunk_head.safetensors"


def save_finetuned(
    folder: Path,
    config: dict[str, Any],
    arrays: Mapping[str, np.ndarray],
    chunk_head: Mapping[str, np.ndarray],
    about: dict[str, Any],
) -> None:
    """Write what `load_config`, `load_encoder` and `load_chunk_head` read.

    Args:
        folder: of the stage.
        config, arrays: the encoder's, its weights by Hugging Face's names.
        chunk_head: kernel and bias.
        about: what else a predictor has to know: see `load_config`.
    """
    save_weights(folder / WEIGHTS, arrays)
    save_weights(folder / CHUNK_HEAD, chunk_head)
    write_json(folder / CONFIG, {"encoder": {"name": "bert", **config}, **about})


def load_config(folder: Path) -> dict[str, Any]:
    """Return finetune's config.json.

    It holds `encoder`, `labels`, `multi_label`, `label_separator` (None of classes; older runs have neither), `columns`, and chunk's
    arguments from `chunk_size` on.
    """
    return json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def load_chunk_head(folder: Path) -> dict[str, np.ndarray]:
    """Return the chunk softmax's `kernel`, float32 (D, C), and `bias`, (C,)."""
    return load_weights(folder / CHUNK_HEAD)


def load_encoder(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the encoder's configuration, with its `name`, and its fine-tuned weights by Hugging Face's names, float32.

    Raises:
        HierdocError: weights are missing or can't be read.
    """
    config, path = load_config(folder)["encoder"], folder / WEIGHTS
    arrays = load_weights(path)
    for _, name, *_ in names_of(config):
        if name not in arrays:
            raise HierdocError(f"{path}: weight {name!r} is missing")
    return config, arrays
