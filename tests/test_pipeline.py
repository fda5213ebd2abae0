"""The stages together: what a person gets from the commands, on a ten-word world."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import CONFIG, VOCAB, tiny_rows, write_csv

from hierdoc import (
    HierdocError,
    chunk_documents,
    embed_chunks,
    evaluate_head,
    finetune_encoder,
    predict_documents,
    train_lstm_head,
)
from hierdoc import evaluate, finetune, predict, train_lstm
from hierdoc.stages import store

STAGES = ("chunk", "finetune", "embed", "heads/lstm", "evaluate/lstm")


def stage_files(run: Path) -> dict[str, bytes]:
    """Every file of a run but the timings."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name != store.TIMINGS
    }


def test_metrics_are_what_a_naive_loop_over_the_predictions_and_vectors_gives(tiny_run: Path):
    metrics = json.loads((tiny_run / "evaluate/lstm/metrics.json").read_text())
    truth = {row["id"]: row["label"] for row in tiny_rows() if row["split"] == "test"}
    predictions = pq.read_table(tiny_run / "evaluate/lstm/predictions.parquet").to_pylist()
    labels = metrics["labels"]
    assert labels == ["cats", "dogs", "fish"]
    assert {row["doc_id"]: row["true_label"] for row in predictions} == truth
    assert metrics["num_documents"] == len(truth) == 6
    assert metrics["document_accuracy"] == sum(row["label"] == row["true_label"] for row in predictions) / 6
    by_document: dict[str, list[tuple[int, list[float]]]] = {doc_id: [] for doc_id in truth}
    for path in sorted((tiny_run / "embed").glob("vectors-*.parquet")):
        for row in pq.read_table(path).to_pylist():
            if row["doc_id"] in truth:
                by_document[row["doc_id"]].append((row["chunk_index"], row["probs"]))
    right_chunks = right_average = right_first = num_chunks = 0
    for doc_id, rows in by_document.items():
        wanted = labels.index(truth[doc_id])
        probs = [np.asarray(row) for _, row in sorted(rows, key=lambda pair: pair[0])]
        right_chunks += sum(int(row.argmax() == wanted) for row in probs)
        num_chunks += len(probs)
        right_average += int((sum(probs) / len(probs)).argmax() == wanted)
        right_first += int(probs[0].argmax() == wanted)
    assert metrics["num_chunks"] == num_chunks
    assert metrics["chunk_accuracy"] == right_chunks / num_chunks
    assert metrics["average_accuracy"] == right_average / 6
    assert metrics["first_chunk_accuracy"] == right_first / 6
    assert metrics["majority_accuracy"] == 2 / 6
    assert metrics["tfidf_svm_accuracy"] == 1.0  # each class has words of its own
    assert sum(row["num_documents"] for row in metrics["accuracy_by_chunks"]) == 6
    assert np.asarray(metrics["confusion_matrix"]).sum() == 6


def test_the_head_learns_the_order_of_words_that_decide(tmp_path: Path):
    """Half the documents say "cat" first and "dog" last, half the other way round: only a head that reads in order can."""
    rows = []
    for number in range(60):
        words = ["cat"] * 8 + ["sat"] * 8 * (number % 3) + ["dog"] * 8
        label = "cat first" if number % 2 else "dog first"
        split = ("train", "train", "train", "dev", "test")[number // 6 % 5]
        rows.append({"text": " ".join(words if number % 2 else words[::-1]), "label": label, "split": split})
    run = tmp_path / "run"
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB), encoding="utf-8")
    config = {**CONFIG, "initializer_range": 1.0}  # so that another word makes another vector without training
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    encoder = f"random:{tmp_path / 'config.json'}"
    chunk_documents(write_csv(tmp_path / "d.csv", rows), run, split_column="split", encoder=encoder, chunk_size=10)
    finetune_encoder(run, epochs=0, precision="float32")
    embed_chunks(run, precision="float32")
    train_lstm_head(run, learning_rate=1e-2, epochs=40)
    evaluate_head(run)
    metrics = json.loads((run / "evaluate/lstm/metrics.json").read_text())
    assert metrics["document_accuracy"] == 1.0
    assert metrics["average_accuracy"] < 0.7  # the same chunks in any order have the same average


def test_predict_gives_evaluates_probabilities_bit_for_bit_from_a_copy_of_two_directories(
    tiny_run: Path, tmp_path: Path
):
    copy = tmp_path / "predictor"
    for name in ("finetune", "heads/lstm"):
        shutil.copytree(tiny_run / name, copy / name)
    rows = [{"id": row["id"], "text": row["text"]} for row in tiny_rows()]
    data = write_csv(tmp_path / "new.csv", rows[::-1])
    assert predict.main([str(copy), str(data), "--out", str(tmp_path / "p.csv")]) == 0
    with (tmp_path / "p.csv").open(newline="") as file:
        found = {row["doc_id"]: row for row in csv.DictReader(file)}
    assert list(found) == [row["id"] for row in rows[::-1]]
    evaluated = pq.read_table(tiny_run / "evaluate/lstm/predictions.parquet").to_pylist()
    assert len(evaluated) == 6
    for row in evaluated:
        mine = found[row["doc_id"]]
        assert (mine["label"], int(mine["num_chunks"])) == (row["label"], row["num_chunks"])
        for column in ("probability", "probability:cats", "probability:dogs", "probability:fish"):
            assert np.float32(mine[column]) == np.float32(row[column])


