"""The chunk head fitted by scikit-learn, and dev documents that nothing can be chosen by."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CONFIG, tiny_rows, write_csv
from reference.numpy_bert import cls_vector, random_arrays
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from hierdoc import HierdocError, chunk_documents, finetune_encoder, train_lstm_head
from hierdoc.encoders.bert import BertEncoder
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.encoder import fit_softmax
from hierdoc.learning.history import History
from hierdoc.objectives import ONE_LABEL
from hierdoc.sequences.reading import TrainingChunks
from hierdoc.stages.finished import read_stage

FULL = {
    **CONFIG,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
}
PARAMETERS: dict[str, Any] = {
    "precision": "float32",
    "class_weight": "none",
    "gradient_accumulation": 1,
    "max_grad_norm": None,
}


def chunks_of(label_ids: list[int], seed: int) -> TrainingChunks:
    """Chunks of random words; one word in them depends on the class."""
    rng = np.random.default_rng(seed)
    rows = [np.array([2, *rng.integers(8, 19, rng.integers(1, 7)), 5 + label % 3, 3], np.int32) for label in label_ids]
    lengths, places = np.array([len(row) for row in rows]), np.zeros(len(rows), np.int32)
    return TrainingChunks(
        rows, lengths, np.arange(len(rows)), np.int32(label_ids), places, [f"d{at}" for at in range(len(rows))]
    )


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("class_weight", ["none", "balanced"])
def test_the_fitted_softmax_gives_scikit_learns_probabilities(tmp_path: Path, num_classes: int, class_weight: str):
    labels = [0, 0, 0, 1, *range(num_classes)] * 8
    train, dev = chunks_of(labels, 0), chunks_of([0, 1, 1], 1)
    encoder, arrays = BertEncoder(FULL), random_arrays(FULL, 0)
    encoder.assign(arrays, "the test")
    head, epoch, _ = fit_softmax(
        encoder,
        train,
        dev,
        num_classes,
        10,
        {**PARAMETERS, "class_weight": class_weight},
        History(tmp_path / "h.jsonl"),
        Checkpoints(tmp_path),
    )
    vectors, new = (np.stack([cls_vector(FULL, arrays, row.tolist()) for row in part.rows]) for part in (train, dev))
    weight = None if class_weight == "none" else "balanced"
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000, class_weight=weight)).fit(vectors, labels)
    assert epoch == 0 and head["kernel"].shape == (8, num_classes) and head["bias"].shape == (num_classes,)
    # the solver stops at a gradient of 1e-4, from vectors that differ in the 7th digit
    np.testing.assert_allclose(
        ONE_LABEL.chunk_probs(new.astype(np.float32), head), model.predict_proba(new), rtol=0, atol=2e-3
    )
    wanted = (model.predict(new) == [0, 1, 1]).mean()
    line = json.loads((tmp_path / "h.jsonl").read_text())
    assert line["epoch"] == 0 and line["dev_chunk_accuracy"] == pytest.approx(wanted)


def test_dev_documents_of_unseen_classes_alone_are_refused_before_anything_is_removed(
    tmp_path: Path, tiny_encoder: str, tiny_run: Path
):
    rows = [{**row, "label": "birds" if row["split"] == "dev" else row["label"]} for row in tiny_rows()]
    run = tmp_path / "run"
    data = write_csv(tmp_path / "d.csv", rows)
    chunk_documents(data, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10)
    shutil.copytree(tiny_run / "finetune", run / "finetune")
    shutil.copytree(tiny_run / "embed", run / "embed")
    for train in (finetune_encoder, train_lstm_head):
        with pytest.raises(HierdocError, match="dev"):
            train(run, overwrite=True)
    assert read_stage(run, "finetune").fingerprint == read_stage(tiny_run, "finetune").fingerprint
    assert not (run / "heads").exists()
