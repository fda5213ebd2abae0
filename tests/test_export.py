"""hierdoc export: what comes out gives predict's probabilities in ONNX Runtime, by itself."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest

from hierdoc import HierdocError, export, export_run, predict_documents, train_sequence_head
from hierdoc.chunking.chunks import chunk_document
from hierdoc.chunking.tokenizers import load_tokenizer
from hierdoc.graphs import HEAD_GRAPHS

TEXTS = ["the cat sat", "a dog ran. the fish sat a cat ran the dog sat a fish", ""]


@pytest.fixture(scope="module")
def exported(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do not write into it."""
    return export_run(tiny_run, tmp_path_factory.mktemp("export") / "out")


def probabilities(folder: Path, text: str) -> np.ndarray:
    """What somebody who serves elsewhere would compute: nothing but the folder and ONNX Runtime, and hierdoc's cutting."""
    config = json.loads((folder / "config.json").read_text())
    cut = chunk_document(text, load_tokenizer(folder), *(config[key] for key in ("chunk_size", "overlap", "max_chunks", "respect_sentences")))  # fmt: skip
    encoder, head = (onnxruntime.InferenceSession(folder / f"{name}.onnx") for name in ("encoder", "head"))
    vectors = []
    for chunk in cut.chunks:
        token_ids = np.asarray(chunk.token_ids, np.int32)[None]
        vectors.append(encoder.run(["vectors"], {"token_ids": token_ids, "mask": np.ones(token_ids.shape, bool)})[0])
    inputs = {"vectors": np.concatenate(vectors)[None], "mask": np.ones((1, len(vectors)), bool)}
    (logits,) = head.run(["logits"], inputs)
    raised = np.exp(logits[0] - logits[0].max())
    return raised / raised.sum()


def test_the_exported_graphs_give_the_probabilities_of_predict(exported: Path, tiny_run: Path):
    wanted = predict_documents(tiny_run, pd.DataFrame({"id": ["0", "1", "2"], "text": TEXTS}))
    assert wanted["num_chunks"].tolist() == [1, 2, 1]
    labels = json.loads((exported / "config.json").read_text())["labels"]
    for at, text in enumerate(TEXTS):
        found = probabilities(exported, text)
        np.testing.assert_allclose(found, [wanted[f"probability:{label}"][at] for label in labels], rtol=0, atol=1e-5)
    assert np.ptp(wanted["probability"]) > 1e-3  # or else texts could be mixed up


@pytest.mark.parametrize("words", [False, True], ids=["vectors alone", "with words"])
def test_the_code_of_the_page_on_serving_gives_the_probabilities_of_predict(
    tiny_run: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: bool
):
    page = (Path(__file__).parent.parent / "docs/serving.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("heads", "evaluate"))
    train_sequence_head(run, "mean_pool", words=words, epochs=1)
    export_run(run, tmp_path / "exported")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    odd = ["the [SEP] cat [MASK] [UNK] [CLS]", "cat" + "s" * 150 + " ran", "cat" + "s" * 200 + " ran"]
    texts = [*TEXTS, "The CAT ran, a cat ran: the dog", "nothing that is known", *odd]
    wanted = predict_documents(run, pd.DataFrame({"id": [str(at) for at in range(len(texts))], "text": texts}))
    for at, text in enumerate(texts):
        for label, probability in names["probabilities"](text).items():
            assert probability == pytest.approx(wanted[f"probability:{label}"][at], abs=1e-5)
    assert (names["words"] is not None) == words


def test_an_export_holds_graphs_tokenizer_and_config_and_no_text(exported: Path, tiny_run: Path):
    names = {path.name for path in exported.iterdir()}
    assert names == {"encoder.onnx", "head.onnx", "vocab.txt", "tokenizer_config.json", "config.json"}
    config = json.loads((exported / "config.json").read_text())
    assert config == {
        "hierdoc_export": 1, "opset": 20, "labels": ["cats", "dogs", "fish"], "multi_label": False, "chunk_size": 10, "overlap": 0,
        "max_chunks": None, "respect_sentences": False,
    }  # fmt: skip
    for name in ("encoder", "head"):
        onnx.checker.check_model(onnx.load(exported / f"{name}.onnx"), full_check=True)
    assert (exported / "vocab.txt").read_bytes() == (tiny_run / "finetune/vocab.txt").read_bytes()


def test_a_replacement_that_is_stopped_leaves_the_earlier_export(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    out = export_run(tiny_run, tmp_path / "out")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    rename = Path.rename

    def stopped(path: Path, target: Path) -> Path:
        if path.name.endswith(".partial"):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", stopped)
    with pytest.raises(KeyboardInterrupt):
        export_run(tiny_run, out, overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_is_there_is_left_alone_but_an_earlier_export_is_replaced_when_asked(tiny_run: Path, tmp_path: Path):
    out = export_run(tiny_run, tmp_path / "out")
    (out / "config.json").write_text(json.dumps({"hierdoc_export": 1, "old": True}))
    with pytest.raises(HierdocError, match=r"out: exists; --overwrite replaces an earlier export"):
        export_run(tiny_run, out)
    assert "labels" in json.loads((export_run(tiny_run, out, overwrite=True) / "config.json").read_text())
    (out / "serve.py").write_text("mine")
    with pytest.raises(HierdocError, match="out/serve.py: is not of the export in .*out, which is left alone"):
        export_run(tiny_run, out, overwrite=True)
    assert (out / "serve.py").exists() and (out / "config.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    with pytest.raises(HierdocError, match="mine: is not an earlier export, and is left alone"):
        export_run(tiny_run, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine/thesis.txt").exists()
    with pytest.raises(HierdocError, match="nowhere: no such directory"):
        export_run(tiny_run, tmp_path / "nowhere/out")


def test_an_export_that_fails_leaves_nothing_behind(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(*arguments: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(shutil, "copyfile", fail)
    with pytest.raises(OSError, match="No space left"):
        export_run(tiny_run, tmp_path / "out")
    assert os.listdir(tmp_path) == []


def test_a_head_without_a_graph_is_refused_by_name(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delitem(HEAD_GRAPHS, "lstm")
    assert export.main([str(tiny_run), str(tmp_path / "out")]) == 2
    assert (
        "`head` lstm can't be exported; these can: attention, gru, max_pool, mean_pool, mean_probs, textcnn"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def test_a_head_of_another_encoder_is_refused(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from hierdoc.heads import document_probs

    real = document_probs.load_head_config
    monkeypatch.setattr(document_probs, "load_head_config", lambda folder: {**real(folder), "encoder_fingerprint": "0"})
    with pytest.raises(HierdocError, match="was trained on the vectors of another encoder than"):
        export_run(tiny_run, tmp_path / "out")


def test_the_command_says_what_it_made(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert export.main([str(tiny_run), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "out: config.json 0.0 MiB, encoder.onnx 0.0 MiB, head.onnx 0." in said
