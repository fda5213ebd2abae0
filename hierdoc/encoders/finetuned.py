"""A fine-tuned encoder as it lies in RUN/finetune."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hierdoc.encoders import ENCODERS
from hierdoc.stages.weights import load_weights


def load_config(folder: Path) -> dict[str, Any]:
    """Return finetune's config.json: `encoder`, `labels`, `columns`, and chunk's arguments from `chunk_size` on."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def load_encoder(folder: Path) -> Any:
    """Return the encoder with its fine-tuned weights.

    Raises:
        HierdocError: weights are missing or can't be read.
    """
    config = load_config(folder)["encoder"]
    encoder = ENCODERS[config["name"]](config)
    path = folder / "encoder.safetensors"
    encoder.assign(load_weights(path), str(path))
    return encoder
