"""The stages together: what a person gets from the commands, on a ten-word world."""

from __future__ import annotations

import csv
import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import CONFIG, VOCAB, WORDS, tiny_rows, write_csv

from hierdoc import (
    HierdocError,
    chunk_documents,
    embed_chunks,
    evaluate,
    evaluate_head,
    finetune,
    finetune_encoder,
    predict,
    predict_documents,
    run_pipeline,
    train_lstm,
    train_lstm_head,
)
from hierdoc import run as run_command
from hierdoc.evaluation.baselines import BASELINES, Answers, Material
from hierdoc.stages import files
from hierdoc.stages.finished import MANIFEST, TIMINGS, FinishedStage, fingerprint_of, read_stage


def stage_files(run: Path) -> dict[str, bytes]:
    """Every file of a run but the timings."""
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file() and path.name != TIMINGS
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


@pytest.mark.parametrize("baseline", ["average", "vote", "mean_logistic", "tfidf_svm", "majority"])
def test_a_baseline_is_evaluated_as_a_head_is(baseline: str, tiny_run: Path, tmp_path: Path, capsys):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    assert evaluate.main([str(run), "--baseline", baseline]) == 0
    metrics = json.loads((run / f"evaluate/{baseline}/metrics.json").read_text())
    beside = json.loads((run / "evaluate/lstm/metrics.json").read_text())
    predictions = pq.read_table(run / f"evaluate/{baseline}/predictions.parquet").to_pylist()
    assert len(predictions) == 6 and metrics["baseline"] == baseline
    right = sum(row["label"] == row["true_label"] for row in predictions) / 6
    assert metrics["document_accuracy"] == right == beside.get(f"{baseline}_accuracy", right)
    assert [row["probability"] is None for row in predictions] == [baseline == "tfidf_svm"] * 6
    for row in predictions:
        if row["probability"] is not None:
            assert row["probability"] == row[f"probability:{row['label']}"]
    assert f"{baseline}" in capsys.readouterr().out
    assert evaluate_head(run, baseline=baseline).path.name == baseline  # the second time there is nothing to do


def test_a_baseline_of_words_needs_the_chunk_stage_alone(tiny_run: Path, tmp_path: Path):
    shutil.copytree(tiny_run / "chunk", tmp_path / "run/chunk")
    assert evaluate_head(tmp_path / "run", baseline="tfidf_logistic").details["document_accuracy"] == 1.0
    with pytest.raises(HierdocError, match="finetune: this stage is missing"):
        evaluate_head(tmp_path / "run", baseline="average")
    with pytest.raises(HierdocError, match="`baseline` must be one of"):
        evaluate_head(tmp_path / "run", baseline="guess")


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


def test_predict_cuts_as_the_training_chunks_were_cut(tiny_run: Path, monkeypatch: pytest.MonkeyPatch):
    from hierdoc.heads import predictor

    config = json.loads((tiny_run / "finetune/config.json").read_text())
    cut = {"chunk_size": 10, "overlap": 0, "max_chunks": None, "respect_sentences": False}
    assert {key: config[key] for key in cut} == cut
    loaded = predictor.Predictor(read_stage(tiny_run, "finetune"), read_stage(tiny_run, "heads/lstm"))
    text = "the cat sat a dog ran. the fish"  # 7 tokens end with the sentence, 8 fill a chunk
    seen = []
    real = predictor.chunk_document
    monkeypatch.setattr(predictor, "chunk_document", lambda *arguments: seen.append(real(*arguments)) or seen[-1])
    for respect_sentences in (False, True):
        loaded.config["respect_sentences"] = respect_sentences
        loaded.cut(["a"], [text])
    assert [document.chunks[0].char_end for document in seen] == [26, 22]


