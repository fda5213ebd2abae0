"""A BERT as an ONNX graph: token ids and a mask in, [CLS] vectors out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierdoc.graphs.writer import GraphWriter

NEGATIVE_INFINITY = -10000.0  # as in Devlin et al. 2019's code and in bert-for-tf2
_GELUS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


def bert_graph(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the model of a BERT, serialised ONNX, with these weights in it.

    Inputs: `token_ids` int32 (N, T), `mask` bool (N, T), True = a real token. Output: `vectors` float32 (N, D), the last
    layer's [CLS], of which the last layer computes nothing else (exact: it attends to all tokens). All tokens are of type 0.

    Args:
        config: with Hugging Face's keys.
        arrays: float32, by Hugging Face's names and in its orientation, as `BertEncoder.arrays` returns them.
    """
    add = GraphWriter()
    dim, heads = config["hidden_size"], config["num_attention_heads"]
    size = dim // heads
    by_head, joined = add.whole_numbers(0, 0, heads, size), add.whole_numbers(0, 0, dim)
    zero, one = add.whole_numbers(0), add.whole_numbers(1)

    def weight(name: str) -> str:
        return add.constant(name, arrays[name])

    def normalised(hidden: str, name: str) -> str:
        epsilon = config["layer_norm_eps"]
        return add("LayerNormalization", hidden, weight(f"{name}.weight"), weight(f"{name}.bias"), epsilon=epsilon)

    def dense(hidden: str, name: str, scale: float = 1.0) -> str:
        kernel = add.constant(f"{name}.weight", arrays[f"{name}.weight"].T * np.float32(scale))
        product = add("MatMul", hidden, kernel, name=f"{name}.product")
        return add("Add", product, add.constant(f"{name}.bias", arrays[f"{name}.bias"] * scale))

    def split(projected: str, order: list[int]) -> str:
        return add("Transpose", add("Reshape", projected, by_head), perm=order)

    def activated(hidden: str) -> str:
        activation = config["hidden_act"]
        return add("Relu", hidden) if activation == "relu" else add("Gelu", hidden, approximate=_GELUS[activation])

    places = arrays["embeddings.position_embeddings.weight"] + arrays["embeddings.token_type_embeddings.weight"][0]
    num_tokens = add("Slice", add("Shape", "token_ids"), one, add.whole_numbers(2))
    words = add("Gather", weight("embeddings.word_embeddings.weight"), "token_ids")
    place = add("Slice", add.constant("places", places), zero, num_tokens, zero)
    hidden = normalised(add("Add", words, place), "embeddings.LayerNorm")
    shown = add("Where", "mask", add.constant("nothing", 0.0), add.constant("far", NEGATIVE_INFINITY))
    shown = add("Unsqueeze", shown, add.whole_numbers(1, 2))  # (N, 1, 1, T)
    num_layers = config["num_hidden_layers"]
    for number in range(num_layers):
        layer = f"encoder.layer.{number}"
        asking = add("Slice", hidden, zero, one, one) if number == num_layers - 1 else hidden
        query = split(dense(asking, f"{layer}.attention.self.query", 1 / math.sqrt(size)), [0, 2, 1, 3])
        key = split(dense(hidden, f"{layer}.attention.self.key"), [0, 2, 1, 3])
        key = add("Transpose", key, perm=[0, 1, 3, 2])  # apart, so that OpenVINO takes it into the product
        value = split(dense(hidden, f"{layer}.attention.self.value"), [0, 2, 1, 3])
        scores = add("MatMul", query, key, name=f"{layer}.attention.scores")
        shares = add("Softmax", add("Add", scores, shown))
        context = add("MatMul", shares, value, name=f"{layer}.attention.context")
        context = add("Reshape", add("Transpose", context, perm=[0, 2, 1, 3]), joined)
        attended = add("Add", dense(context, f"{layer}.attention.output.dense"), asking)
        attended = normalised(attended, f"{layer}.attention.output.LayerNorm")
        inner = activated(dense(attended, f"{layer}.intermediate.dense"))
        hidden = normalised(add("Add", dense(inner, f"{layer}.output.dense"), attended), f"{layer}.output.LayerNorm")
    add("Squeeze", hidden, one, name="vectors")
    chunks_of_tokens = ["chunks", "tokens"]
    inputs = {"token_ids": (np.int32, chunks_of_tokens), "mask": (np.bool_, chunks_of_tokens)}
    return add.finish("bert", inputs, {"vectors": ["chunks", dim]})


def bert_delicate_nodes(config: Mapping[str, Any]) -> list[str]:
    """Return patterns of the nodes that are better left as they are when the rest is computed in 8-bit integers.

    Attention's own products, which become no faster, and the last layer, of which only [CLS] is computed and whose errors
    nothing follows that could even them out (experiments/030-speed/int8_settings.py).
    """
    last = config["num_hidden_layers"] - 1
    return [r".*\.attention\.(scores|context)", rf"encoder\.layer\.{last}\..*"]
