"""Every pooling in every engine, against a NumPy loop and alone, padded or in company; and through the commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pyarrow.parquet as pq
import pytest
from conftest import CONFIG
from reference.numpy_bert import pooled_vector, random_arrays

from hierdoc import (
    HierdocError,
    embed,
    embed_chunks,
    evaluate_head,
    finetune,
    finetune_encoder,
    predict_documents,
    train_sequence_head,
)
from hierdoc.encoders.finetuned import load_encoder
from hierdoc.encoders.poolings import POOLINGS, pooling_of, vector_size
from hierdoc.engines import ENGINES
from hierdoc.engines.encoding import encode_chunks, encode_tokens
from hierdoc.engines.precision import cpu_has_bfloat16
from hierdoc.export import export_run
from hierdoc.graphs.bert import bert_graph
from hierdoc.stages.finished import read_stage

FULL = {
    **CONFIG,
    "name": "bert",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
}
ROWS = [np.int32(row) for row in ([2, 5, 6, 3], [2, 3], [2, 7, 8, 9, 10, 11, 12, 13, 3], [2, 18, 18, 5, 3])]


def encoder_of(pooling: str, layers: int = 2) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    config = {**FULL, "pooling": pooling, "num_hidden_layers": layers}
    return config, random_arrays(config, 0)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("layers", [2, 5])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_chunks_vector_is_that_of_a_numpy_loop_alone_and_in_company(pooling: str, layers: int, engine: str):
    config, arrays = encoder_of(pooling, layers)
    loaded = ENGINES[engine](config, arrays, "float32", 31)
    wanted = np.stack([pooled_vector(config, arrays, row.tolist()) for row in ROWS])
    assert wanted.shape[1] == vector_size(config) == loaded.dim
    found = encode_chunks(loaded, ROWS)
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5)
    for at, row in enumerate(ROWS):
        np.testing.assert_array_equal(encode_chunks(loaded, [row])[0], found[at])
    crowd = encode_chunks(loaded, [np.int32([2, *[5 + at % 13] * (1 + at % 20), 3]) for at in range(70)] + ROWS)
    np.testing.assert_array_equal(crowd[-len(ROWS) :], found)


@pytest.mark.skipif(not cpu_has_bfloat16(), reason="this CPU has no bfloat16")
@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_bfloat16_rounds_and_no_more(pooling: str, engine: str):
    config, arrays = encoder_of(pooling)
    wanted, found = (encode_chunks(ENGINES[engine](config, arrays, name, 31), ROWS) for name in ("float32", "bfloat16"))
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < 0.05


@pytest.mark.parametrize("engine", ENGINES)
def test_tokens_vectors_are_those_of_a_numpy_loop(engine: str):
    config, arrays = encoder_of("tokens")
    found = encode_tokens(ENGINES[engine](config, arrays, "float32", 31), ROWS)
    for row, vectors in zip(ROWS, found, strict=True):
        np.testing.assert_allclose(vectors, pooled_vector(config, arrays, row.tolist()), rtol=0, atol=1e-5)


@pytest.mark.parametrize("pooling", [*POOLINGS, "tokens"])
def test_every_poolings_graph_is_valid_onnx(pooling: str):
    onnx.checker.check_model(onnx.load_from_string(bert_graph(*encoder_of(pooling))), full_check=True)


def test_an_encoder_of_before_has_cls_and_an_unknown_pooling_is_named():
    assert pooling_of({}) == "cls"
    with pytest.raises(
        HierdocError, match="pooling must be one of cls, mean, max, last4, pooler, but is 'sum' instead"
    ):
        pooling_of({"pooling": "sum"})


@pytest.fixture(scope="module")
def chunked(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("poolings") / "run"
    shutil.copytree(tiny_run, place, ignore=shutil.ignore_patterns("finetune", "embed", "heads", "evaluate"))
    return place


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_run_keeps_its_pooling_from_training_to_prediction_and_export(pooling: str, chunked: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(chunked, run)
    stage = finetune_encoder(
        run, pooling=pooling, epochs=1, learning_rate=0.01, precision="float32", trainable_layers=1
    )
    assert stage.parameters["pooling"] == pooling
    config, arrays = load_encoder(stage.path)
    embedded = embed_chunks(run, precision="float32")
    assert embedded.details["dim"] == vector_size(config) == CONFIG["hidden_size"] * (2 if pooling == "last4" else 1)
    chunks = {
        (row["doc_id"], row["chunk_index"]): row
        for row in pq.read_table(run / "chunk/chunks-00000.parquet").to_pylist()
    }
    for row in pq.read_table(run / "embed/vectors-00000.parquet").to_pylist()[:5]:
        token_ids = chunks[row["doc_id"], row["chunk_index"]]["token_ids"]
        wanted = pooled_vector({**config, "pooling": pooling}, arrays, token_ids)
        np.testing.assert_allclose(row["vector"], wanted, rtol=0, atol=1e-5)
    train_sequence_head(run, "mean_pool", epochs=1)
    evaluated = evaluate_head(run)
    table = pq.read_table(evaluated.path / "predictions.parquet").to_pylist()
    texts = pq.read_table(run / "chunk/documents-00000.parquet").to_pandas().set_index("doc_id")["text"]
    new = texts.loc[[row["doc_id"] for row in table]].reset_index().rename(columns={"doc_id": "id"})
    found = predict_documents(run, new)
    assert found["probability:cats"].tolist() == [row["probability:cats"] for row in table]
    folder = export_run(run, tmp_path / "out")
    model = onnx.load(folder / "encoder.onnx")
    assert model.graph.output[0].type.tensor_type.shape.dim[1].dim_value == embedded.details["dim"]


def test_what_is_trained_is_the_pooler_too(chunked: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(chunked, run)
    stage = finetune_encoder(run, pooling="pooler", epochs=1, learning_rate=0.01, precision="float32")
    trace = json.loads((stage.path / "trace.json").read_text())
    moved = {weight["name"]: weight["norm_of_change"] for weight in trace["weights"]}
    assert moved["pooler/kernel"] > 0 and moved["pooler/bias"] > 0


def test_layers_that_the_pooling_reads_must_be_trained_or_the_last_ones_before(chunked: Path, tmp_path: Path, capsys):
    assert finetune.main([str(chunked), "--pooling", "last4", "--trainable-layers", "0"]) == 2
    assert "`pooling` last4 reads the last 2 layers: `trainable_layers` must be at least 1" in capsys.readouterr().err
    assert finetune.main([str(chunked), "--pooling", "sum"]) == 2
    assert "`pooling` must be one of cls, mean, max, last4, pooler, but is 'sum' instead" in capsys.readouterr().err


def test_a_run_without_a_pooler_is_not_read_as_if_it_had_one(tiny_run: Path, tmp_path: Path):
    shutil.copytree(tiny_run / "finetune", tmp_path / "finetune")
    path = tmp_path / "finetune/config.json"
    config = json.loads(path.read_text())
    config["encoder"]["pooling"] = "pooler"
    path.write_text(json.dumps(config))
    with pytest.raises(HierdocError, match="weight 'pooler.dense.weight' is missing"):
        load_encoder(tmp_path / "finetune")


def test_embed_writes_every_tokens_vector(tiny_run: Path, tmp_path: Path, capsys):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("embed", "heads", "evaluate"))
    assert embed.main([str(run), "--level", "token", "--precision", "float32"]) == 0
    assert not (run / "embed").exists()
    stage = read_stage(run, "tokens")
    rows = pq.read_table(stage.path / "tokens-00000.parquet").to_pylist()
    config, arrays = load_encoder(run / "finetune")
    vocab = (run / "finetune/vocab.txt").read_text().split("\n")
    chunks = pq.read_table(run / "chunk/chunks-00000.parquet").to_pylist()
    assert len(rows) == sum(len(chunk["token_ids"]) - 2 for chunk in chunks)
    at = 0
    for chunk in chunks:
        wanted = pooled_vector({**config, "pooling": "tokens"}, arrays, chunk["token_ids"])
        for place, token in enumerate(chunk["token_ids"][1:-1]):
            row = rows[at]
            assert (row["doc_id"], row["chunk_index"], row["token_index"]) == (
                chunk["doc_id"],
                chunk["chunk_index"],
                place,
            )
            assert row["token"] == vocab[token]
            if at < 60:
                np.testing.assert_allclose(row["vector"], wanted[place + 1], rtol=0, atol=1e-5)
            at += 1
    whole = (stage.path / "tokens-00000.parquet").read_bytes()
    for damaged in (whole[: len(whole) // 2], b""):  # an interrupted run that is gone on with looks into what is there
        (stage.path / "manifest.json").rename(stage.path / "started.json")
        (stage.path / "tokens-00000.parquet").write_bytes(damaged)
        started = {"stage": "tokens", "parameters": stage.parameters, "parents": stage.manifest["parents"]}
        started["schema_version"] = stage.manifest["schema_version"]
        (stage.path / "started.json").write_text(json.dumps(started))
        assert embed.main([str(run), "--level", "token", "--precision", "float32"]) == 0
        assert (stage.path / "tokens-00000.parquet").read_bytes() == whole
    assert embed.main([str(run), "--level", "token", "--precision", "int8"]) == 2
    assert "int8 is measured on chunks' vectors alone" in capsys.readouterr().err
    assert embed.main([str(run), "--level", "word"]) == 2
    assert "`level` must be one of chunk, token, but is 'word' instead" in capsys.readouterr().err