@pytest.mark.parametrize("hidden", [None, "openvino"], ids=["as installed", "without openvino"])
def test_predict_needs_no_tensorflow_unless_openvino_is_missing_and_then_says_so(
    tiny_run: Path, tmp_path: Path, hidden: str | None
):
    data = write_csv(tmp_path / "new.csv", [{"id": "a", "text": "the cat sat"}])
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({[hidden] if hidden else []}))\n"  # find_spec then finds none
        "from hierdoc import predict\n"
        "print(predict.main(sys.argv[1:]), [name for name in ('openvino', 'tensorflow') if sys.modules.get(name)])"
    )
    out = tmp_path / "p.csv"
    words = [sys.executable, "-c", code, str(tiny_run), str(data), "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1]
    with out.open(newline="") as file:
        (row,) = csv.DictReader(file)
    (wanted,) = predict_documents(tiny_run, pd.DataFrame({"id": ["a"], "text": ["the cat sat"]})).to_dict("records")
    assert row["label"] == wanted["label"]
    assert float(row["probability"]) == pytest.approx(wanted["probability"], abs=1e-5)  # law 1
    if hidden:
        assert (
            "vectors by openvino in float32, which is not installed: computing by tensorflow in float32 instead"
            in done.stderr
        )
        assert loaded == "0 ['tensorflow']"
    else:
        assert loaded == "0 ['openvino']"


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


def reseal(stage: Path, **changes) -> None:
    """Write a stage's manifest anew after its files, or what `changes` names, have been changed on purpose."""
    manifest = json.loads((stage / MANIFEST).read_text())
    for name, facts in manifest["files"].items():
        facts |= {"sha256": files.sha256_of(stage / name), "bytes": (stage / name).stat().st_size}
    manifest |= changes
    content = {key: value for key, value in manifest.items() if key not in ("fingerprint", "versions")}
    manifest["fingerprint"] = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (stage / MANIFEST).write_text(json.dumps(manifest))


def test_shuffled_rows_of_the_chunk_table_change_nothing(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run / "chunk", run / "chunk")
    (path,) = (run / "chunk").glob("chunks-*.parquet")
    table = pq.read_table(path)
    order = np.random.default_rng(1).permutation(len(table))
    assert (order != np.arange(len(table))).any()
    pq.write_table(table.take(pa.array(order)), path)
    reseal(run / "chunk")
    finetune_encoder(run, epochs=1, learning_rate=1e-2, precision="float32")
    embed_chunks(run, precision="float32")
    train_lstm_head(run)
    evaluate_head(run)
    for name in (
        "finetune/encoder.safetensors",
        "heads/lstm/weights.safetensors",
        "evaluate/lstm/metrics.json",
        "evaluate/lstm/predictions.parquet",
    ):
        assert (run / name).read_bytes() == (tiny_run / name).read_bytes(), name


def test_embed_keeps_a_shard_that_an_interrupted_run_has_written(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_csv: Path, tiny_encoder: str
):
    from hierdoc.chunking import chunks
    from hierdoc.engines import encoding as engine

    monkeypatch.setattr(chunks, "TOKENS_PER_SHARD", 400)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for run in (whole, broken):
        chunk_documents(tiny_csv, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10)
        shutil.copytree(tiny_run / "finetune", run / "finetune")
        reseal(run / "finetune", parents={"chunk": read_stage(run, "chunk").fingerprint})
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
    assert not (broken / "embed" / MANIFEST).exists()
    (broken / "embed/vectors-00001.parquet").write_bytes(
        b"garbage"
    )  # what a failing disk may leave of the second shard
    with pytest.raises(HierdocError, match="this stage is not finished"):
        train_lstm_head(broken)
    embed_chunks(broken, precision="float32")
    assert len(calls) == 3 + len(list((whole / "embed").glob("vectors-*.parquet"))) - 1
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


def test_accuracy_is_also_told_without_near_duplicates_of_training_documents(
    tmp_path: Path, tiny_encoder: str, monkeypatch: pytest.MonkeyPatch
):
    """Two of six test documents are near-duplicates of training documents; the SVM is fitted on train alone."""
    rng = random.Random(0)
    rows = [
        {"id": f"{n:02d}", "text": " ".join(rng.choices(WORDS, k=14)), "label": "ab"[n % 2], "split": split}
        for n, split in enumerate(["train"] * 10 + ["dev"] * 4 + ["test"] * 6)
    ]
    rows[15]["text"], rows[18]["text"] = rows[3]["text"] + " far", rows[6]["text"]
    run, settings = tmp_path / "run", {"id_column": "id", "split_column": "split", "encoder": tiny_encoder}
    chunk_documents(write_csv(tmp_path / "d.csv", rows), run, **settings, chunk_size=10)
    finetune_encoder(run, epochs=0, precision="float32")
    embed_chunks(run, precision="float32")
    train_lstm_head(run, epochs=1)
    asked, svm_says = [], np.asarray([1, 1, 0, 1, 0, 0])

    def tfidf_svm(train: Material, dev: Material, held_out: Material, num_classes: int) -> Answers:
        asked.append([list(material.texts) for material in (train, dev, held_out)])
        assert train.label_ids.tolist() == [0, 1] * 5 and num_classes == 2
        return Answers(svm_says, np.full((6, 2), np.nan))

    monkeypatch.setitem(BASELINES, "tfidf_svm", tfidf_svm)
    metrics = json.loads((evaluate_head(run).path / "metrics.json").read_text())
    by_split = {name: [row for row in rows if row["split"] == name] for name in ("train", "dev", "test")}
    assert asked == [[[row["text"] for row in by_split[name]] for name in ("train", "dev", "test")]]
    others = [place for place, row in enumerate(by_split["test"]) if row["id"] not in ("15", "18")]
    truth = [row["label"] for row in by_split["test"]]
    predictions = pq.read_table(run / "evaluate/lstm/predictions.parquet").to_pylist()
    assert [row["doc_id"] for row in predictions] == [row["id"] for row in by_split["test"]]
    assert metrics["num_near_duplicates_of_train"] == 2
    assert metrics["document_accuracy_without_near_duplicates"] == sum(
        predictions[at]["label"] == truth[at] for at in others
    ) / len(others)
    assert metrics["tfidf_svm_accuracy_without_near_duplicates"] == 0.5 != metrics["tfidf_svm_accuracy"] == 4 / 6
    chunks: dict[str, list[list[float]]] = {}
    for path in read_stage(run, "embed").files("vectors-"):
        for row in pq.read_table(path).to_pylist():
            chunks.setdefault(row["doc_id"], []).append(row["probs"])
    means = [np.mean(chunks[by_split["test"][at]["id"]], axis=0) for at in others]
    right = sum("ab"[mean.argmax()] == truth[at] for at, mean in zip(others, means, strict=True))
    assert metrics["average_accuracy_without_near_duplicates"] == right / len(others)


def test_where_every_test_document_is_a_near_duplicate_their_number_stands_alone(tiny_run: Path):
    metrics = json.loads((tiny_run / "evaluate/lstm/metrics.json").read_text())
    assert metrics["num_near_duplicates_of_train"] == metrics["num_documents"] == 6
    assert not [name for name in metrics if name.endswith("without_near_duplicates")]


def test_training_needs_documents_for_dev(tmp_path: Path, tiny_encoder: str, capsys: pytest.CaptureFixture[str]):
    """All training documents of a class are near-duplicates here, so none of them can be taken for dev."""
    rows = [{**row, "split": "excluded" if row["split"] == "dev" else row["split"]} for row in tiny_rows()]
    data = write_csv(tmp_path / "d.csv", rows)
    words = [
        str(data),
        str(tmp_path / "run"),
        "--id-column",
        "id",
        "--split-column",
        "split",
        "--encoder",
        tiny_encoder,
    ]
    assert run_command.main([*words, "--chunk-size", "10"]) == 2
    assert "no document is in dev, and run needs all three" in capsys.readouterr().err
    with pytest.raises(HierdocError, match="has no dev documents"):
        finetune_encoder(tmp_path / "run")
    assert not (tmp_path / "run/finetune").exists()


def test_evaluate_refuses_a_head_of_an_encoder_that_has_been_replaced(tiny_run: Path, tmp_path: Path):
    shutil.copytree(tiny_run, tmp_path / "run")
    finetune_encoder(tmp_path / "run", epochs=0, precision="float32", overwrite=True)
    with pytest.raises(HierdocError, match="another finetune"):
        evaluate_head(tmp_path / "run")


@pytest.mark.parametrize("function", [evaluate_head, lambda run, head: predict_documents(run, "new.csv", head=head)])
def test_a_head_is_one_of_those_there_are_and_no_path(tiny_run: Path, function):
    with pytest.raises(
        HierdocError, match="`head` must be one of attention, .*, transformer, but is '../finetune' instead"
    ):
        function(tiny_run, head="../finetune")


def test_a_wrong_argument_leaves_finished_training_as_it_was_even_with_overwrite(tiny_run: Path, tmp_path: Path):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    before = stage_files(run)
    for arguments in ({"trainable_layers": 99}, {"epochs": 0, "learning_rate": 0.1}, {"seed": -1}):
        with pytest.raises(HierdocError):
            finetune_encoder(run, **arguments, overwrite=True)
    assert stage_files(run) == before


@pytest.mark.parametrize(
    "arguments",
    [{"epochs": -1}, {"learning_rate": 2.0}, {"precision": "float16"}, {"class_weight": "balancd"}, {"chunks_per_document": 0},
     {"gradient_accumulation": 0}, {"batch_size": 0}, {"max_grad_norm": 0.0}, {"layer_decay": 0.0}, {"trainable_layers": 99}],
)  # fmt: skip
def test_what_is_wrong_for_a_later_stage_is_told_before_run_makes_the_first_again(
    arguments: dict, tiny_run: Path, tiny_csv: Path, tiny_encoder: str, tmp_path: Path
):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    before = stage_files(run)
    with pytest.raises(HierdocError, match=f"`{next(iter(arguments))}` must be"):
        run_pipeline(tiny_csv, run, id_column="id", encoder=tiny_encoder, chunk_size=8, overwrite=True, **arguments)
    assert stage_files(run) == before


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": 0.1},
        {"freeze_embeddings": True},
        {"trainable_layers": 1},
        {"chunks_per_document": 1},
        {"gradient_accumulation": 2},
        {"batch_size": 4},
        {"max_grad_norm": 1.0},
        {"layer_decay": 0.8},
    ],
)
def test_what_has_no_effect_without_training_is_refused(tiny_run: Path, tmp_path: Path, arguments: dict):
    shutil.copytree(tiny_run / "chunk", tmp_path / "chunk")
    with pytest.raises(HierdocError, match=f"`{next(iter(arguments))}` has no effect with `epochs` 0"):
        finetune_encoder(tmp_path, epochs=0, **arguments)


