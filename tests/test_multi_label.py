"""Documents with any number of labels, through every command, on a ten-word world."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import write_csv
from sklearn.metrics import f1_score

from hierdoc import (
    chunk,
    doctor,
    embed_chunks,
    evaluate,
    evaluate_head,
    experiment,
    finetune_encoder,
    predict,
    predict_documents,
    report,
    splits,
    train_head,
    tune,
)
from hierdoc import run as run_command
from hierdoc.answers.thresholds import FEW, tune_thresholds
from hierdoc.comparison import apart
from hierdoc.comparison.results import read_results
from hierdoc.corpus.split_files import text_sha256
from hierdoc.doctor import examine
from hierdoc.export import export_run
from hierdoc.stages.finished import read_stage

KINDS = [("cats", "cat sat"), ("dogs", "dog ran"), ("fish", "fish swam")]


def rows() -> list[dict[str, str]]:
    """64 documents of 1 to 5 chunks of 10 tokens, with each of the three labels or not; two of test know another label."""
    found = []
    for number in range(64):
        mine = [kind for at, kind in enumerate(KINDS) if number >> at & 1]
        words = " and ".join(text for _, text in mine) or "far"
        labels = [label for label, _ in mine]
        if number in (49, 50):
            labels.append("birds")
        text = " ".join(f"the {words} and a {words}." for _ in range(1 + number % 4))
        split = "dev" if number in range(24, 48) else "test" if number >= 48 else "train"
        found.append({"id": f"{number:02d}", "text": text, "label": "|".join(labels), "split": split})
    return found


FLAGS = ["--id-column", "id", "--split-column", "split", "--multi-label", "--chunk-size", "10"]
LEARN = ["--epochs", "2", "--learning-rate", "0.01", "--precision", "float32"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: str) -> Path:
    """A run with all five stages. Do not write into it."""
    place = tmp_path_factory.mktemp("labels")
    data = write_csv(place / "labels.csv", rows())
    assert run_command.main([str(data), str(place / "run"), *FLAGS, *LEARN, "--encoder", tiny_encoder]) == 0
    return place / "run"


def predictions(run: Path, name: str = "mean_pool") -> list[dict]:
    return pq.read_table(run / "evaluate" / name / "predictions.parquet").to_pylist()


def test_the_metrics_are_those_of_the_predictions(run: Path):
    metrics = json.loads((run / "evaluate/mean_pool/metrics.json").read_text())
    found = predictions(run)
    truth = {row["id"]: set(filter(None, row["label"].split("|"))) for row in rows() if row["split"] == "test"}
    assert {row["doc_id"]: set(row["true_labels"]) for row in found} == truth
    assert metrics["labels"] == ["cats", "dogs", "fish"]
    hits = sum(len(truth[row["doc_id"]] & set(row["labels"])) for row in found)
    total = sum(len(truth[row["doc_id"]]) + len(row["labels"]) for row in found)
    assert metrics["document_micro_f1"] == pytest.approx(2 * hits / total)
    assert metrics["exact_match"] == pytest.approx(
        np.mean([truth[row["doc_id"]] == set(row["labels"]) for row in found])
    )
    assert metrics["num_unseen_labels"] == 2 and metrics["num_without_label"] == 2
    assert {"average_micro_f1", "first_chunk_micro_f1", "tfidf_svm_micro_f1", "majority_micro_f1"} <= metrics.keys()
    assert metrics["tfidf_svm_micro_f1"] > 0.9  # each label has words of its own; `birds` is never given
    assert metrics["chunk_micro_f1"] == pytest.approx(chunk_micro_f1(run))


def chunk_micro_f1(run: Path) -> float:
    """Of test's chunks, by thresholds that dev's chunks tune; a label that train never saw is missed in each of them."""
    labels, sides = ["cats", "dogs", "fish"], {}
    of_document = {row["id"]: row for row in rows()}
    chunks = pq.read_table(run / "embed/vectors-00000.parquet").to_pylist()
    for split in ("dev", "test"):
        mine = [chunk for chunk in chunks if of_document[chunk["doc_id"]]["split"] == split]
        given = [of_document[chunk["doc_id"]]["label"].split("|") for chunk in mine]
        truth = np.array([[label in its for label in labels] for its in given])
        unseen = sum("birds" in its for its in given)
        sides[split] = np.array([chunk["probs"] for chunk in mine], np.float32), truth, unseen
    probs, truth, unseen = sides["test"]
    answers = probs >= tune_thresholds(*sides["dev"][:2])
    return 2 * (answers & truth).sum() / (answers.sum() + truth.sum() + unseen)


def test_labels_are_given_from_the_thresholds_of_dev_on(run: Path):
    thresholds = json.loads((run / "heads/mean_pool/thresholds.json").read_text())["thresholds"]
    for row in predictions(run):
        given = [label for label in ("cats", "dogs", "fish") if row[f"probability:{label}"] >= thresholds[label]]
        assert row["labels"] == given
    dev = {row["id"]: row["label"].split("|") for row in rows() if row["split"] == "dev"}
    evaluated = evaluate_head(run, split="dev")
    found = pq.read_table(evaluated.path / "predictions.parquet").to_pylist()
    for label in thresholds:
        truth = np.array([label in dev[row["doc_id"]] for row in found])
        probs = np.array([row[f"probability:{label}"] for row in found])
        best = max(f1_score(truth, probs >= at, zero_division=0) for at in probs)
        assert truth.sum() >= FEW  # so that its threshold is its own
        assert f1_score(truth, probs >= thresholds[label]) == pytest.approx(best)
    assert read_stage(run, "heads/mean_pool").details["tuned_dev_micro_f1"] == evaluated.details["document_micro_f1"]


def test_labels_that_share_a_threshold_are_counted(run: Path, tmp_path: Path, capsys, monkeypatch):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    monkeypatch.setattr("hierdoc.answers.thresholds.FEW", 1000)
    train_head.train_sequence_head(copy, epochs=1, overwrite=True)
    assert "thresholds: 3 of 3 labels have fewer than 1000 documents in dev and share one" in capsys.readouterr().err
    found = json.loads((copy / "heads/mean_pool/thresholds.json").read_text())["thresholds"]
    assert len(set(found.values())) == 1


def test_predict_gives_the_answers_of_evaluate_in_every_format(run: Path, tmp_path: Path, capsys):
    new = pd.DataFrame([{"id": row["id"], "text": row["text"]} for row in rows() if row["split"] == "test"])
    wanted = {row["doc_id"]: row for row in predictions(run)}
    frame = predict_documents(run, new)
    assert frame["labels"].tolist() == [wanted[doc_id]["labels"] for doc_id in frame["doc_id"]]
    assert frame["probability:cats"].tolist() == [wanted[doc_id]["probability:cats"] for doc_id in frame["doc_id"]]
    assert not {"label", "probability"} & set(frame.columns)
    for suffix in ("csv", "jsonl", "parquet"):
        predict_documents(run, new, tmp_path / f"out.{suffix}")
    with (tmp_path / "out.csv").open() as file:
        assert [row["labels"] for row in csv.DictReader(file)] == ["|".join(labels) for labels in frame["labels"]]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line["labels"] for line in lines] == frame["labels"].tolist()
    assert pq.read_table(tmp_path / "out.parquet")["labels"].to_pylist() == frame["labels"].tolist()
    new.to_csv(tmp_path / "new.csv", index=False)
    assert predict.main([str(run), str(tmp_path / "new.csv")]) == 0
    assert capsys.readouterr().out == (tmp_path / "out.csv").read_text()


def test_a_person_may_give_thresholds_of_their_own(run: Path, tmp_path: Path, capsys):
    new = write_csv(tmp_path / "new.csv", [{"id": "1", "text": "the cat sat"}, {"id": "2", "text": "far"}])
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"thresholds": {"cats": 0, "dogs": 1, "fish": 0}}))
    assert predict_documents(run, new, thresholds=mine)["labels"].tolist() == [["cats", "fish"]] * 2
    mine.write_text(json.dumps({"thresholds": {"cats": 0, "dogs": 1, "birds": 0}}))
    assert predict.main([str(run), str(new), "--thresholds", str(mine)]) == 2
    assert "a threshold for 'birds', which is none of the run's 3 labels" in capsys.readouterr().err


def test_thresholds_of_an_earlier_training_of_the_head_are_refused(run: Path, tmp_path: Path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    new = write_csv(tmp_path / "new.csv", [{"id": "1", "text": "the cat sat"}])
    earlier = shutil.copy(copy / "heads/mean_pool/thresholds.json", tmp_path / "earlier.json")
    assert len(predict_documents(copy, new, thresholds=earlier)) == 1
    assert train_head.main([str(copy), "--head", "mean_pool", "--epochs", "2", "--overwrite"]) == 0
    assert predict.main([str(copy), str(new), "--thresholds", str(earlier)]) == 2
    assert "earlier.json: holds the thresholds of another training of the head" in capsys.readouterr().err


def test_a_run_of_one_label_each_has_no_thresholds(tiny_run: Path, tmp_path: Path, capsys):
    new = write_csv(tmp_path / "new.csv", [{"id": "1", "text": "the cat sat"}])
    mine = tmp_path / "mine.json"
    mine.write_text(json.dumps({"thresholds": {"cats": 0, "dogs": 1, "fish": 0}}))
    assert predict.main([str(tiny_run), str(new), "--thresholds", str(mine)]) == 2
    assert "names the most probable class, and needs no thresholds" in capsys.readouterr().err


def test_csv_jsonl_and_parquet_lists_make_the_same_documents(tmp_path: Path, tiny_encoder: str):
    lists = [{**row, "label": row["label"].split("|") if row["label"] else []} for row in rows()]
    semicolons = [{**row, "label": row["label"].replace("|", ";")} for row in rows()]
    paths = [write_csv(tmp_path / "a.csv", rows()), write_csv(tmp_path / "b.csv", semicolons)]
    assert any(row["label"] == "" for row in rows())
    for name in ("c.jsonl", "d.parquet"):
        paths.append(tmp_path / name)
    paths[2].write_text("\n".join(map(json.dumps, lists)))
    pd.DataFrame(lists).to_parquet(paths[3])
    found = []
    for path in paths:
        flags = [*FLAGS, "--encoder", tiny_encoder, *(["--label-separator", ";"] if path.name == "b.csv" else [])]
        assert chunk.main([str(path), str(tmp_path / path.stem), *flags]) == 0
        stage = read_stage(tmp_path / path.stem, "chunk")
        assert stage.details["multi_label"] and stage.details["num_without_label"] == 8
        found.append([pq.read_table(path)["labels"].to_pylist() for path in stage.files("documents-")])
    assert found[0] == found[1] == found[2] == found[3]


@pytest.mark.parametrize(
    ("cell", "flags", "said"),
    [
        (
            ["cats", "dogs"],
            [],
            "must hold one label, but holds the list ['cats', 'dogs'] instead; --multi-label reads lists",
        ),
        ([], [], "must hold one label, but holds the list [] instead"),
        (7, ["--multi-label"], "must hold a list of labels, but holds 7 instead"),
        ({"cats": 1}, ["--multi-label"], "must hold a list of labels, but holds {'cats': 1} instead"),
        (["cats", 7], ["--multi-label"], "must hold labels that are text, but holds 7 instead"),
        (["cats", ""], ["--multi-label"], "holds an empty label: ['cats', '']"),
        ("dogs", ["--multi-label"], "must hold a list of labels, empty for none, but holds the text 'dogs'"),
        (None, ["--multi-label"], "must hold a list of labels, empty for none, but is null"),
        (["cats", "cats"], ["--multi-label"], "holds the label 'cats' twice"),
        (["a|b"], ["--multi-label"], "in which the separator '|' stands; give another one with --label-separator"),
    ],
)
def test_labels_that_are_not_as_declared_are_told_with_their_row(
    cell: object, flags: list[str], said: str, tmp_path: Path, tiny_encoder: str, capsys
):
    good = ["cats"] if flags else "cats"
    lines = [{"id": "1", "text": "cat", "label": good}, {"id": "2", "text": "dog", "label": cell}]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    flags = ["--id-column", "id", "--encoder", tiny_encoder, "--chunk-size", "10", *flags]
    assert chunk.main([str(path), str(tmp_path / "run"), *flags]) == 2
    error = capsys.readouterr().err
    assert (
        f"{path}: row 2, document '2': column 'label' " in error and said in error and not (tmp_path / "run").exists()
    )


def test_lists_in_cells_where_one_label_is_declared_are_told_with_their_row(tmp_path: Path, tiny_encoder: str, capsys):
    labels = ["cats", "dogs", "cats|dogs", "cats", "dogs", "fish|chips"]
    given = [{"id": f"d{at}", "text": "cat", "label": label} for at, label in enumerate(labels)]
    path = write_csv(tmp_path / "data.csv", given)
    flags = ["--id-column", "id", "--encoder", tiny_encoder, "--chunk-size", "10"]
    assert chunk.main([str(path), str(tmp_path / "run"), *flags]) == 2
    said = "column 'label' holds a list of other documents' labels, 'cats|dogs'; --multi-label reads lists"
    assert f"{path}: row 3, document 'd2': {said}" in capsys.readouterr().err and not (tmp_path / "run").exists()
    write_csv(path, [row for row in given if row["label"] != "cats|dogs"])  # a class of its own
    stage = chunk.chunk_documents(
        path, tmp_path / "run", id_column="id", encoder=tiny_encoder, split="1/0/0", chunk_size=10
    )
    assert stage.details["labels"] == ["cats", "dogs", "fish|chips"]


@pytest.mark.parametrize(
    ("cell", "said"), [("cats||dogs", "holds an empty label: 'cats||dogs'"), ("|", "an empty label")]
)
def test_an_empty_label_in_a_cell_is_told_with_its_row(cell: str, said: str, tmp_path: Path, tiny_encoder: str, capsys):
    path = write_csv(
        tmp_path / "data.csv", [{"id": "1", "text": "cat", "label": "x"}, {"id": "2", "text": "b", "label": cell}]
    )
    flags = ["--id-column", "id", "--encoder", tiny_encoder, "--chunk-size", "10", "--multi-label"]
    assert chunk.main([str(path), str(tmp_path / "run"), *flags]) == 2
    error = capsys.readouterr().err
    assert f"{path}: row 2, document '2': column 'label' " in error and said in error


def test_a_list_of_one_label_is_that_label(tmp_path: Path, tiny_encoder: str):
    lines = [{"id": row["id"], "text": row["text"], "label": [row["id"][0]]} for row in rows()]
    path = tmp_path / "data.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    stage = chunk.chunk_documents(path, tmp_path / "run", id_column="id", encoder=tiny_encoder, chunk_size=10)
    assert stage.details["labels"] == sorted({row["id"][0] for row in rows()})


@pytest.mark.parametrize(
    ("separator", "cell", "said"),
    [
        (";", "cats|dogs", "no document has more than one label; is another sign than --label-separator says"),
        ("|", "cats| dogs", "1 labels begin or end with a blank, and are others than without it: ' dogs'"),
    ],
)
def test_a_separator_that_seems_wrong_is_warned_of(
    separator: str, cell: str, said: str, tmp_path: Path, tiny_encoder: str, capsys
):
    given = [{**row, "label": cell if number % 2 else ""} for number, row in enumerate(rows())]
    given[0]["label"] = "fish"
    data = write_csv(tmp_path / "data.csv", given)
    flags = [*FLAGS, "--label-separator", separator, "--encoder", tiny_encoder]
    assert chunk.main([str(data), str(tmp_path / "run"), *flags]) == 0
    assert f"warning: {said}" in capsys.readouterr().err


def test_lists_of_one_label_each_are_not_any_number_of_labels(tmp_path: Path, tiny_encoder: str, capsys):
    data = write_csv(
        tmp_path / "one.csv", [{**row, "label": "cats" if row["split"] == "train" else "dogs"} for row in rows()]
    )
    assert chunk.main([str(data), str(tmp_path / "run"), *FLAGS, "--encoder", tiny_encoder]) == 2
    assert (
        "the 64 documents have one label each; leave --multi-label out, or is another sign" in capsys.readouterr().err
    )
    flags = [flag for flag in FLAGS if flag != "--multi-label"]
    assert (
        chunk.main([str(data), str(tmp_path / "run"), *flags, "--encoder", tiny_encoder, "--label-separator", ";"]) == 2
    )
    assert "`label_separator` has no effect without `multi_label`" in capsys.readouterr().err


def test_generated_splits_deal_by_the_rarest_label_and_the_command_can_be_repeated(tmp_path: Path, capsys):
    apart_texts = [" ".join(f"{row['id']}{word}" for word in range(30)) for row in rows()]  # no near-duplicates
    data = write_csv(tmp_path / "labels.csv", [{**row, "text": text} for row, text in zip(rows(), apart_texts)])
    flags = ["--id-column", "id", "--multi-label", "--folds", "4"]
    assert splits.main(["make", str(data), str(tmp_path / "splits"), *flags]) == 0
    facts = json.loads((tmp_path / "splits/split.json").read_text())
    assert facts["classes"] == {"birds": 2, "cats": 32, "dogs": 32, "fish": 32}
    assert "--multi-label" in facts["command"] and "--label-separator" not in facts["command"]
    for name in ("fold-1.csv", "fold-2.csv", "fold-3.csv", "fold-4.csv"):
        by_class = facts["files"][name]["classes_by_split"]["test"]
        assert 14 <= facts["files"][name]["documents_by_split"]["test"] <= 18
        assert all(5 <= by_class[label] <= 11 for label in ("cats", "dogs", "fish"))
    birds = [facts["files"][f"fold-{fold}.csv"]["classes_by_split"]["test"].get("birds", 0) for fold in range(1, 5)]
    assert sorted(birds) == [0, 0, 1, 1]  # though both are also of other labels


@pytest.mark.parametrize("head", ["lstm", "attention"])
def test_heads_without_words_learn_labels_and_go_through_onnx(head: str, run: Path, tmp_path: Path):
    import onnxruntime

    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("heads", "evaluate"))
    assert train_head.main([str(copy), "--head", head, "--epochs", "3"]) == 0
    assert evaluate.main([str(copy), "--head", head]) == 0
    folder = export_run(copy, tmp_path / "exported")
    config = json.loads((folder / "config.json").read_text())
    assert config["multi_label"] and (folder / "thresholds.json").exists()
    first = pq.read_table(copy / "embed/vectors-00000.parquet").to_pylist()[0]
    graph = onnxruntime.InferenceSession(folder / "head.onnx")
    inputs = {"vectors": np.float32([[first["vector"]]]), "mask": np.ones((1, 1), bool)}
    (logits,) = graph.run(["logits"], inputs)
    text = next(row["text"] for row in rows() if row["id"] == first["doc_id"])
    if len(text.split()) <= 8:
        frame = predict_documents(copy, pd.DataFrame({"id": ["x"], "text": [text]}))
        wanted = [frame[f"probability:{label}"][0] for label in config["labels"]]
        np.testing.assert_allclose(1 / (1 + np.exp(-logits[0])), wanted, atol=1e-5)


def test_a_head_that_gives_one_class_is_refused(run: Path, capsys):
    assert train_head.main([str(run), "--head", "mean_probs"]) == 2
    assert "mean_probs gives each document one class" in capsys.readouterr().err


def test_a_baseline_that_dev_decides_is_refused_without_dev(tmp_path: Path, tiny_encoder: str, capsys):
    data = write_csv(tmp_path / "labels.csv", rows())
    copy = str(tmp_path / "run")
    flags = ["--id-column", "id", "--multi-label", "--chunk-size", "10", "--split", "0.5/0/0.5"]
    assert chunk.main([str(data), copy, *flags, "--encoder", tiny_encoder]) == 0
    for name in ("tfidf_svm", "tfidf_logistic", "majority"):
        assert evaluate.main([copy, "--baseline", name]) == 2
        assert f"run/chunk: has no dev documents, by which {name} chooses" in capsys.readouterr().err
    assert not (tmp_path / "run/evaluate").exists()


def test_an_encoder_as_it_is_gets_a_regression_for_each_label(run: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("finetune", "embed", "heads", "evaluate"))
    stage = finetune_encoder(copy, epochs=0, precision="float32")
    of_all = 2 / 3  # the micro-F1 of every label for everyone, as half of the documents have each
    assert stage.details["dev_chunk_micro_f1"] > of_all + 0.1
    embed_chunks(copy, precision="float32")
    found = {name: evaluate_head(copy, baseline=name).details for name in ("average", "max", "vote", "mean_logistic")}
    assert all(of_all < one["document_micro_f1"] <= 1 for one in found.values()), found


def test_an_interrupted_training_of_labels_comes_to_the_same_bytes(run: Path, tmp_path: Path, monkeypatch):
    from hierdoc.learning import checkpoints

    folders = []
    for name in ("whole", "cut"):
        copy = tmp_path / name
        shutil.copytree(run, copy, ignore=shutil.ignore_patterns("finetune", "embed", "heads", "evaluate"))
        arguments = {"epochs": 2, "precision": "float32", "class_weight": "balanced", "learning_rate": 0.01}
        if name == "cut":
            real, calls = checkpoints.Checkpoints.save, []

            def save_and_stop(self, *given):
                real(self, *given)
                calls.append(1)
                if len(calls) == 2:
                    raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(checkpoints.Checkpoints, "is_due", lambda self: True)
                patch.setattr(checkpoints.Checkpoints, "save", save_and_stop)
                with pytest.raises(KeyboardInterrupt):
                    finetune_encoder(copy, **arguments)
        folders.append(finetune_encoder(copy, **arguments).path)
    for file in ("encoder.safetensors", "chunk_head.safetensors", "history.jsonl", "trace-examples.parquet"):
        assert (folders[0] / file).read_bytes() == (folders[1] / file).read_bytes(), file


def test_the_doctor_asks_nothing_of_one_class(run: Path):
    found = examine(run)
    assert {finding.code for finding in found.causes} == {
        "chunks-repeated",
        "near-duplicates",
        "leak",
    }  # which they have
    assert any("these have any number of labels" in line for line in found.not_looked_at)


def test_the_doctor_tells_how_right_labels_are_and_when_nothing_was_learned(
    run: Path, tmp_path: Path, capsys, monkeypatch
):
    evaluate_head(run)
    figures = read_stage(run, "evaluate/mean_pool").details
    (row,) = examine(run).accuracies[:1]
    assert row == {
        "model": "heads/mean_pool and words", "data": "test", "micro_f1": figures["document_micro_f1"],
        "guessing": figures["majority_micro_f1"], "words": figures["tfidf_svm_micro_f1"],
    }  # fmt: skip
    assert doctor.main([str(run)]) == 0
    said = capsys.readouterr().out
    line = f"heads/mean_pool and words, test +{row['micro_f1']:.3f} +{row['guessing']:.3f} +{row['words']:.3f}"
    assert "micro-F1 on held-out data" in said and re.search(line, said) and "No accuracy" not in said
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    symptoms = {}
    for words in (False, True):
        train_head.train_sequence_head(copy, words=words, epochs=1, learning_rate=1e-7, overwrite=True)
        evaluate_head(copy, overwrite=True)
        for limit in (0.2, 0.3):  # the head comes 0.23 of the way from guessing to 1, by its thresholds alone
            monkeypatch.setattr("hierdoc.diagnosis.predictions.LABELS_AT_CHANCE", limit)
            found = examine(copy)
            assert found.accuracies[0]["model"] == "heads/mean_pool" + " and words" * words
            symptoms[words, limit] = [finding for finding in found.findings if finding.code == "at-chance"]
    (symptom,) = symptoms.pop((False, 0.3))
    assert symptom.weight == "symptom" and "by the most frequent labels for every document" in symptom.evidence[0]
    assert list(symptoms.values()) == [[], [], []]


def test_the_doctor_still_sees_vectors_of_another_encoder(run: Path, tmp_path: Path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    shutil.rmtree(copy / "finetune")
    finetune_encoder(copy, epochs=1, learning_rate=0.02, precision="float32")
    assert "stages-out-of-date" in [finding.code for finding in examine(copy).causes]


CONFIG = """
question: Are labels as easy as classes?
baseline: tfidf_svm
data:
  labels:
    files: [labels.csv]
    splits: [split.csv]
    chunk: {{id_column: id, encoder: "{encoder}", chunk_size: 10, multi_label: true}}
    finetune: {{epochs: 1, precision: float32}}
