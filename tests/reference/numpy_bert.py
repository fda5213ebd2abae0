"""BERT's forward pass (Devlin et al. 2019, section 3; Vaswani et al. 2017, section 3) in plain NumPy, in float64.

The oracle for the tiny encoders: one row of real tokens at a time, so there is neither padding nor a mask in it, and
nothing of hierdoc or TensorFlow is imported.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def weight_shapes(config: dict[str, Any]) -> dict[str, tuple[int, ...]]:
    """Every weight of a bare `BertModel`, by Hugging Face's name and in its orientation; the pooler's where that is asked for."""
    wide, inner = config["hidden_size"], config["intermediate_size"]
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], wide),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], wide),
        "embeddings.token_type_embeddings.weight": (config.get("type_vocab_size", 2), wide),
        "embeddings.LayerNorm.weight": (wide,),
        "embeddings.LayerNorm.bias": (wide,),
    }
    for layer in range(config["num_hidden_layers"]):
        for name, shape in {
            "attention.self.query": (wide, wide),
            "attention.self.key": (wide, wide),
            "attention.self.value": (wide, wide),
            "attention.output.dense": (wide, wide),
            "intermediate.dense": (inner, wide),
            "output.dense": (wide, inner),
        }.items():
            shapes[f"encoder.layer.{layer}.{name}.weight"] = shape
            shapes[f"encoder.layer.{layer}.{name}.bias"] = shape[:1]
        for name in ("attention.output.LayerNorm", "output.LayerNorm"):
            shapes[f"encoder.layer.{layer}.{name}.weight"] = (wide,)
            shapes[f"encoder.layer.{layer}.{name}.bias"] = (wide,)
    for layer in range(config["num_hidden_layers"] if "adapter_size" in config else 0):
        for place in ("attention.output", "output"):
            narrow = config["adapter_size"]
            for way, shape in (("down", (narrow, wide)), ("up", (wide, narrow))):
                shapes[f"encoder.layer.{layer}.{place}.adapter_{way}.weight"] = shape
                shapes[f"encoder.layer.{layer}.{place}.adapter_{way}.bias"] = shape[:1]
    if config.get("pooling") == "pooler":
        shapes |= {"pooler.dense.weight": (wide, wide), "pooler.dense.bias": (wide,)}
    return shapes


def random_arrays(config: dict[str, Any], seed: int) -> dict[str, np.ndarray]:
    """Weights as lively as trained ones: no zero bias, no LayerNorm of ones, attention that prefers some tokens."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for name, shape in weight_shapes(config).items():
        values = rng.normal(0, 0.5, shape)
        arrays[name] = (values + 1 if name.endswith("LayerNorm.weight") else values).astype(np.float32)
    return arrays


def gelu(x: np.ndarray) -> np.ndarray:
    """x times the normal distribution function (Hendrycks and Gimpel 2016)."""
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def gelu_tanh(x: np.ndarray) -> np.ndarray:
    """The tanh approximation of the same paper, which Google's BERT uses."""
    return x * 0.5 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS = {"gelu": gelu, "gelu_new": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh, "relu": lambda x: np.maximum(x, 0)}


def cls_vector(config: dict[str, Any], arrays: dict[str, np.ndarray], token_ids: list[int]) -> np.ndarray:
    """The last layer's vector at the first token, float64 (hidden_size,); all tokens are of type 0."""
    return hidden_states(config, arrays, token_ids)[-1][0]


def pooled_vector(config: dict[str, Any], arrays: dict[str, np.ndarray], token_ids: list[int]) -> np.ndarray:
    """A chunk's vector by the pooling that the configuration names."""
    layers = hidden_states(config, arrays, token_ids)
    last = layers[-1]
    if config["pooling"] == "pooler":
        return np.tanh(arrays["pooler.dense.weight"].astype(float) @ last[0] + arrays["pooler.dense.bias"])
    if config["pooling"] == "last4":
        return np.concatenate([layer[0] for layer in layers[-4:]])
    return {"cls": last[0], "mean": last.mean(axis=0), "max": last.max(axis=0), "tokens": last}[config["pooling"]]


def hidden_states(config: dict[str, Any], arrays: dict[str, np.ndarray], token_ids: list[int]) -> list[np.ndarray]:
    """What each layer makes of the tokens, float64 (tokens, hidden_size) each."""
    weights = {name: array.astype(np.float64) for name, array in arrays.items()}
    eps, num_heads = config.get("layer_norm_eps", 1e-12), config["num_attention_heads"]

    def dense(x: np.ndarray, name: str) -> np.ndarray:
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def normalize(x: np.ndarray, name: str) -> np.ndarray:
        centered = x - x.mean(axis=1, keepdims=True)
        deviation = np.sqrt((centered**2).mean(axis=1, keepdims=True) + eps)
        return centered / deviation * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def projected(x: np.ndarray, name: str) -> np.ndarray:
        out = dense(x, f"{name}.dense")
        if "adapter_size" not in config:
            return out
        narrow = ACTIVATIONS[config["hidden_act"]](dense(out, f"{name}.adapter_down"))
        return out + dense(narrow, f"{name}.adapter_up")

    x = np.stack(
        [
            weights["embeddings.word_embeddings.weight"][token_id]
            + weights["embeddings.position_embeddings.weight"][place]
            + weights["embeddings.token_type_embeddings.weight"][0]
            for place, token_id in enumerate(token_ids)
        ]
    )
    x = normalize(x, "embeddings.LayerNorm")
    layers = []
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        query, key, value = (dense(x, f"{layer}.attention.self.{name}") for name in ("query", "key", "value"))
        size = x.shape[1] // num_heads
        context = np.zeros_like(x)
        for head in range(num_heads):
            part = slice(head * size, (head + 1) * size)
            for place in range(len(x)):
                scores = np.array([query[place, part] @ key[other, part] for other in range(len(x))]) / math.sqrt(size)
                shares = np.exp(scores - scores.max())
                shares /= shares.sum()
                context[place, part] = sum(share * value[other, part] for other, share in enumerate(shares))
        x = normalize(x + projected(context, f"{layer}.attention.output"), f"{layer}.attention.output.LayerNorm")
        inner = ACTIVATIONS[config["hidden_act"]](dense(x, f"{layer}.intermediate.dense"))
        x = normalize(x + projected(inner, f"{layer}.output"), f"{layer}.output.LayerNorm")
        layers.append(x)
    return layers
