"""The ONNX graph of a BERT: its vectors against a NumPy loop, for every setting that it reads, and what it says of itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from conftest import CONFIG
from reference.numpy_bert import cls_vector, random_arrays

from hierdoc.engines.openvino import compile_graph
from hierdoc.graphs.bert import bert_graph

FULL = {**CONFIG, "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu"}
ROWS = [[2, 5, 6, 3], [2, 3], [2, 7, 8, 9, 10, 11, 12, 13, 3]]  # ids of conftest's VOCAB


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hidden_act": "gelu_new"},
        {"hidden_act": "gelu_pytorch_tanh"},
        {"hidden_act": "relu"},
        {"layer_norm_eps": 0.5},
        {"num_attention_heads": 4, "num_hidden_layers": 1, "intermediate_size": 5},
        {"num_hidden_layers": 3},
        {"type_vocab_size": 1},
    ],
    ids=str,
)
def test_the_vectors_are_those_of_a_numpy_loop(settings: dict[str, Any]):
    config = {**FULL, **settings}
    arrays = random_arrays(config, 0)
    run, _ = compile_graph(bert_graph(config, arrays), "float32")
    token_ids, mask = np.full((3, 9), 18, np.int32), np.zeros((3, 9), bool)  # a real token's id under the mask
    for at, row in enumerate(ROWS):
        token_ids[at, : len(row)], mask[at, : len(row)] = row, True
    wanted = np.stack([cls_vector(config, arrays, row) for row in ROWS])
    np.testing.assert_allclose(run(token_ids=token_ids, mask=mask), wanted, rtol=0, atol=1e-5)


def test_the_model_is_valid_onnx_of_a_stated_opset_with_named_inputs_and_output():
    model = onnx.load_from_string(bert_graph(FULL, random_arrays(FULL, 0)))
    onnx.checker.check_model(model, full_check=True)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 20)]
    shapes = {
        value.name: (value.type.tensor_type.elem_type, [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim])
        for value in [*model.graph.input, *model.graph.output]
    }  # fmt: skip
    assert shapes == {
        "token_ids": (onnx.TensorProto.INT32, ["chunks", "tokens"]),
        "mask": (onnx.TensorProto.BOOL, ["chunks", "tokens"]),
        "vectors": (onnx.TensorProto.FLOAT, ["chunks", FULL["hidden_size"]]),
    }
