"""What the arguments of trainings must be, and the one way to say that one is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hierdoc.errors import HierdocError

# Of arguments: what kind they are, and what they must be; None is what its default makes it.
Range = tuple[str, "type | tuple[type, ...]", "Callable[[Any], bool]", str]

CHUNKS_PER_STEP = 16  # unless another number is asked for
CLASS_WEIGHTS = ("none", "balanced")
OF_LOSS: tuple[Range, ...] = (
    ("class_weight", str, lambda name: name in CLASS_WEIGHTS, f"one of {', '.join(CLASS_WEIGHTS)}"),
    ("focal_gamma", (int, float), lambda gamma: 0 <= gamma <= 10, "from 0 to 10"),
    ("label_smoothing", (int, float), lambda share: 0 <= share < 1, "from 0 to below 1"),
    ("gradient_penalty", (int, float), lambda share: 0 <= share < float("inf"), "at least 0 and finite"),
    ("r_drop", (int, float), lambda share: 0 <= share < float("inf"), "at least 0 and finite"),
)
NOT_JOINT = (
    "batch_size",
    "class_weight",
    "gradient_penalty",
    "r_drop",
    "gradient_accumulation",
    "max_grad_norm",
    "adapter_size",
)
PLAIN_LOSS = {  # the cross-entropy alone
    "class_weight": "none",
    "focal_gamma": 0.0,
    "label_smoothing": 0.0,
    "gradient_penalty": 0.0,
    "r_drop": 0.0,
}

EARLIER = {  # what was done before there were these: history, so that no default of today stands here by its name
    "batch_size": 16,
    "adapter_size": None,
    "joint": None,
    "joint_head": None,
    "chunks_at_once": 16,
    "pooling": "cls",
    "layer_decay": 1.0,
    "decay": "linear",
    "warmup": 0.1,
    **PLAIN_LOSS,
}


def check_ranges(given: Mapping[str, Any], defaults: Mapping[str, Any], ranges: Sequence[Range]) -> None:
    """Check arguments.

    Raises:
        HierdocError: one is of another kind than it must be, or out of range.
    """
    for name, kind, is_in_range, wanted in ranges:
        value = given[name]
        if value is None and defaults[name] is None:
            continue
        if isinstance(value, bool) or not isinstance(value, kind) or not is_in_range(value):
            raise HierdocError(f"`{name}` must be {wanted}, but is {value!r} instead")
    for name, default in defaults.items():
        if isinstance(default, bool) and not isinstance(given[name], bool):
            raise HierdocError(f"`{name}` must be True or False, but is {given[name]!r} instead")
