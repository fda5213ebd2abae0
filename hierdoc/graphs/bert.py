"""A BERT as an ONNX graph: token ids and a mask in, chunks' vectors out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierdoc.encoders.poolings import READS_ALL, TOKENS, last_layers, pooling_of
from hierdoc.graphs.writer import FLOAT, GraphWriter

NEGATIVE_INFINITY = -10000.0  # as in Devlin et al. 2019's code and in bert-for-tf2
_GELUS = {"gelu": "none", "gelu_new": "tanh", "gelu_pytorch_tanh": "tanh"}


def bert_graph(config: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bytes:
    """Return the model of a BERT, serialised ONNX, with these weights in it.

    Inputs: `token_ids` int32 (N, T), `mask` bool (N, T), True = a real token. Output: `vectors`, by the configuration's
    `pooling`: float32 (N, D), the last layer's [CLS], mean, maximum or pooler's, (N, 4 D), the last four layers' [CLS], or (N, T, D), every
    token's. Where [CLS] alone is read, the last layer computes nothing else (exact: it attends to all tokens). All tokens are of type 0.

    Args:
        config: with Hugging Face's keys, `pooling` and `adapter_size`.
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

    def projected(hidden: str, name: str) -> str:
        out = dense(hidden, f"{name}.dense")
        if "adapter_size" not in config:
            return out
        return add("Add", out, dense(activated(dense(out, f"{name}.adapter_down")), f"{name}.adapter_up"))

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
    num_layers, pooling = config["num_hidden_layers"], pooling_of(config)
    reads_all = pooling in READS_ALL
    firsts = []
    for number in range(num_layers):
        layer = f"encoder.layer.{number}"
        asking = add("Slice", hidden, zero, one, one) if number == num_layers - 1 and not reads_all else hidden
        query = split(dense(asking, f"{layer}.attention.self.query", 1 / math.sqrt(size)), [0, 2, 1, 3])
        key = split(dense(hidden, f"{layer}.attention.self.key"), [0, 2, 1, 3])
        key = add("Transpose", key, perm=[0, 1, 3, 2])  # apart, so that OpenVINO takes it into the product
        value = split(dense(hidden, f"{layer}.attention.self.value"), [0, 2, 1, 3])
        scores = add("MatMul", query, key, name=f"{layer}.attention.scores")
        shares = add("Softmax", add("Add", scores, shown))
        context = add("MatMul", shares, value, name=f"{layer}.attention.context")
        context = add("Reshape", add("Transpose", context, perm=[0, 2, 1, 3]), joined)
        attended = add("Add", projected(context, f"{layer}.attention.output"), asking)
        attended = normalised(attended, f"{layer}.attention.output.LayerNorm")
        inner = activated(dense(attended, f"{layer}.intermediate.dense"))
        hidden = normalised(add("Add", projected(inner, f"{layer}.output"), attended), f"{layer}.output.LayerNorm")
        if pooling == "last4" and number >= num_layers - last_layers(config):
            firsts.append(add("Slice", hidden, zero, one, one))
    real = add("Unsqueeze", "mask", add.whole_numbers(2)) if reads_all else ""
    if pooling == "mean":
        shown = add("Cast", "mask", to=FLOAT)
        shares = add("Unsqueeze", add("Div", shown, add("ReduceSum", shown, one)), one)  # (N, 1, T)
        tokens = add("Where", real, hidden, add.constant("nothing", 0.0))
        # a product for each chunk: ONNX Runtime's sums along an axis are rounded by how many chunks there are
        add("Squeeze", add("MatMul", shares, tokens), one, name="vectors")
    elif pooling == "max":
        add("ReduceMax", add("Where", real, hidden, add.constant("lowest", -1e30)), one, keepdims=0, name="vectors")
    elif pooling == TOKENS:
        add("Identity", hidden, name="vectors")
    elif pooling == "last4":
        add("Squeeze", add("Concat", *firsts, axis=2), one, name="vectors")
    elif pooling == "pooler":
        add("Tanh", dense(add("Squeeze", hidden, one), "pooler.dense"), name="vectors")
    else:
        add("Squeeze", hidden, one, name="vectors")
    chunks_of_tokens = ["chunks", "tokens"]
    inputs = {"token_ids": (np.int32, chunks_of_tokens), "mask": (np.bool_, chunks_of_tokens)}
    shape = [*(chunks_of_tokens if pooling == TOKENS else ["chunks"]), dim * max(1, len(firsts))]
    return add.finish("bert", inputs, {"vectors": shape})


def bert_delicate_nodes(config: Mapping[str, Any]) -> list[str]:
    """Return patterns of the nodes that are better left as they are when the rest is computed in 8-bit integers.

    Attention's own products, which become no faster, and the last layer, of which only [CLS] is computed and whose errors
    nothing follows that could even them out (experiments/030-speed/int8_settings.py).
    """
    last = config["num_hidden_layers"] - 1
    return [r".*\.attention\.(scores|context)", rf"encoder\.layer\.{last}\..*"]
