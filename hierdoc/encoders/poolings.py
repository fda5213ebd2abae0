"""How an encoder's last layers become the one vector of a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hierdoc.errors import HierdocError

POOLINGS = ("cls", "mean", "max", "last4", "pooler")
TOKENS = "tokens"  # no pooling: a vector for each token
READS_ALL = ("mean", "max", TOKENS)  # these read every token of the last layer, the others [CLS] alone
LAST = 4  # layers whose [CLS] are put side by side (Devlin et al. 2019, section 5.3)


def pooling_of(config: Mapping[str, Any]) -> str:
    """Return the pooling that an encoder's configuration names; without one it is [CLS].

    Raises:
        HierdocError: there is none of that name.
    """
    pooling = config.get("pooling", "cls")
    if pooling not in (*POOLINGS, TOKENS):
        raise HierdocError(f"the encoder's pooling must be one of {', '.join(POOLINGS)}, but is {pooling!r} instead")
    return pooling


def last_layers(config: Mapping[str, Any]) -> int:
    """Return of how many layers "last4" takes [CLS]: of 4, or of all where there are fewer."""
    return min(LAST, config["num_hidden_layers"])


def vector_size(config: Mapping[str, Any]) -> int:
    """Return how many numbers a chunk's vector has."""
    return config["hidden_size"] * (last_layers(config) if pooling_of(config) == "last4" else 1)


def check_pooling(config: Mapping[str, Any], trainable_layers: int | None) -> None:
    """Check that the layers before the last `trainable_layers` leave all that the pooling reads.

    Raises:
        HierdocError: they do not.
    """
    if pooling_of(config) == "last4" and trainable_layers is not None and trainable_layers < last_layers(config) - 1:
        raise HierdocError(
            f"`pooling` last4 reads the last {last_layers(config)} layers: `trainable_layers` must be at least "
            f"{last_layers(config) - 1} with it, but is {trainable_layers} instead"
        )
