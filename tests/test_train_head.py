"""train_head's choices: every head by name, what it reads, and words beside it; through evaluate, predict, doctor and export."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from hierdoc import HierdocError, evaluate_head, export_run, predict_documents, run_pipeline, train_sequence_head
from hierdoc.doctor import examine
from hierdoc.heads import HEADS, find_head
from hierdoc.stages.finished import is_finished, read_stage


@pytest.fixture()
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """The tiny run up to embed."""
    shutil.copytree(tiny_run, tmp_path / "run", ignore=shutil.ignore_patterns("heads", "evaluate"))
    return tmp_path / "run"


def as_evaluated_and_as_predicted(run: Path, head: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The test documents' predictions by evaluate, and by predict from a copy of what a predictor needs."""
    evaluate_head(run, head)
    wanted = pq.read_table(run / f"evaluate/{head}/predictions.parquet").to_pandas().set_index("doc_id")
    copied = run.parent / "copied"
    for name in ("finetune", f"heads/{head}"):
        shutil.copytree(run / name, copied / name)
    documents = pd.concat(pd.read_parquet(path) for path in sorted((run / "chunk").glob("documents-*.parquet")))
    test = documents[documents["split"] == "test"]
    shutil.rmtree(run / "chunk")
    found = predict_documents(copied, pd.DataFrame({"id": test["doc_id"], "text": test["text"]}), head=head)
    return wanted, found.set_index("doc_id").loc[wanted.index]


@pytest.mark.parametrize("head", sorted(HEADS))
def test_every_head_is_trained_and_predicts_what_it_was_evaluated_with(run: Path, head: str):
    stage = train_sequence_head(run, head, epochs=1)
    assert stage.path == run / "heads" / head and stage.parameters["head"] == head
    wanted, found = as_evaluated_and_as_predicted(run, head)
    columns = [name for name in found if name.startswith("probability")]
    np.testing.assert_array_equal(found[columns].to_numpy(), wanted[columns].to_numpy())
    assert len(found) == 6


@pytest.mark.parametrize(("inputs", "size"), [("vectors", 8), ("probs", 3), ("both", 11)])
def test_a_head_reads_vectors_or_probabilities_or_both(run: Path, inputs: str, size: int):
    from safetensors.numpy import load_file

    train_sequence_head(run, "lstm", inputs, epochs=1)
    assert load_file(run / "heads/lstm/weights.safetensors")["lstm/lstm_cell/kernel"].shape == (size, 400)
    found = {finding.code for finding in examine(run).findings}
    assert not found & {"vectors-never-made", "vectors-of-other-documents", "chunks-left-out", "documents-never-seen"}
    if inputs != "vectors":
        with pytest.raises(HierdocError, match=f"reads {inputs} of the chunks"):
            export_run(run, run.parent / "exported")
    wanted, found = as_evaluated_and_as_predicted(run, "lstm")
    np.testing.assert_array_equal(found["probability"].to_numpy(), wanted["probability"].to_numpy())


def test_words_are_joined_with_a_head_and_the_copied_predictor_has_them(run: Path, capsys: pytest.CaptureFixture[str]):
    stage = train_sequence_head(run, "lstm", words=True, epochs=1)
    assert {"words_dev_accuracy", "joined_dev_accuracy", "joined_dev_loss"} <= set(stage.details)
    assert "words.parquet" in stage.manifest["files"]
    assert "of dev by words" in capsys.readouterr().err
    exported = export_run(run, run.parent / "exported")
    assert (exported / "words.parquet").read_bytes() == (run / "heads/lstm/words.parquet").read_bytes()
    alone = run.parent / "alone"
    shutil.copytree(run, alone, ignore=shutil.ignore_patterns("heads"))
    train_sequence_head(alone, "lstm", epochs=1)
    evaluate_head(alone)
    without = pq.read_table(alone / "evaluate/lstm/predictions.parquet").to_pandas().set_index("doc_id")
    wanted, found = as_evaluated_and_as_predicted(run, "lstm")
    np.testing.assert_array_equal(found["probability"].to_numpy(), wanted["probability"].to_numpy())
    assert np.abs(wanted["probability"] - without["probability"]).max() > 1e-4