def test_predict_numbers_documents_that_have_no_id_column_and_keeps_odd_ids_whole(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    data = write_csv(tmp_path / "new.csv", [{"text": "the cat sat"}, {"text": "a dog ran"}])
    assert predict_documents(tiny_run, data)["doc_id"].tolist() == ["1", "2"]
    assert "no column 'id' in the data: documents are numbered from 1" in capsys.readouterr().err
    (tmp_path / "m.jsonl").write_text('{"text": "the cat sat"}\n{"id": "A7", "text": "a dog ran"}\n')
    with pytest.raises(HierdocError, match="m.jsonl: row 1: column 'id' is missing"):
        predict_documents(tiny_run, tmp_path / "m.jsonl")
    with_ids = write_csv(tmp_path / "ids.csv", [{"id": "A7", "text": "a dog ran"}])
    with pytest.raises(HierdocError, match="new.csv: column 'id' is missing"):
        predict_documents(tiny_run, [data, with_ids])
    odd = ["c\rd", 'say "x", y', "new\nline"]
    out = predict_documents(tiny_run, pd.DataFrame({"id": odd, "text": ["cat"] * 3}), tmp_path / "p.csv")
    with out.open(newline="", encoding="utf-8") as file:
        assert [row["doc_id"] for row in csv.DictReader(file)] == odd


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("p.txt", "`out` must end in .csv, .jsonl, .parquet"),
        ("missing/p.csv", "missing: no such directory"),
        ("folder.csv", "folder.csv: must be a file, but is a directory instead"),
        ("new.csv", "new.csv: is one of the files to read"),
        ("there.csv", "there.csv: exists; --overwrite replaces it"),
        ("p\udcff.parquet", "must be Unicode, but has other bytes in its name"),
    ],
)
def test_a_place_where_predictions_can_not_go_is_told_first(tiny_run: Path, tmp_path: Path, out: str, message: str):
    data = write_csv(tmp_path / "new.csv", [{"id": "a", "text": "the cat sat"}])
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "there.csv").write_text("mine")
    with pytest.raises(HierdocError) as error:
        predict_documents(tiny_run, data, tmp_path / out)
    assert message in str(error.value)
    assert (tmp_path / "there.csv").read_text() == "mine" and data.read_text().startswith("id,text")