arms:
  mean_pool: {{head: {{epochs: 3, words: true}}}}
  average:
  tfidf_svm:
"""


def test_an_experiment_on_labels_comes_to_a_report(tmp_path: Path, tiny_encoder: str, monkeypatch):
    monkeypatch.setattr(apart, "call", lambda function, **arguments: function(**arguments))
    folder = tmp_path / "001-labels"
    folder.mkdir()
    write_csv(tmp_path / "labels.csv", [{key: row[key] for key in ("id", "text", "label")} for row in rows()])
    split = [{"doc_id": row["id"], "split": row["split"], "sha256": text_sha256(row["text"])} for row in rows()]
    write_csv(folder / "split.csv", split)
    (folder / "config.yaml").write_text(CONFIG.format(encoder=tiny_encoder))
    assert experiment.main([str(folder), "--data", str(tmp_path), "--runs", str(tmp_path / "runs")]) == 0
    assert report.main([str(folder), "--runs", str(tmp_path / "runs")]) == 0
    chosen = json.loads((folder / "results/selection.json").read_text())["labels"]
    assert chosen["mean_dev_micro_f1"][chosen["chosen"]] == max(chosen["mean_dev_micro_f1"].values())
    by_arm = {result.facts["arm"]: result for result in read_results(folder)}
    for arm, result in by_arm.items():
        (metrics,) = (tmp_path / "runs").rglob(f"evaluate/{arm}/metrics.json")
        read = json.loads(metrics.read_text())
        for name in (
            "document_micro_f1",
            "document_f1",
            "document_macro_f1",
            "exact_match",
            "ranking_precision",
            "log_loss",
        ):
            assert (name in result.facts["metrics"]) == (name in read)
            # the result's labels are those that occur, a label that train never saw among them
            assert result.facts["metrics"].get(name) == pytest.approx(read.get(name)), name
        assert result.hits.mean() == pytest.approx(read["document_f1"])
    page = (folder / "report.md").read_text()
    assert "F1 of a document" in page and "micro F1" in page and "given too many" in page
    assert "A document counts for each of its labels" in page and "| all |" not in page
    assert f"{by_arm['tfidf_svm'].facts['metrics']['document_micro_f1']:.3f}" in page


def test_heads_are_tuned_by_the_micro_f1(run: Path, tmp_path: Path, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("heads", "evaluate"))
    assert tune.main([str(copy), "--trials", "2", "--epochs", "2"]) == 0
    assert "/tune: dev micro-F1 " in capsys.readouterr().out
    found = read_stage(copy, "tune")
    best = max(json.loads((found.path / "trials.json").read_text())["trials"], key=lambda trial: trial["dev_micro_f1"])
    assert "mean_probs" not in found.parameters["heads"]
    assert found.details["dev_micro_f1"] == best["dev_micro_f1"] and found.details["head"] == best["head"]
    assert tune.main([str(copy), "--heads", "lstm,mean_probs", "--overwrite"]) == 2
    assert "mean_probs gives each document one class" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        (
            "np.zeros(16, int), np.zeros((16, 3))",
            "its label_ids must be bool of shape (16, 3), but are int64 of (16,) instead",
        ),
        (
            "np.zeros((16, 3)), np.zeros((16, 3))",
            "its label_ids must be bool of shape (16, 3), but are float64 of (16, 3)",
        ),
        ("np.zeros((16, 3), bool), np.zeros((16, 4))", "its probs must have shape (16, 3), but have (16, 4) instead"),
    ],
)
def test_own_code_must_answer_in_the_shape_of_labels(returned: str, said: str, run: Path, tmp_path: Path):
    from hierdoc import HierdocError
    from hierdoc.evaluate import evaluate_own

    code = tmp_path / "own.py"
    code.write_text(
        "import numpy as np\nfrom hierdoc.evaluation.baselines import Answers\n"
        f"def answer(run, split, seed):\n    return Answers({returned})\n"
    )
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("evaluate"))
    with pytest.raises(HierdocError) as error:
        evaluate_own(copy, code)
    assert said in str(error.value)


def test_what_can_not_be_done_is_said_before_anything_is_removed(run: Path, tmp_path: Path, tiny_encoder: str, capsys):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (copy / "tokens").mkdir()
    data = str(run.parent / "labels.csv")
    for wrong in (["--head", "mean_probs"], ["--pooling", "last4", "--trainable-layers", "0"]):
        assert (
            run_command.main([data, str(copy), *FLAGS, *LEARN, "--encoder", tiny_encoder, "--overwrite", *wrong]) == 2
        )
        assert (copy / "evaluate/mean_pool/manifest.json").exists() and (copy / "finetune/manifest.json").exists()
    assert predict.main([str(copy), data, "--thresholds", str(tmp_path / "none.json")]) == 2
    assert "none.json: no such file of thresholds" in capsys.readouterr().err


def test_documents_of_dev_without_any_label_are_told_of_as_such(tmp_path: Path, tiny_encoder: str, capsys):
    data = write_csv(
        tmp_path / "x.csv", [{**row, "label": "" if row["split"] == "dev" else row["label"]} for row in rows()]
    )
    assert chunk.main([str(data), str(tmp_path / "run"), *FLAGS, "--encoder", tiny_encoder]) == 0
    assert "no epoch can be chosen on them: they have no label" in capsys.readouterr().err
