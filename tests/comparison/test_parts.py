"""What is kept of one arm on one split file, against the tables of its stages."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierdoc import chunk_documents, evaluate_head
from hierdoc.comparison.parts import (
    answering_seconds,
    coverage,
    cpu_seconds,
    part_facts,
    predictions_of_part,
    training_seconds,
)
from hierdoc.comparison.results import metrics_of
from hierdoc.stages.finished import read_stage
from hierdoc.stages.store import FinishedStage

ROWS = [  # id, words, label, split; m1 and m2 are near-duplicates
    ("a1", "the cat sat far " * 6, "cats", "train"),
    ("a2", "cat cat zebra", "cats", "train"),
    ("b1", "the dog ran", "dogs", "train"),
    ("m1", "a dog ran far and a cat sat and the fish swam far", "dogs", "train"),
    ("b2", "dog dog", "dogs", "dev"),
    ("m2", "a dog ran far and a cat sat and the fish swam far", "dogs", "test"),
    ("c1", "dog ran dog dog", "cats", "test"),  # taken for dogs
    ("c2", "fish swam far", "fish", "test"),  # a class that train never saw
]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, tiny_encoder: str) -> dict[str, FinishedStage]:
    folder = tmp_path_factory.mktemp("parts")
    table = pa.table(dict(zip(("id", "text", "label", "split"), zip(*ROWS, strict=True), strict=True)))
    pq.write_table(table, folder / "rows.parquet")
    run = folder / "run"
    chunk_documents(
        str(folder / "rows.parquet"), run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10,
        overlap=2, max_chunks=2,
    )  # fmt: skip
    for split in ("dev", "test"):
        evaluate_head(run, baseline="tfidf_logistic", split=split)
    names = ("chunk", "evaluate/tfidf_logistic", "evaluate/tfidf_logistic-dev")
    return {name: read_stage(run, name) for name in names}


def test_predictions_have_their_own_documents_facts(stages: dict[str, FinishedStage]):
    found = predictions_of_part(stages["chunk"], stages["evaluate/tfidf_logistic"], 3).to_pylist()
    said = {row["doc_id"]: row for row in pq.read_table(stages["evaluate/tfidf_logistic"].path / "predictions.parquet").to_pylist()}  # fmt: skip
    assert [(row["doc_id"], row["num_tokens"], row["near_duplicate_of_train"]) for row in found] == [
        ("c1", 4, False),
        ("c2", 3, False),
        ("m2", 13, True),
    ]
    for row in found:
        beside = said[row["doc_id"]]
        assert row["part"] == 3 and row["true_label"] == beside["true_label"] and row["label"] == beside["label"]
        assert row["probability"] == beside["probability"]
        assert row["true_probability"] == beside.get(f"probability:{beside['true_label']}", 0.0)
    assert found[1]["true_probability"] == 0 and any(
        row["true_probability"] != row["probability"] for row in found[::2]
    )


def test_a_results_figures_are_those_of_evaluate(stages: dict[str, FinishedStage]):
    evaluate = stages["evaluate/tfidf_logistic"]
    found = metrics_of(predictions_of_part(stages["chunk"], evaluate, 0))
    said = json.loads((evaluate.path / "metrics.json").read_text())
    for name in ("document_accuracy", "document_macro_f1", "log_loss", "expected_calibration_error", "num_documents"):
        assert found[name] == pytest.approx(said[name], abs=1e-6), name


def test_coverage_counts_each_token_once(stages: dict[str, FinishedStage]):
    found = coverage(stages["chunk"])
    # a1 has 24 tokens, of which two chunks of 8 that share 2 hold 14; m1 and m2 have 13 of 13
    assert found["cats"] == {"documents": 3, "tokens": 24 + 3 + 4, "kept": 14 + 3 + 4, "unknown": 1}
    assert found["dogs"] == {"documents": 4, "tokens": 3 + 13 + 2 + 13, "kept": 31, "unknown": 0}
    assert list(found) == ["cats", "dogs", "fish"]


def test_a_part_has_its_own_timings_and_devs_figures(stages: dict[str, FinishedStage], tmp_path: Path):
    split = tmp_path / "fold-1.csv"
    split.write_text("x")
    facts = part_facts(stages, "evaluate/tfidf_logistic", split)
    for name, stage in stages.items():
        assert facts["timings"][name] == json.loads((stage.path / "timings.json").read_text())
        assert facts["fingerprints"][name] == stage.fingerprint
    dev = json.loads((stages["evaluate/tfidf_logistic-dev"].path / "metrics.json").read_text())
    assert facts["dev"]["num_documents"] == 1 == dev["num_documents"]
    assert facts["documents_by_split"] == {"train": 4, "dev": 1, "test": 3}
    assert training_seconds(facts) == 0
    assert answering_seconds(facts) == facts["timings"]["evaluate/tfidf_logistic"]["seconds"]


def test_own_codes_training_is_what_it_says():
    timings = {"finetune": {"seconds": 5.0}, "evaluate/own": {"seconds": 2.0}, "evaluate/own-dev": {"seconds": 900.0}}
    assert training_seconds({"timings": timings}) == 5 and answering_seconds({"timings": timings}) == 2
    timings["evaluate/own"]["training_seconds"] = 903.0
    assert training_seconds({"timings": timings}) == 903


def test_a_parts_cpu_seconds_are_those_of_training_encoding_and_answering():
    timings = {
        "chunk": {"cpu_seconds": 1000.0},
        "finetune": {"cpu_seconds": 100.0},
        "embed": {"cpu_seconds": 20.0},
        "heads/lstm": {"cpu_seconds": 3.0},
        "evaluate/lstm": {"seconds": 18.0, "cpu_seconds": 9.0, "beside_seconds": 14.0, "beside_cpu_seconds": 6.0},
        "evaluate/lstm-dev": {"cpu_seconds": 1000.0},
    }
    assert cpu_seconds({"timings": timings}) == 126
    del timings["evaluate/lstm"]["beside_cpu_seconds"]  # as an earlier version told: 9 seconds of 18, so 7 of 14
    assert cpu_seconds({"timings": timings}) == 125
    del timings["embed"]["cpu_seconds"]
    assert cpu_seconds({"timings": timings}) is None
    assert cpu_seconds({"timings": {"evaluate/own": {"cpu_seconds": 1.0, "training_seconds": 900.0}}}) is None
