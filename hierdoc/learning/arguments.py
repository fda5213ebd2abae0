"""What the arguments of trainings must be, and the one way to say that one is not."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from hierdoc.encoders.poolings import POOLINGS
from hierdoc.errors import HierdocError
from hierdoc.learning.schedules import DECAYS

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
OF_ENCODER: tuple[Range, ...] = (
    ("pooling", str, lambda name: name in POOLINGS, f"one of {', '.join(POOLINGS)}"),
    ("epochs", int, lambda number: number >= 0, "at least 0"),
    ("learning_rate", (int, float), lambda rate: 0 < rate < 1, "between 0 and 1"),
    ("layer_decay", (int, float), lambda share: 0 < share <= 1, "above 0 and at most 1"),
    ("chunks_per_document", int, lambda number: number >= 1, "at least 1"),
    ("trainable_layers", int, lambda number: number >= 0, "at least 0"),
    ("batch_size", int, lambda number: number >= 1, "at least 1"),
    ("gradient_accumulation", int, lambda number: number >= 1, "at least 1"),
    ("max_grad_norm", (int, float), lambda norm: 0 < norm < float("inf"), "above 0 and finite"),
    ("decay", str, lambda name: name in DECAYS, f"one of {', '.join(DECAYS)}"),
    ("warmup", (int, float), lambda share: 0 <= share < 1, "from 0 to below 1"),
    ("adapter_size", int, lambda number: number >= 1, "at least 1"),
    ("chunks_at_once", int, lambda number: number >= 1, "at least 1"),
    *OF_LOSS,
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
OF_STEPS = (  # what has no effect where no step is taken
    "learning_rate",
    "layer_decay",
    "freeze_embeddings",
    "trainable_layers",
    "adapter_size",
    "chunks_per_document",
    "batch_size",
    "gradient_accumulation",
    "max_grad_norm",
    "decay",
    "warmup",
    *(name for name in PLAIN_LOSS if name != "class_weight"),
)

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


def check_of_encoder(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Check the arguments of `finetune_encoder`, as far as they can be without the chunks and their encoder.

    Raises:
        HierdocError: one is out of range, has no effect, or is not to be had together with another.
    """
    check_ranges(given, defaults, OF_ENCODER)
    if given["epochs"] == 0 and (useless := [name for name in OF_STEPS if given[name] != defaults[name]]):
        raise HierdocError(
            f"`{useless[0]}` has no effect with `epochs` 0, which keeps the encoder as it is; leave it out"
        )
    _check_joint(given, defaults)
    if given["gradient_penalty"] and given["trainable_layers"] is not None:
        raise HierdocError("`gradient_penalty` needs the embeddings of tokens, which `trainable_layers` leaves alone")
    if given["trainable_layers"] is not None and given["freeze_embeddings"]:
        raise HierdocError("`freeze_embeddings` has no effect with `trainable_layers`, which leaves them alone, too")
    if given["trainable_layers"] == 0 and given["layer_decay"] != defaults["layer_decay"]:
        raise HierdocError("`layer_decay` has no effect with `trainable_layers` 0")
    if given["adapter_size"] is not None and given["trainable_layers"] == 0:
        raise HierdocError("`adapter_size` has no effect with `trainable_layers` 0")


def _check_joint(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> None:
    """Check that what is given goes together with joint training, or is not of it."""
    if given["joint"] is None:
        if useless := [name for name in ("joint_head", "chunks_at_once") if given[name] != defaults[name]]:
            raise HierdocError(f"`{useless[0]}` has no effect without `joint`")
    elif unfollowed := [name for name in NOT_JOINT if given[name] != defaults[name]]:
        raise HierdocError(f"`{unfollowed[0]}` is not to be had together with `joint`")
    else:
        for name in ("epochs", "trainable_layers"):
            if given[name] == 0:
                raise HierdocError(f"`joint` needs `{name}` of at least 1")