def test_predict_writes_the_same_to_stdout_jsonl_parquet_and_dataframe(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = write_csv(tmp_path / "new.csv", [{"id": "a,1", "text": "the cat sat"}, {"id": "b", "text": ""}])
    for suffix in (".csv", ".jsonl", ".parquet"):
        assert predict.main([str(tiny_run), str(data), "--out", str(tmp_path / f"p{suffix}")]) == 0
    assert "1 of 2 documents have no text" in capsys.readouterr().err
    assert predict.main([str(tiny_run), str(data)]) == 0
    assert capsys.readouterr().out == (tmp_path / "p.csv").read_text()
    frame = predict_documents(tiny_run, pd.DataFrame({"id": ["a,1", "b"], "text": ["the cat sat", None]}))
    pd.testing.assert_frame_equal(frame, pd.read_parquet(tmp_path / "p.parquet"), check_exact=True)
    lines = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert [np.float32(line["probability"]) for line in lines] == frame["probability"].tolist()
    assert [line["num_chunks"] for line in lines] == [1, 1]


def test_one_process_makes_the_same_bytes_as_the_commands_one_by_one(
    tiny_run: Path, tmp_path: Path, tiny_csv: Path, tiny_encoder: str
):
    run = tmp_path / "run"
    chunk_documents(tiny_csv, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10)
    for main, words in (
        (finetune.main, ["--epochs", "1", "--learning-rate", "0.01", "--precision", "float32"]),
        (train_lstm.main, []),
        (evaluate.main, []),
    ):
        if main is train_lstm.main:
            embed_chunks(run, precision="float32")
        assert main([str(run), *words]) == 0
    assert stage_files(run) == stage_files(tiny_run)


def test_a_second_call_of_each_command_does_nothing_and_says_so(tiny_run: Path, capsys: pytest.CaptureFixture[str]):
    before = {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*") if path.is_file()}
    finetune_encoder(tiny_run, epochs=1, learning_rate=1e-2, precision="float32")
    embed_chunks(tiny_run, precision="float32")
    train_lstm_head(tiny_run)
    evaluate_head(tiny_run)
    assert capsys.readouterr().err.count("already finished") == 4
    assert {path: path.stat().st_mtime_ns for path in tiny_run.rglob("*") if path.is_file()} == before


def test_shuffled_rows_of_the_chunk_table_change_nothing(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run / "chunk", run / "chunk")
    shutil.copytree(tiny_run / "finetune", run / "finetune")
    (path,) = (run / "chunk").glob("chunks-*.parquet")
    table = pq.read_table(path)
    order = np.random.default_rng(1).permutation(len(table))
    assert (order != np.arange(len(table))).any()
    pq.write_table(table.take(pa.array(order)), path)
    manifest = json.loads((run / "chunk" / store.MANIFEST).read_text())
    manifest["files"][path.name]["sha256"] = store.sha256_of(path)
    (run / "chunk" / store.MANIFEST).write_text(json.dumps(manifest))
    embed_chunks(run, precision="float32")
    train_lstm_head(run)
    evaluate_head(run)
    for name in ("heads/lstm/weights.safetensors", "evaluate/lstm/metrics.json", "evaluate/lstm/predictions.parquet"):
        assert (run / name).read_bytes() == (tiny_run / name).read_bytes(), name


def test_embed_keeps_a_shard_that_an_interrupted_run_has_written(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_csv: Path, tiny_encoder: str
):
    from hierdoc.chunking import chunks
    from hierdoc.engines import tensorflow as engine

    monkeypatch.setattr(chunks, "TOKENS_PER_SHARD", 400)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for run in (whole, broken):
        chunk_documents(tiny_csv, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10)
        shutil.copytree(tiny_run / "finetune", run / "finetune")
        edited = json.loads((run / "finetune" / store.MANIFEST).read_text())
        edited["parents"]["chunk"] = store.read(run, "chunk").fingerprint
        (run / "finetune" / store.MANIFEST).write_text(json.dumps(edited))
    embed_chunks(whole, precision="float32")
    assert len(list((whole / "embed").glob("vectors-*.parquet"))) > 3
    original, calls = engine.encode_chunks, []

    def fail_in_the_third_shard(*arguments, **named):
        calls.append(arguments)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*arguments, **named)

    monkeypatch.setattr(engine, "encode_chunks", fail_in_the_third_shard)
    with pytest.raises(KeyboardInterrupt):
        embed_chunks(broken, precision="float32")
    assert not (broken / "embed" / store.MANIFEST).exists()
    with pytest.raises(HierdocError, match="this stage is not finished"):
        train_lstm_head(broken)
    embed_chunks(broken, precision="float32")
    assert len(calls) == 3 + len(list((whole / "embed").glob("vectors-*.parquet"))) - 2
    assert stage_files(broken) == stage_files(whole)


def test_a_head_of_another_encoder_is_refused(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    finetune_encoder(run, epochs=0, precision="float32", overwrite=True)
    data = write_csv(tmp_path / "new.csv", [{"id": "a", "text": "the cat sat"}])
    with pytest.raises(HierdocError, match="another encoder"):
        predict_documents(run, data)
    with pytest.raises(HierdocError, match="embed.*another finetune"):
        train_lstm_head(run)


def test_documents_of_a_class_that_train_never_saw_are_wrong_and_named(
    tmp_path: Path, tiny_encoder: str, capsys: pytest.CaptureFixture[str]
):
    rows = tiny_rows()
    birds = [{**row, "label": "birds"} if row["split"] == "test" and row["label"] == "cats" else row for row in rows]
    run = tmp_path / "run"
    data = write_csv(tmp_path / "d.csv", birds)
    chunk_documents(data, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10)
    assert "2 documents are of classes that train never saw, and count as wrong: 'birds'" in capsys.readouterr().err
    finetune_encoder(run, epochs=0, precision="float32")
    embed_chunks(run, precision="float32")
    train_lstm_head(run, epochs=1)
    evaluate_head(run)
    metrics = json.loads((run / "evaluate/lstm/metrics.json").read_text())
    assert metrics["labels"] == ["cats", "dogs", "fish"]
    assert metrics["document_accuracy"] <= 4 / 6 and metrics["tfidf_svm_accuracy"] == 4 / 6
    assert metrics["num_documents"] == 6 and sum(map(sum, metrics["confusion_matrix"])) == 4


def test_training_needs_documents_for_dev(tmp_path: Path, tiny_encoder: str):
    rows = [{**row, "split": "excluded" if row["split"] == "dev" else row["split"]} for row in tiny_rows()]
    run = tmp_path / "run"
    chunk_documents(
        write_csv(tmp_path / "d.csv", rows),
        run,
        id_column="id",
        split_column="split",
        encoder=tiny_encoder,
        chunk_size=10,
    )
    assert store.read(run, "chunk").details["dev_taken_from_train"]
    frame = pq.read_table(next((run / "chunk").glob("documents-*.parquet")))
    assert len(frame.filter(pc.equal(frame["split"], "dev"))) == 3  # 10 % of 27, as rounding goes


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": -1}, "`epochs` must be at least 0, but is -1 instead"),
        ({"learning_rate": 0.0}, "`learning_rate` must be between 0 and 1, but is 0.0 instead"),
        ({"chunks_per_document": 0}, "`chunks_per_document` must be at least 1, but is 0 instead"),
        ({"class_weight": "heavy"}, "`class_weight` must be one of none, balanced, but is 'heavy' instead"),
        ({"precision": "float16"}, "`precision` must be one of auto, float32, bfloat16, but is 'float16' instead"),
        ({"trainable_layers": 3}, "`trainable_layers` must be between 0 and 2"),
    ],
)
def test_finetune_names_the_argument_that_is_out_of_range(
    tiny_run: Path, tmp_path: Path, arguments: dict, message: str
):
    shutil.copytree(tiny_run / "chunk", tmp_path / "chunk")
    with pytest.raises(HierdocError) as error:
        finetune_encoder(tmp_path, **arguments)
    assert message in str(error.value)


