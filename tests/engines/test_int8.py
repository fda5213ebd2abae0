"""int8: what quantization keeps, where it is given up, and that a copied predictor has it with it."""

from __future__ import annotations

import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import CONFIG
from reference.numpy_bert import random_arrays

from hierdoc import HierdocError, embed_chunks, evaluate_head, predict_documents, train_lstm_head
from hierdoc.chunking.chunks import chunk_document
from hierdoc.chunking.tokenizers import WordPieceTokenizer
from hierdoc.encoders.poolings import vector_size
from hierdoc.encoders.pretrained import find_encoder
from hierdoc.engines import ENGINES, int8, resolve_engine
from hierdoc.engines.encoding import Engine, encode_chunks
from hierdoc.engines.precision import cpu_has_bfloat16
from hierdoc.engines.token_batches import any_shape
from hierdoc.stages.finished import read_stage

SIZES = {"hidden_size": 64, "num_attention_heads": 4, "intermediate_size": 256, "vocab_size": 500}
MIDDLE = {"name": "bert", **CONFIG, **SIZES, "type_vocab_size": 2, "layer_norm_eps": 1e-12}
REST = "bfloat16" if cpu_has_bfloat16() else "float32"


def chunks(num: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(5, 500, rng.integers(2, 33)).astype(np.int32) for _ in range(num)]


def cosines(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    return (found * wanted).sum(axis=1) / (np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1))


@pytest.fixture(scope="module")
def middle(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, Engine, Path]:
    """int8 and float32 of a random encoder of 64 numbers, and where int8 is."""
    folder, arrays = tmp_path_factory.mktemp("int8"), random_arrays(MIDDLE, 0)
    int8.quantize(MIDDLE, arrays, chunks(100, 0), folder)
    return int8.load_int8_engine(folder, 64, 32), ENGINES["openvino"](MIDDLE, arrays, "float32", 32), folder


def test_dense_products_of_all_layers_but_the_last_are_of_8_bits(middle: tuple[Engine, Engine, Path]):
    folder = middle[2]
    assert sorted(path.name for path in folder.iterdir()) == ["int8.bin", "int8.xml"]
    graph = ElementTree.parse(folder / "int8.xml").getroot()
    layers = {layer.get("id"): layer for layer in graph.iter("layer")}
    quantized = {edge.get("to-layer") for edge in graph.iter("edge") if layers[edge.get("from-layer")].get("type") == "FakeQuantize"}  # fmt: skip
    found = {layer.get("name"): number in quantized for number, layer in layers.items() if layer.get("type") == "MatMul"}  # fmt: skip
    assert len(found) == 2 * 8
    for name, is_quantized in found.items():
        assert is_quantized == (name.startswith("encoder.layer.0.") and name.endswith(".product")), name
    assert 'element_type="i8"' in (folder / "int8.xml").read_text()


@pytest.mark.weights
@pytest.mark.parametrize(
    "pooling", ["cls", *(pytest.param(name, marks=pytest.mark.slow) for name in ("mean", "max", "last4"))]
)
def test_int8_of_the_default_encoder_is_as_near_to_float32_as_law_5_says(
    pooling: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    source = find_encoder("minilm")
    config, arrays = {"name": "bert", **source.config, "pooling": pooling}, source.load_weights()
    tokenizer = WordPieceTokenizer(source.vocab_path, source.lower_case)
    texts = [inspect.getdoc(getattr(np, name)) or "" for name in sorted(np.__all__)]  # English that is on every machine
    rows = [chunk.token_ids for text in texts for chunk in chunk_document(text, tokenizer, 128).chunks if text]
    assert len(rows) > 1000
    int8.quantize(config, arrays, rows[::16], tmp_path)
    found = encode_chunks(int8.load_int8_engine(tmp_path, vector_size(config), 128), rows[5::16])
    near = cosines(found, encode_chunks(ENGINES["openvino"](config, arrays, "float32", 128), rows[5::16]))
    assert near.mean() >= 0.995 and near.min() >= 0.98
    assert near.min() < 1 - 1e-4  # or else it is float32
    assert capsys.readouterr().out == ""  # NNCF's bars are kept from where results go


def test_int8_gives_a_chunk_the_same_bits_in_any_company(middle: tuple[Engine, Engine, Path]):
    engine, rows = middle[0], chunks(300, 2)
    whole = encode_chunks(engine, rows)
    for members in ([7], [299, 0, 40], list(range(50, 120))):
        np.testing.assert_array_equal(encode_chunks(engine, [rows[at] for at in members]), whole[members])


def test_what_is_quantized_is_not_quantized_again(middle: tuple[Engine, Engine, Path], monkeypatch: pytest.MonkeyPatch):
    calls: list[str] = []
    monkeypatch.setattr(int8, "load_nncf", lambda: calls.append("quantizes again"))
    before = {path.name: path.read_bytes() for path in middle[2].iterdir()}
    int8.quantize({}, {}, chunks(1, 0), middle[2])
    assert calls == [] and {path.name: path.read_bytes() for path in middle[2].iterdir()} == before


def test_calibration_chunks_are_drawn_at_even_distances():
    rows = [np.array([at]) for at in range(3000)]
    found = [int(row[0]) for row in int8.drawn(rows)]
    assert len(found) == 1000 and found[0] == 0 and found[-1] == 2999 and 2 < np.diff(found).min() + 1 <= 4
    assert [int(row[0]) for row in int8.drawn(rows[:7])] == list(range(7))


@pytest.mark.parametrize(("wrong", "is_good"), [(3, True), (4, False)])
def test_three_tenths_of_a_point_may_be_lost(wrong: int, is_good: bool):
    labels = np.zeros(1000, np.int64)

    def engine(num_wrong: int) -> Engine:
        return Engine(lambda ids, mask: (ids[:, :1] < num_wrong).astype(np.float32), 1, any_shape(1))

    rows = [np.array([at], np.int32) for at in range(1000)]
    found = int8.compare(engine(10 + wrong), engine(10), rows, labels, lambda vectors: vectors[:, 0].astype(int))
    assert found.is_good is is_good
    assert (found.float32_accuracy, found.accuracy, found.disagreement) == pytest.approx(
        (0.99, 0.99 - wrong / 1000, wrong / 1000)
    )


def copy_of(run: Path, folder: Path) -> Path:
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("embed", "heads", "evaluate"))
    return folder


