"""The names of a BERT's weights: bert-for-tf2's, Hugging Face's and Google's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hierdoc.encoders.poolings import pooling_of

# (bert-for-tf2's name, Hugging Face's name, Google's name, transposed in Hugging Face's files).
EMBEDDING_WEIGHTS = (
    ("word_embeddings/embeddings", "embeddings.word_embeddings.weight", "embeddings/word_embeddings", False),
    (
        "token_type_embeddings/embeddings",
        "embeddings.token_type_embeddings.weight",
        "embeddings/token_type_embeddings",
        False,
    ),
    (
        "position_embeddings/embeddings",
        "embeddings.position_embeddings.weight",
        "embeddings/position_embeddings",
        False,
    ),
    ("LayerNorm/gamma", "embeddings.LayerNorm.weight", "embeddings/LayerNorm/gamma", False),
    ("LayerNorm/beta", "embeddings.LayerNorm.bias", "embeddings/LayerNorm/beta", False),
)
LAYER_WEIGHTS = (
    ("attention/self/query/kernel", "attention.self.query.weight", "attention/self/query/kernel", True),
    ("attention/self/query/bias", "attention.self.query.bias", "attention/self/query/bias", False),
    ("attention/self/key/kernel", "attention.self.key.weight", "attention/self/key/kernel", True),
    ("attention/self/key/bias", "attention.self.key.bias", "attention/self/key/bias", False),
    ("attention/self/value/kernel", "attention.self.value.weight", "attention/self/value/kernel", True),
    ("attention/self/value/bias", "attention.self.value.bias", "attention/self/value/bias", False),
    ("attention/output/dense/kernel", "attention.output.dense.weight", "attention/output/dense/kernel", True),
    ("attention/output/dense/bias", "attention.output.dense.bias", "attention/output/dense/bias", False),
    (
        "attention/output/LayerNorm/gamma",
        "attention.output.LayerNorm.weight",
        "attention/output/LayerNorm/gamma",
        False,
    ),
    ("attention/output/LayerNorm/beta", "attention.output.LayerNorm.bias", "attention/output/LayerNorm/beta", False),
    ("intermediate/kernel", "intermediate.dense.weight", "intermediate/dense/kernel", True),
    ("intermediate/bias", "intermediate.dense.bias", "intermediate/dense/bias", False),
    ("output/dense/kernel", "output.dense.weight", "output/dense/kernel", True),
    ("output/dense/bias", "output.dense.bias", "output/dense/bias", False),
    ("output/LayerNorm/gamma", "output.LayerNorm.weight", "output/LayerNorm/gamma", False),
    ("output/LayerNorm/beta", "output.LayerNorm.bias", "output/LayerNorm/beta", False),
)


ADAPTER_WEIGHTS = tuple(
    (
        f"{place}/adapter-{way}/{ours}",
        f"{place.replace('/', '.')}.adapter_{way}.{hf}",
        f"{place}/adapter-{way}/{ours}",
        flip,
    )
    for place in ("attention/output", "output")
    for way in ("down", "up")
    for ours, hf, flip in (("kernel", "weight", True), ("bias", "bias", False))
)
POOLER_WEIGHTS = (
    ("pooler/kernel", "pooler.dense.weight", "pooler/dense/kernel", True),
    ("pooler/bias", "pooler.dense.bias", "pooler/dense/bias", False),
)


def weight_names(num_layers: int, pooler: bool = False, adapters: bool = False) -> list[tuple[str, str, str, bool]]:
    """Return (bert-for-tf2's, Hugging Face's, Google's name, transposed) of every weight of a BERT of `num_layers`.

    With `pooler` also of BERT's pooler, which bert-for-tf2 does not have and `BertEncoder` does; with `adapters` of bert-for-tf2's,
    whose names are our own elsewhere.
    """
    names = [(f"embeddings/{ours}", hf, google, flip) for ours, hf, google, flip in EMBEDDING_WEIGHTS]
    for layer in range(num_layers):
        names += [
            (f"encoder/layer_{layer}/{ours}", f"encoder.layer.{layer}.{hf}", f"encoder/layer_{layer}/{google}", flip)
            for ours, hf, google, flip in (*LAYER_WEIGHTS, *(ADAPTER_WEIGHTS if adapters else ()))
        ]
    return names + (list(POOLER_WEIGHTS) if pooler else [])


def names_of(config: Mapping[str, Any]) -> list[tuple[str, str, str, bool]]:
    """Return `weight_names` of an encoder's configuration."""
    return weight_names(config["num_hidden_layers"], pooling_of(config) == "pooler", "adapter_size" in config)
