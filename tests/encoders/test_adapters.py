"""bert-for-tf2's adapters: their numbers in every engine, what is trained, and what is saved by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from reference.numpy_bert import pooled_vector, random_arrays
from safetensors.numpy import load_file
from test_poolings import FULL, ROWS

from hierdoc import embed_chunks, evaluate_head, finetune, finetune_encoder, train_lstm_head
from hierdoc.encoders.bert import BertEncoder
from hierdoc.encoders.finetuned import load_encoder
from hierdoc.engines import ENGINES
from hierdoc.engines.encoding import encode_chunks
from hierdoc.export import export_run


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("activation", ["gelu", "gelu_new", "relu"])
def test_the_vectors_are_those_of_a_numpy_loop(activation: str, pooling: str, engine: str):
    config = {**FULL, "pooling": pooling, "adapter_size": 3, "hidden_act": activation}
    arrays = random_arrays(config, 0)
    wanted = np.stack([pooled_vector(config, arrays, row.tolist()) for row in ROWS])
    found = encode_chunks(ENGINES[engine](config, arrays, "float32", 31), ROWS)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    plain = {**FULL, "pooling": pooling, "hidden_act": activation}
    without = np.stack([pooled_vector(plain, arrays, row.tolist()) for row in ROWS])
    assert np.abs(without - wanted).max() > 0.1  # or the adapters could be left out


def test_fresh_adapters_change_almost_nothing():
    config = {**FULL, "pooling": "cls"}
    arrays = random_arrays(config, 0)
    encoder = BertEncoder({**config, "adapter_size": 4})
    encoder.assign({**encoder.arrays(), **arrays}, "the test")
    token_ids = np.int32([[2, 5, 6, 3]])
    found = encoder(token_ids, np.ones((1, 4), bool)).numpy()[0]
    np.testing.assert_allclose(found, pooled_vector(config, arrays, [2, 5, 6, 3]), rtol=0, atol=1e-3)


@pytest.fixture
def chunked(tiny_run: Path, tmp_path: Path) -> Path:
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("finetune", "embed", "heads", "evaluate"))
    return run


@pytest.mark.parametrize("layers", [None, 1])
def test_adapters_and_layer_normalisations_alone_are_trained_and_saved(
    layers: int | None, chunked: Path, tmp_path: Path, capsys
):
    from hierdoc.finetune import _find_encoder_of, _load_encoder
    from hierdoc.learning.seeds import seed_tensorflow
    from hierdoc.stages.finished import read_stage

    source = _find_encoder_of(read_stage(chunked, "chunk"))
    seed_tensorflow(0)
    before = _load_encoder(source, {**source.config, "adapter_size": 3})[0].arrays()
    stage = finetune_encoder(
        chunked, adapter_size=3, trainable_layers=layers, epochs=2, learning_rate=0.01, precision="float32"
    )
    config, arrays = load_encoder(stage.path)
    assert config["adapter_size"] == 3
    changed = {name for name in arrays if not np.array_equal(arrays[name], before[name])}
    delta = load_file(stage.path / "adapters.safetensors")
    assert all(np.array_equal(delta[name], arrays[name]) for name in delta)
    assert all(".adapter_" in name or "LayerNorm" in name for name in delta)
    assert (
        changed <= set(delta) == changed | {name for name in arrays if ".adapter_" in name}
    )  # with these all is there again
    assert any(".0." in name for name in changed) == (layers is None)
    size = (stage.path / "adapters.safetensors").stat().st_size
    assert stage.details["adapter_bytes"] == size < (stage.path / "encoder.safetensors").stat().st_size
    assert "finetune: what was trained is " in capsys.readouterr().err
    embed_chunks(chunked, precision="float32")
    train_lstm_head(chunked, epochs=1)
    assert evaluate_head(chunked).details["num_documents"] == 6
    assert (export_run(chunked, tmp_path / "out") / "encoder.onnx").exists()


def test_what_is_saved_is_whole_where_joint_training_left_some_of_it_alone(chunked: Path, tmp_path: Path):
    before = finetune_encoder(chunked, adapter_size=3, epochs=1, learning_rate=0.01, precision="float32")
    embed_chunks(chunked, precision="float32")
    train_lstm_head(chunked, epochs=1)
    after = finetune_encoder(tmp_path / "new", joint=chunked, trainable_layers=1, epochs=1, precision="float32")
    changed_before, delta = (load_file(stage.path / "adapters.safetensors") for stage in (before, after))
    assert delta.keys() == changed_before.keys()
    arrays = load_encoder(after.path)[1]
    assert all(np.array_equal(delta[name], arrays[name]) for name in delta)


def test_a_size_that_is_none_is_refused(chunked: Path, capsys):
    assert finetune.main([str(chunked), "--adapter-size", "0"]) == 2
    assert "`adapter_size` must be at least 1, but is 0 instead" in capsys.readouterr().err
    assert finetune.main([str(chunked), "--adapter-size", "2", "--trainable-layers", "0"]) == 2
    assert "`adapter_size` has no effect with `trainable_layers` 0" in capsys.readouterr().err
    assert finetune.main([str(chunked), "--adapter-size", "2", "--epochs", "0"]) == 2
    assert "`adapter_size` has no effect with `epochs` 0" in capsys.readouterr().err