def test_balanced_weights_follow_the_chunks_that_are_drawn(
    tmp_path: Path, tiny_encoder: str, monkeypatch: pytest.MonkeyPatch
):
    """Documents of class a have many chunks and of class b one; with one drawn of each document both weigh the same."""
    from hierdoc.learning import encoder as training

    rows = []
    for number in range(20):
        words = "cat sat far and ran " * (12 if number % 2 else 1)
        rows.append({"text": words, "label": "ab"[number % 2 == 0], "split": "dev" if number > 15 else "train"})
    run = tmp_path / "run"
    data = write_csv(tmp_path / "d.csv", rows)
    chunk_documents(data, run, split_column="split", encoder=tiny_encoder, chunk_size=10)
    seen = []
    monkeypatch.setattr(
        training,
        "make_batches",
        lambda plan, chunks, weights, *_: seen.append(weights) or (_ for _ in ()).throw(KeyboardInterrupt),
    )
    with pytest.raises(KeyboardInterrupt):
        finetune_encoder(run, epochs=1, chunks_per_document=1, class_weight="balanced", precision="float32")
    assert seen[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": -1}, "`epochs` must be at least 0, but is -1 instead"),
        ({"learning_rate": 0.0}, "`learning_rate` must be between 0 and 1, but is 0.0 instead"),
        ({"chunks_per_document": 0}, "`chunks_per_document` must be at least 1, but is 0 instead"),
        ({"class_weight": "heavy"}, "`class_weight` must be one of none, balanced, but is 'heavy' instead"),
        ({"precision": "float16"}, "`precision` must be one of auto, float32, bfloat16, but is 'float16' instead"),
        ({"trainable_layers": 3}, "`trainable_layers` must be between 0 and 2"),
        ({"gradient_accumulation": 0}, "`gradient_accumulation` must be at least 1, but is 0 instead"),
        ({"max_grad_norm": -1.0}, "`max_grad_norm` must be above 0 and finite, but is -1.0 instead"),
        ({"layer_decay": 1.5}, "`layer_decay` must be above 0 and at most 1, but is 1.5 instead"),
        ({"layer_decay": None}, "`layer_decay` must be above 0 and at most 1, but is None instead"),
        ({"layer_decay": "0.8"}, "`layer_decay` must be above 0 and at most 1, but is '0.8' instead"),
        ({"epochs": 1.5}, "`epochs` must be at least 0, but is 1.5 instead"),
        ({"epochs": True}, "`epochs` must be at least 0, but is True instead"),
        ({"class_weight": None}, "`class_weight` must be one of none, balanced, but is None instead"),
        ({"layer_decay": 0}, "`layer_decay` must be above 0 and at most 1, but is 0 instead"),
        ({"max_grad_norm": float("nan")}, "`max_grad_norm` must be above 0 and finite, but is nan instead"),
    ],
)
def test_finetune_names_the_argument_that_is_out_of_range(
    tiny_run: Path, tmp_path: Path, arguments: dict, message: str
):
    shutil.copytree(tiny_run / "chunk", tmp_path / "chunk")
    with pytest.raises(HierdocError) as error:
        finetune_encoder(tmp_path, **arguments)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "train", "added"),
    [
        ("finetune", lambda run, **given: finetune_encoder(run, epochs=1, learning_rate=1e-2, precision="float32", **given), {"layer_decay": 0.5}),
        ("heads/lstm", lambda run, **given: train_lstm_head(run, **given), {"words": True}),
    ],
)  # fmt: skip
def test_a_stage_of_before_a_parameter_is_finished_with_what_is_now_its_default(
    tiny_run: Path, tmp_path: Path, name: str, train: Callable[..., FinishedStage], added: dict
):
    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    manifest = json.loads((run / name / MANIFEST).read_text())
    for parameter in added:
        del manifest["parameters"][parameter]
    manifest["fingerprint"] = fingerprint_of(
        {k: v for k, v in manifest.items() if k not in ("fingerprint", "versions")}
    )
    (run / name / MANIFEST).write_text(json.dumps(manifest))
    assert train(run).fingerprint == manifest["fingerprint"]
    with pytest.raises(HierdocError, match=f"already finished with `{next(iter(added))}`"):
        train(run, **added)