@pytest.mark.parametrize("arguments", [{"freeze_embeddings": True}, {"trainable_layers": 1}, {"trainable_layers": 0}])
def test_frozen_weights_stay_as_they_were_and_the_others_move(tiny_run: Path, tmp_path: Path, arguments: dict):
    from safetensors.numpy import load_file

    from hierdoc.encoders import ENCODERS
    from hierdoc.encoders.pretrained import find_encoder
    from hierdoc.learning.seeds import seed_tensorflow

    shutil.copytree(tiny_run / "chunk", tmp_path / "chunk")
    finetune_encoder(tmp_path, epochs=1, learning_rate=1e-2, precision="float32", chunks_per_document=1, **arguments)
    after = load_file(tmp_path / "finetune/encoder.safetensors")
    seed_tensorflow(0)
    before = ENCODERS["bert"](find_encoder(store.read(tmp_path, "chunk").parameters["encoder"]).config).arrays()
    moved = {name for name in before if (before[name] != after[name]).any()}
    layers = {
        "freeze_embeddings": {"0", "1"},
        "trainable_layers": set("1" if arguments.get("trainable_layers") else ""),
    }
    assert {name.split(".")[2] for name in moved} == layers[next(iter(arguments))]
    assert not any(name.startswith("embeddings.") for name in moved)
