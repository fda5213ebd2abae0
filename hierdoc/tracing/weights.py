"""What became of a model's weights, and what changed them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

_NUMBERS_AT_ONCE = 1 << 20  # as float64


def describe_weights(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return trace.json's `weights` of arrays by name; one that is missing before has no numbers of then."""
    return [_describe(name, before.get(name), value) for name, value in after.items()]


def _describe(name: str, before: np.ndarray | None, after: np.ndarray) -> dict[str, Any]:
    if before is not None and before.shape != after.shape:
        before = None
    return {
        "name": name,
        "size": int(after.size),
        "norm_before": None if before is None else _norm(before),
        "norm_after": _norm(after),
        "norm_of_change": None if before is None else _norm(after, before),
        "is_constant_before": None
        if before is None
        else bool((before == before.flat[0]).all())
        if before.size
        else True,
    }


def _norm(array: np.ndarray, other: np.ndarray | None = None) -> float:
    flat, total = array.reshape(-1), 0.0
    for at in range(0, flat.size, _NUMBERS_AT_ONCE):
        part = flat[at : at + _NUMBERS_AT_ONCE].astype(np.float64)
        if other is not None:
            part -= other.reshape(-1)[at : at + _NUMBERS_AT_ONCE]
        total += float(np.square(part).sum())
    return float(np.sqrt(total))


def trained_arrays(model: Any) -> dict[str, np.ndarray] | None:
    """Return copies of a Keras model's trained weights by name; None while it has none because it is not built."""
    if not getattr(model, "built", True):
        return None
    arrays: dict[str, np.ndarray] = {}
    for weight in model.trainable_weights:
        name = getattr(weight, "path", None) or weight.name.removesuffix(":0")
        again = sum(known.partition(" (")[0] == name for known in arrays)  # Keras lets two have one name
        arrays[f"{name} ({again + 1})" if again else name] = np.asarray(weight).copy()
    return arrays


def describe_optimizer(optimizer: Any) -> dict[str, Any] | None:
    """Return trace.json's `optimizer` of a Keras optimizer."""
    if optimizer is None:
        return None
    try:
        parameters = dict(optimizer.get_config())
    except NotImplementedError:  # one of someone's own
        parameters = {}
    return {"name": str(parameters.pop("name", type(optimizer).__name__)), "parameters": parameters}


def rate_now(optimizer: Any) -> float | None:
    """Return the learning rate of the step that a Keras optimizer takes next, or None where it has none.

    tf-keras 2.21 shows a schedule's rate of the step before, so the schedule itself is asked.
    """
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
    rate = getattr(optimizer, "_learning_rate", None)
    rate = getattr(optimizer, "learning_rate", None) if rate is None else rate
    if callable(rate):
        rate = rate(optimizer.iterations)
    return None if rate is None else float(np.asarray(rate))
