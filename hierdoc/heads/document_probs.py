"""A trained head over documents: vectors in, class probabilities out; and how a head is saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.errors import HierdocError
from hierdoc.heads import HEADS
from hierdoc.objectives.classification import softmax
from hierdoc.sequences.batches import batches_in_order
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.stages.files import write_json
from hierdoc.stages.weights import load_weights, save_weights

Logits = Callable[[np.ndarray, np.ndarray], np.ndarray]


def compile_logits(model: Any) -> Logits:
    """Return a function of vectors float32 (B, S, D) and mask bool (B, S) that returns the head's logits, float32 (B, C).

    It computes with the model's weights as they are at each call.
    """
    tf = compat.load_tensorflow()
    graph = tf.function(model, autograph=False, reduce_retracing=True)
    return lambda vectors, mask: graph([tf.constant(vectors), tf.constant(mask)], training=False).numpy()


def compile_head(
    model: Any, num_classes: int, logits_of: Logits | None = None
) -> Callable[[DocumentVectors], np.ndarray]:
    """Return a function of B documents that returns the head's probabilities, float32 (B, C), in their order.

    It computes by `logits_of`, as `compile_logits` makes it of `model`. A document's own length decides of how many rows
    its batch is, so that its probabilities are the same bits in any company.
    """
    logits_of = logits_of or compile_logits(model)

    def document_probs(documents: DocumentVectors) -> np.ndarray:
        probs = np.empty((len(documents), num_classes), np.float32)
        for batch in batches_in_order(documents):
            logits = logits_of(batch.vectors, batch.mask)
            probs[batch.members] = softmax(logits[: len(batch.members)].astype(np.float64)).astype(np.float32)
        return probs

    return document_probs


def save_head(folder: Path, model: Any, config: dict[str, Any]) -> None:
    """Write weights.safetensors and config.json (`head`, `dim`, `labels`, `encoder_fingerprint`, `encoding`) into `folder`."""
    save_weights(folder / "weights.safetensors", {_name(variable): variable.numpy() for variable in model.variables})
    write_json(folder / "config.json", config)


def load_head(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return (the model, its config) that `save_head` wrote into `folder`.

    Raises:
        HierdocError: the head's name is unknown here, or its weights do not fit.
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config["head"] not in HEADS:
        raise HierdocError(
            f"{folder}: head must be one of {', '.join(sorted(HEADS))}, but is {config['head']!r} instead"
        )
    model = HEADS[config["head"]](config["dim"], len(config["labels"]))
    arrays = load_weights(folder / "weights.safetensors")
    for variable in model.variables:
        value = arrays.get(_name(variable))
        if value is None or value.shape != tuple(variable.shape):
            raise HierdocError(
                f"{folder / 'weights.safetensors'}: weight {_name(variable)!r} is missing or of another shape"
            )
        variable.assign(value)
    return model, config


def _name(variable: Any) -> str:
    return variable.name.removesuffix(":0")