def test_another_kind_of_input_is_refused_by_name(run: Path):
    with pytest.raises(HierdocError, match="`inputs` must be one of vectors, probs, both, but is 'words' instead"):
        train_sequence_head(run, "lstm", "words")
    assert not (run / "heads").exists()


def test_a_finished_head_with_other_inputs_is_not_taken_for_this_one(run: Path):
    train_sequence_head(run, "mean_pool", "probs", epochs=1)
    with pytest.raises(HierdocError, match='already finished with `inputs` "probs", not "vectors"'):
        train_sequence_head(run, "mean_pool", epochs=1)
    assert read_stage(run, "heads/mean_pool").parameters["inputs"] == "probs"


def test_without_a_name_the_head_that_is_there_is_meant_and_of_several_one_must_be_named(
    run: Path, capsys: pytest.CaptureFixture[str]
):
    data = pd.DataFrame({"id": ["a", "b"], "text": ["the cat sat", "a dog ran"]})
    with pytest.raises(HierdocError, match="heads/mean_pool.*python -m hierdoc.train_head .* --head mean_pool"):
        predict_documents(run, data)
    train_sequence_head(run, "mean_pool", epochs=1)
    assert evaluate_head(run).path == run / "evaluate/mean_pool"
    found = predict_documents(run, data)
    pd.testing.assert_frame_equal(found, predict_documents(run, data, head="mean_pool"))
    export_run(run, run.parent / "exported")
    train_sequence_head(run, "gru", epochs=1)
    for asked in (
        lambda: predict_documents(run, data),
        lambda: evaluate_head(run),
        lambda: export_run(run, run.parent / "again"),
    ):
        with pytest.raises(HierdocError, match=f"{run / 'heads'}: has gru, mean_pool; say by `head` which one"):
            asked()
    assert predict_documents(run, data, head="gru")["probability"].tolist() != found["probability"].tolist()


def test_run_trains_the_head_that_was_asked_for_and_overwrite_removes_it(
    tiny_csv: Path, tiny_encoder: str, tmp_path: Path
):
    asked = {"id_column": "id", "encoder": tiny_encoder, "chunk_size": 8, "epochs": 1, "split_column": "split"}
    stage = run_pipeline(tiny_csv, tmp_path / "run", head="attention", words=True, **asked)
    assert stage.path == tmp_path / "run/evaluate/attention"
    head = read_stage(tmp_path / "run", "heads/attention")
    assert head.parameters["words"] and (head.path / "words.parquet").exists()
    assert not (tmp_path / "run/heads/lstm").exists()
    with pytest.raises(HierdocError, match="`head` must be one of attention"):
        run_pipeline(tiny_csv, tmp_path / "run", head="tree", overwrite=True, **asked)
    assert head.path.exists()
    train_sequence_head(tmp_path / "run", "gru", epochs=1)
    evaluate_head(tmp_path / "run", "gru", split="dev")
    run_pipeline(tiny_csv, tmp_path / "run", head="attention", words=False, overwrite=True, **asked)
    assert not read_stage(tmp_path / "run", "heads/attention").parameters["words"]
    for stale in ("heads/gru", "evaluate/gru-dev"):
        assert not is_finished(tmp_path / "run", stale)
    assert find_head(tmp_path / "run") == "attention"


def test_run_trains_the_mean_of_the_vectors_joined_with_words_unless_told_otherwise(
    tiny_csv: Path, tiny_encoder: str, tmp_path: Path
):
    run_pipeline(
        tiny_csv, tmp_path / "run", id_column="id", encoder=tiny_encoder, chunk_size=8, epochs=1, split_column="split"
    )
    head = read_stage(tmp_path / "run", "heads/mean_pool")
    assert head.parameters["words"] and head.parameters["inputs"] == "vectors"
    exported = export_run(tmp_path / "run", tmp_path / "exported")
    assert {"head.onnx", "words.parquet"} <= {path.name for path in exported.iterdir()}
