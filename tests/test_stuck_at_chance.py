"""experiments/020-stuck-at-chance: a tiny case from documents to its result, and what the tables say."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import tiny_rows

from hierdoc.tracing.files import read_trace

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "experiments/020-stuck-at-chance"


@pytest.fixture(scope="module")
def finished(
    tmp_path_factory: pytest.TempPathFactory, tiny_csv: Path, tiny_encoder: str
) -> tuple[Path, list[str], str]:
    """A folder with the results and traces of two tiny cases, the command that made them, and what it said."""
    folder = tmp_path_factory.mktemp("stuck")
    rows = [(row["id"], row["split"], hashlib.sha256(row["text"].encode()).hexdigest()) for row in tiny_rows()]
    (folder / "split.csv").write_text("\n".join(["doc_id,split,sha256", *map(",".join, rows)]) + "\n")
    config = {
        "datasets": {
            "tiny": {
                "split": "split.csv",
                "encoder": tiny_encoder,
                "chunk_size": 10,
                "class_lists": {"base": ["cats", "dogs", "fish"]},
            }
        },
        "base": {
            "documents": {"classes": "base", "max_chunks": 9},
            "chunks": {"padded_to": 12, "epochs": 1, "learning_rate": 0.01},
            "head": {"epochs": 2},
        },
        "sources": {},
        "hierdoc": None,
        "healthy": [{"name": "as_it_should_be"}],
        "causes": [
            {
                "name": "labels_from_one",
                "codes": ["anything"],
                "strengths": [{"break": {"labels_from_one": {"only": 0, "outputs": 3}}}],
            }
        ],
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    command = [
        sys.executable, str(FOLDER / "run.py"), "--data", f"tiny={tiny_csv}", "--config", str(folder / "config.yaml"),
        "--build", str(folder / "build"), "--results", str(folder / "results"),
    ]  # fmt: skip
    return folder, command, run(command)


def run(command: list[str]) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def result_of(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / f"results/tiny/{name}.json").read_text())


def test_a_case_is_trained_recorded_examined_and_written_down(finished: tuple[Path, list[str], str]):
    folder, _, said = finished
    assert "2 results written, 2 in all" in said
    healthy, broken = result_of(folder, "as_it_should_be"), result_of(folder, "labels_from_one-1")
    # tiny_rows deals 14 groups of three to train, train, train, dev, test in turn: nine are train's and two test's
    assert healthy["num_documents"] == {"train": 27, "val": 6}
    assert healthy["majority_rate"] == healthy["class_0_rate"] == round(2 / 6, 4)
    assert healthy["hierdoc_accuracy"] is None and isinstance(healthy["findings"], list)
    # a label that no output stands for makes the loss no number, and every answer class 0, which is nobody's now
    assert broken["accuracy"] == 0 and broken["class_0_rate"] == 0 and broken["commonest_answer_rate"] == 1


def test_the_traces_say_what_was_trained_on_and_nothing_of_the_case(finished: tuple[Path, list[str], str]):
    folder, _, _ = finished
    traces = sorted((folder / "build/tiny/traces").iterdir())
    assert len(traces) == 2
    nan = 0
    for path in traces:
        assert sorted(part.name for part in path.iterdir()) == ["chunks", "documents"]
        chunks, documents = read_trace(path / "chunks"), read_trace(path / "documents")
        assert documents.facts["finished"] and documents.facts["num_documents"] == 27
        assert len(documents.examples) == 27 and len(documents.dev) == 6
        # ten tokens a chunk, eight of them a document's: each document's chunks were noted when they were made
        assert sum(split == "train" for split in documents.made["split"].to_pylist()) == len(chunks.examples)
        assert set(documents.examples["doc_id"].to_pylist()) == set(chunks.examples["doc_id"].to_pylist())
        nan += any(loss != loss for loss in documents.steps["loss"].to_pylist())
        assert "label" not in path.name and "should" not in path.name
        for part in path.rglob("*"):
            content = part.read_bytes() if part.is_file() else b""
            assert b"labels_from_one" not in content and b"as_it_should_be" not in content
            assert b"stuck" not in content
    assert nan == 1


def test_the_same_command_again_does_nothing_and_a_lost_result_is_made_again(finished: tuple[Path, list[str], str]):
    folder, command, _ = finished
    path = folder / "results/tiny/as_it_should_be.json"
    before, stamp = path.read_text(), path.stat().st_mtime_ns
    assert "0 results written, 2 in all" in run(command)
    assert path.stat().st_mtime_ns == stamp
    assert "2 results written, 2 in all" in run([*command, "--examine"])
    again = json.loads(path.read_text())
    assert again.pop("first") == {key: again[key] for key in ("findings", "examined_at")}
    assert json.loads(before) == again
    path.write_text(json.dumps({**json.loads(before), "findings": ["what was said at first"]}))
    for command_again in ([*command, "--examine"], [*command, "--examine"]):
        run(command_again)
        assert json.loads(path.read_text())["first"]["findings"] == ["what was said at first"]
    path.write_text(json.dumps({**json.loads(path.read_text()), "fingerprint": "other"}))
    run(command)  # trains it again
    assert json.loads(path.read_text())["first"]["findings"] == ["what was said at first"]


@pytest.mark.slow
def test_hierdoc_does_the_same_documents(finished: tuple[Path, list[str], str]):
    folder, command, _ = finished
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "with.yaml").write_text(yaml.safe_dump({**config, "hierdoc": {"epochs": 1}, "causes": []}))
    run([*command, "--config", str(folder / "with.yaml"), "--results", str(folder / "with")])
    result = json.loads((folder / "with/tiny/as_it_should_be.json").read_text())
    assert round(6 * result["hierdoc_accuracy"]) == pytest.approx(6 * result["hierdoc_accuracy"], abs=1e-3)
    (made,) = (folder / "build/tiny/hierdoc").glob("*/evaluate/lstm/metrics.json")
    assert json.loads(made.read_text())["num_documents"] == 6


def report() -> Any:
    spec = importlib.util.spec_from_file_location("stuck_report", FOLDER / "report.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made_up(name: str, group: str, strength: int, codes: list[str], findings: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "dataset": "news", "group": group, "name": name, "strength": strength, "codes": codes, "accuracy": 0.5,
        "accuracy_shown": 0.1, "hierdoc_accuracy": 0.75, "majority_rate": 0.2, "num_classes": 5,
        "num_documents": {"train": 40, "val": 10}, "chunk_accuracy": {"train": 0.9, "val": 0.625},
        "findings": [{"code": code, "weight": weight} for code, weight in findings], "seconds": 900,
        "made_with": {"commit": "0123456789abcdef" + "0" * 24 + "+changes"}, "examined_at": "9876543210" + "0" * 30,
    }  # fmt: skip


CONFIG = {
    "healthy": [{"name": "sound"}],
    "causes": [{"name": "bad_labels", "about": "labels are bad", "strengths": [{"head": {"epochs": 3}}, {"head": {}}]}],
    "held_out": [{"name": "odd", "about": "odd", "strengths": [{"break": {"odd_one": {"share": 0.5}}}]}],
    "later": [],
    "not_run": [{"name": "slow", "reason": "costs time"}],
}
FIRST = {"findings": [{"code": "labels", "weight": "cause"}], "examined_at": "5" * 40}
RESULTS = [
    {**made_up("sound", "healthy", 0, [], [("hint", "note")]), "first": FIRST},
    made_up("bad_labels", "causes", 1, ["labels"], [("labels", "cause"), ("chance", "symptom")]),
    {**made_up("bad_labels", "causes", 2, ["labels"], [("labels", "note")]), "first": FIRST},
    made_up("odd", "held_out", 1, ["oddness"], [("labels", "cause")]),
]


def test_the_tables_hold_what_the_results_say():
    text = "".join(f"<!-- stuck: {name} -->\n<!-- end -->\n" for name in report().TABLES)
    lines = report().rendered(text, RESULTS, CONFIG).splitlines()
    assert (
        "- Causes that were injected: 1, in 2 cases. 1 are named, 1 only mentioned in a symptom or note, 0 missed. "
        "At first sight 2 were named." in lines
    )
    (held_out,) = (line for line in lines if line.startswith("- Causes that were held out: 1, in 1 cases. 0 are named"))
    assert held_out.endswith("1 missed: odd 1 (news). At first sight 0 were named.")
    assert "- Healthy runs: 1. 0 are accused; 1 have a symptom or a note. At first sight 1 were accused." in lines
    assert (
        "- Made at commit 0123456789+changes in 1.0 hours, first examined at 5555555555 and 9876543210, and last at 9876543210."
        in lines
    )
    first = "| **bad labels**: labels are bad | epochs 3 | 0.10 (really 0.50) | **labels**, chance (symptom) | 0.75 |"
    assert first in lines and "|  |  | 0.10 (really 0.50) | labels (note) | 0.75 |" in lines
    assert "| **odd**: odd | share 0.5 | 0.10 (really 0.50) | labels | 0.75 |" in lines
    assert "| bad labels | 2 | **1** |" in lines and "| odd (held out) | 1 | 1 |" in lines
    assert "| healthy runs | 1 |  |" in lines and "1 labels." in lines
    assert "| sound | news | 40 | 5 | 0.62 | 0.50 | 0.20 | 0.75 | hint (note) |" in lines
    assert "| slow | costs time |" in lines


def test_an_accused_healthy_run_is_counted():
    accused = made_up("sound", "healthy", 0, [], [("labels", "cause")])
    assert "1 are accused: sound (news);" in report().summary([accused], CONFIG)


def test_the_readme_is_what_the_results_say_and_every_breakage_has_a_case():
    check = subprocess.run([sys.executable, str(FOLDER / "report.py"), "--check"], capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    found = [
        json.loads((FOLDER / f"results/{dataset}/accuracy_of_another_kind-1.json").read_text())
        for dataset in ("20ng", "complaints")
    ]
    shown, real = (" and ".join(f"{one[key]:.2f}" for one in found) for key in ("accuracy_shown", "accuracy"))
    assert f"show {shown} here for a model that is right on {real} of the documents" in " ".join(readme.split())
    config = yaml.safe_load((FOLDER / "config.yaml").read_text(encoding="utf-8"))
    broken = [entry for group in ("causes", "held_out", "later") for entry in config[group]]
    used = {name for entry in broken for how in entry["strengths"] for name in how.get("break", {})}
    for module in ("breakages", "held_out", "later"):
        source = (FOLDER / f"{module}.py").read_text(encoding="utf-8")
        table = source[source.index("BREAKAGES: dict") :]
        assert {line.split('"')[1] for line in table.splitlines() if line.startswith('    "')} <= used
    assert all(len(entry["strengths"]) == 2 for entry in config["causes"])
    assert len(config["held_out"]) >= 8 and len(config["healthy"]) * len(config["datasets"]) >= 20