def test_each_layer_learns_at_its_share_of_the_next_ones_rate(tiny_run: Path, tmp_path: Path):
    from safetensors.numpy import load_file

    from hierdoc.encoders import ENCODERS
    from hierdoc.encoders.pretrained import find_encoder
    from hierdoc.learning.seeds import seed_tensorflow

    shutil.copytree(tiny_run / "chunk", tmp_path / "chunk")
    rate, decay = 1e-2, 0.1
    # one step, and the rate is the peak's: Adam's first step changes every number that has a gradient by the rate
    finetune_encoder(
        tmp_path, epochs=1, learning_rate=rate, layer_decay=decay, precision="float32", gradient_accumulation=1000
    )
    after = load_file(tmp_path / "finetune/encoder.safetensors")
    seed_tensorflow(0)
    before = ENCODERS["bert"](find_encoder(read_stage(tmp_path, "chunk").details["encoder"]).config).arrays()
    for layer, depth in (("encoder.layer.1.", 1), ("encoder.layer.0.", 2), ("embeddings.", 3)):
        moved = max(float(np.abs(after[name] - before[name]).max()) for name in after if name.startswith(layer))
        assert moved == pytest.approx(rate * decay**depth, rel=0.02)


@pytest.mark.parametrize("arguments", [{}, {"trainable_layers": 1}])
def test_a_step_has_as_many_chunks_as_are_asked_for(
    tiny_run: Path, tmp_path: Path, arguments: dict, capsys: pytest.CaptureFixture[str]
):
    shutil.copytree(tiny_run / "chunk", tmp_path / "chunk")
    trained = {}
    for size in (16, 1000):
        stage = finetune_encoder(
            tmp_path, epochs=1, learning_rate=1e-2, precision="float32", batch_size=size, overwrite=True, **arguments
        )
        trained[size] = (stage.path / "encoder.safetensors").read_bytes()
        said = capsys.readouterr().err
        num_chunks, num_steps = map(int, re.search(r"finetune: (\d+) chunks of .*, (\d+) steps", said).groups())
        assert 100 < num_chunks < 1000 and num_chunks / size <= num_steps <= num_chunks / size + 5  # padded lengths
    assert trained[16] != trained[1000]


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
    before = ENCODERS["bert"](find_encoder(read_stage(tmp_path, "chunk").details["encoder"]).config).arrays()
    moved = {name for name in before if (before[name] != after[name]).any()}
    layers = {
        "freeze_embeddings": {"0", "1"},
        "trainable_layers": set("1" if arguments.get("trainable_layers") else ""),
    }
    assert {name.split(".")[2] for name in moved} == layers[next(iter(arguments))]
    assert not any(name.startswith("embeddings.") for name in moved)


def test_a_run_that_is_stopped_while_it_overwrites_goes_on_without_overwrite(
    tiny_run: Path, tmp_path: Path, tiny_csv: Path, tiny_encoder: str, monkeypatch: pytest.MonkeyPatch
):
    from hierdoc import embed

    run = tmp_path / "run"
    shutil.copytree(tiny_run, run)
    arguments = dict(
        id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=9, epochs=1, learning_rate=1e-2,
        precision="float32",
    )  # fmt: skip

    def stop(*rest, **named):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(embed, "embed_chunks", stop)
        with pytest.raises(KeyboardInterrupt):
            run_pipeline(tiny_csv, run, overwrite=True, **arguments)
    trained = read_stage(run, "finetune").fingerprint
    again = run_pipeline(tiny_csv, run, **arguments)
    assert read_stage(run, "finetune").fingerprint == trained  # it was not trained a second time
    assert again.fingerprint == run_pipeline(tiny_csv, tmp_path / "fresh", **arguments).fingerprint