def test_a_run_in_int8_goes_through_and_its_copied_predictor_gives_evaluates_probabilities(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(int8, "MOST_LOST", 1.0)
    run = copy_of(tiny_run, tmp_path / "run")
    stage = embed_chunks(run, precision="int8")
    assert stage.details["precision"] == "int8" and stage.parameters == {"engine": "openvino", "precision": "int8"}
    assert {"int8_dev_chunk_accuracy", "float32_dev_chunk_accuracy", "int8_disagreement"} <= set(stage.details)
    assert "of dev's chunks, float32 for" in capsys.readouterr().err
    train_lstm_head(run, epochs=1)
    evaluate_head(run)
    copied = tmp_path / "copied"
    for name in ("finetune", "heads"):
        shutil.copytree(run / name, copied / name)
    documents = pd.concat(pd.read_parquet(path) for path in sorted((run / "chunk").glob("documents-*.parquet")))
    test = documents[documents["split"] == "test"]
    found = predict_documents(copied, pd.DataFrame({"id": test["doc_id"], "text": test["text"]})).set_index("doc_id")
    wanted = pq.read_table(run / "evaluate/lstm/predictions.parquet").to_pandas().set_index("doc_id")
    assert len(wanted) == 6
    np.testing.assert_array_equal(found.loc[wanted.index, "probability"], wanted["probability"])


def test_a_bad_calibration_is_given_up_with_both_figures_and_leaves_nothing(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    run = copy_of(tiny_run, tmp_path / "run")
    real = int8.compare

    def all_wrong(*arguments: Any) -> int8.Comparison:
        found = real(*arguments)
        return int8.Comparison(found.float32_accuracy - 0.0031, found.float32_accuracy, 0.25)

    monkeypatch.setattr(int8, "compare", all_wrong)
    stage = embed_chunks(run, precision="int8")
    said = capsys.readouterr().err
    assert f"25.00% are called otherwise: it loses more than 0.003, computing in {REST} instead" in said
    assert stage.details["precision"] == REST and stage.parameters["precision"] == "int8"
    assert not list((run / "embed").glob("int8*"))
    train_lstm_head(run, epochs=1)
    assert json.loads((run / "heads/lstm/config.json").read_text())["encoding"]["precision"] == REST
    plain = copy_of(tiny_run, tmp_path / "plain")
    embed_chunks(plain)
    found, wanted = (pq.read_table(sorted((of / "embed").glob("vectors-*.parquet"))[0]) for of in (run, plain))
    assert found.equals(wanted)


def test_scales_of_a_few_strange_tokens_answer_worse_and_are_found_out(tmp_path: Path):
    """Calibrated on one token whose embedding is next to nothing, every other chunk's numbers are cut off."""
    arrays = random_arrays(MIDDLE, 0)
    head = np.random.default_rng(3).normal(size=(64, 10))
    rows = chunks(300, 4)
    float32 = ENGINES["openvino"](MIDDLE, arrays, "float32", 32)
    answer: Callable[[np.ndarray], np.ndarray] = lambda vectors: (vectors @ head).argmax(axis=1)  # noqa: E731
    labels = answer(encode_chunks(float32, rows))
    int8.quantize(MIDDLE, arrays, [np.array([7], np.int32)], tmp_path)
    bad = int8.compare(int8.load_int8_engine(tmp_path, 64, 32), float32, rows, labels, answer)
    assert bad.float32_accuracy == 1 and not bad.is_good and bad.disagreement > 0.02


def test_int8_is_refused_where_it_is_not_to_be_had(monkeypatch: pytest.MonkeyPatch):
    from hierdoc import engines

    assert resolve_engine("auto", "int8") == ("openvino", "int8")
    for engine in ("tensorflow", "onnxruntime"):
        with pytest.raises(
            HierdocError, match=f"^`precision` int8 is not to be had with `engine` {engine}; use openvino"
        ):
            resolve_engine(engine, "int8")
    monkeypatch.setattr(engines, "is_installed", lambda name: name != "nncf")
    with pytest.raises(HierdocError, match="needs the package nncf, which is not installed; pip install nncf"):
        resolve_engine("auto", "int8")


def test_without_dev_documents_int8_is_refused(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from hierdoc.sequences import reading

    run = copy_of(tiny_run, tmp_path / "run")
    chunk, real = read_stage(run, "chunk"), reading.read_chunks
    empty = real(chunk, "nothing")
    monkeypatch.setattr(reading, "read_chunks", lambda of, split: empty if split == "dev" else real(of, split))
    with pytest.raises(HierdocError, match="has no dev documents, and int8 is tried on dev"):
        embed_chunks(run, precision="int8")


def test_nncf_is_imported_without_what_it_would_send_reports_by():
    code = (
        "from hierdoc.engines.int8 import load_nncf; load_nncf(); import sys; from nncf.telemetry import wrapper; "
        "print('openvino_telemetry' in sys.modules, isinstance(wrapper.telemetry, wrapper.NNCFTelemetry))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
