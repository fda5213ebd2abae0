"""Figures in READMEs are what the committed JSON says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hierdoc import write_report
from hierdoc.comparison.runnable import check_values
from hierdoc.experiment import CHECKS, read_experiment
from tests.conftest import CONFIG, VOCAB

ROOT = Path(__file__).parent.parent
RESULTS = sorted(ROOT.glob("experiments/00*/results/*.json"))
OF_ARMS = sorted(ROOT.glob("experiments/*/results/*.seed-*.json"))  # what `hierdoc.experiment` made
CONFIGURED = sorted(path.parent for path in ROOT.glob("experiments/*/config.yaml") if "\narms:" in path.read_text())
REPORTED = sorted(path.parent for path in ROOT.glob("experiments/*/report.html"))


def test_the_tables_in_the_readmes_are_what_the_results_say(tmp_path: Path):
    check = subprocess.run(
        [sys.executable, "experiments/tables.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout


def test_the_table_of_the_default_has_each_datasets_own_figures():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    (row,) = [line.split(" | ") for line in lines if line.startswith("| [20ng](experiments/016-newsgroups/README.md)")]
    results = ROOT / "experiments/016-newsgroups/results"
    for cell, arm in zip(row[2:7], ("mean_pool-words", "mean_pool", "lstm", "average", "tfidf_svm"), strict=True):
        found = [
            json.loads(path.read_text())["metrics"]["document_accuracy"]
            for path in results.glob(f"20ng.{arm}.seed-*.json")
        ]
        assert cell.startswith(f"{sum(found) / len(found):.3f}") and cell.endswith(f"({len(found)})")


def test_a_changed_figure_is_noticed(tmp_path: Path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/tables.py").write_bytes((ROOT / "experiments/tables.py").read_bytes())
    (tmp_path / "result.json").write_bytes(RESULTS[0].read_bytes())
    readme = tmp_path / "README.md"
    readme.write_text("# x\n\n<!-- results: result.json -->\n<!-- end -->\n\nAfter.\n", encoding="utf-8")
    command = [sys.executable, "experiments/tables.py"]

    def check() -> int:
        return subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True, check=False).returncode

    assert check() == 1
    subprocess.run(command, cwd=tmp_path, check=True)
    assert check() == 0
    text = readme.read_text(encoding="utf-8")
    accuracy = f"{json.loads(RESULTS[0].read_text())['metrics']['document_accuracy']:.3f}"
    assert accuracy in text and text.endswith("<!-- end -->\n\nAfter.\n")
    readme.write_text(text.replace(accuracy, "0.999"), encoding="utf-8")
    assert check() == 1


def test_the_table_of_folds_holds_means_and_spreads(tmp_path: Path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/tables.py").write_bytes((ROOT / "experiments/tables.py").read_bytes())
    result = json.loads(RESULTS[0].read_text())
    for number, (lstm, svm, seconds) in enumerate([(0.5, 0.6, 60), (0.7, 0.6, 120), (0.9, 0.8, 180)], 1):
        result["metrics"] |= {"document_accuracy": lstm, "tfidf_svm_accuracy": svm, "num_documents": 400}
        result["seconds_in_all"] = seconds
        (tmp_path / f"fold-{number}.json").write_text(json.dumps(result), encoding="utf-8")
    (tmp_path / "README.md").write_text("<!-- folds: fold-*.json -->\n<!-- end -->\n", encoding="utf-8")
    subprocess.run([sys.executable, "experiments/tables.py"], cwd=tmp_path, check=True)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    # the standard deviation of 0.5, 0.7, 0.9 is the root of (0.04 + 0 + 0.04) / 2
    assert "| LSTM over the chunk vectors | 0.700 | 0.200 | 0.500 | 0.900 |" in text
    assert "in 2 of the 3 folds" in text and "1,200 test documents in all" in text and "2.0 min in all" in text


def test_the_summary_has_a_row_for_each_folder_of_results(tmp_path: Path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/tables.py").write_bytes((ROOT / "experiments/tables.py").read_bytes())
    result = json.loads(RESULTS[0].read_text())
    for place, dataset, lstm in [("a/results/1", "one", 0.5), ("b/results/1", "two", 0.6), ("b/results/2", "two", 0.8)]:
        result["metrics"] |= {"document_accuracy": lstm, "num_documents": 100}
        path = tmp_path / f"experiments/{place}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**result, "dataset": dataset, "seconds_in_all": 120}), encoding="utf-8")
    text = "<!-- summary: experiments/*/results/*.json -->\n<!-- end -->\n"
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    subprocess.run([sys.executable, "experiments/tables.py"], cwd=tmp_path, check=True)
    lines = (tmp_path / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 6
    assert lines[3].startswith("| [one](experiments/a/README.md) | 100 | 0.500 |") and lines[3].endswith(" | 2 |")
    assert lines[4].startswith("| [two (mean of 2 folds)](experiments/b/README.md) | 200 | 0.700 |")


def test_the_table_of_a_benchmark_has_a_row_for_each_case(tmp_path: Path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/tables.py").write_bytes((ROOT / "experiments/tables.py").read_bytes())
    cases = {"small": {"num_rows": 1200, "seconds": 0.5}, "ratio": {"seconds": 1.25}}
    (tmp_path / "b.json").write_text(json.dumps({"cases": cases}), encoding="utf-8")
    (tmp_path / "README.md").write_text("<!-- cases: b.json -->\n<!-- end -->\n", encoding="utf-8")
    subprocess.run([sys.executable, "experiments/tables.py"], cwd=tmp_path, check=True)
    lines = (tmp_path / "README.md").read_text(encoding="utf-8").splitlines()
    assert lines[1:5] == [
        "|  | num rows | seconds |",
        "| --- | --- | --- |",
        "| small | 1,200 | 0.5 |",
        "| ratio |  | 1.25 |",
    ]


FACTS = {
    "command": "python -m hierdoc.splits make d.csv out --folds 2",
    "data": [{"file": "d.csv", "sha256": "ab" * 32}],
    "columns": {"group": None},
    "seed": 4,
    "num_documents": 1003,
    "classes": {"a": 1000, "b": 3},
    "near_duplicate_groups": 5,
    "documents_in_near_duplicate_groups": 12,
    "conflicting_groups": 1,
    "files": {
        "split.csv": {
            "documents_by_split": {"train": 990, "dev": 6, "test": 7},
            "classes_by_split": {"train": {"a": 989, "b": 1}, "dev": {"a": 6}, "test": {"a": 5, "b": 2}},
            "near_duplicates_of_train": {"dev": 0, "test": 3},
        },
        "fold-1.csv": {
            "documents_by_split": {"train": 400, "dev": 50, "test": 553},
            "classes_by_split": {},
            "near_duplicates_of_train": {"dev": 1, "test": 0},
        },
    },
}


def test_the_tables_of_a_split_hold_its_counts(tmp_path: Path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/tables.py").write_bytes((ROOT / "experiments/tables.py").read_bytes())
    (tmp_path / "README.md").write_text("# x\n", encoding="utf-8")
    readme = tmp_path / "data_splits/d/README.md"
    readme.parent.mkdir(parents=True)
    (readme.parent / "split.json").write_text(json.dumps(FACTS), encoding="utf-8")
    readme.write_text(
        "Before.\n<!-- split: data_splits/d/split.json -->\nold\n<!-- end -->\nAfter.\n", encoding="utf-8"
    )
    subprocess.run([sys.executable, "experiments/tables.py"], cwd=tmp_path, check=True)
    lines = readme.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "Before." and lines[-1] == "After." and "old" not in lines
    assert "| `split.csv` | 990 | 6 | 7 | 0 | 3 |" in lines and "| `fold-1.csv` | 400 | 50 | 553 | 1 | 0 |" in lines
    assert "| a | 1,000 | 989 | 6 | 5 |" in lines and "| b | 3 | 1 | 0 | 2 |" in lines
    assert f"    {FACTS['command']}" in lines
    (said,) = (
        line for line in lines if line.startswith("1,003 documents, 2 classes, seed 4, from d.csv (SHA-256 abab")
    )
    assert "12 documents are near-duplicates, in 5 groups, of which 1 have several labels" in said


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_result_adds_up_and_holds_no_path_of_a_machine(path: Path):
    text = path.read_text(encoding="utf-8")
    result = json.loads(text)
    metrics = result["metrics"]
    confusion = metrics["confusion_matrix"]
    right = sum(row[at] for at, row in enumerate(confusion))
    assert metrics["document_accuracy"] == pytest.approx(right / metrics["num_documents"], abs=1e-12)
    assert metrics["num_documents"] == result["documents_by_split"][metrics["split"]]
    assert re.fullmatch("[0-9a-f]{40}", result["commit"]) and not result["dirty"]
    assert not re.search(r"""(^|[\s"'=:])/\w""", text), "an absolute path"


def test_results_of_arms_are_of_committed_code_and_hold_no_path_of_a_machine():
    assert len(OF_ARMS) > 100
    for path in OF_ARMS:
        text = path.read_text(encoding="utf-8")
        assert json.loads(text)["dirty"] is False, path
        assert not re.search(r"""(^|[\s"'=:])/\w""", text), f"an absolute path in {path}"


@pytest.mark.parametrize("folder", CONFIGURED, ids=lambda folder: folder.name)
def test_an_experiment_can_still_be_run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "build/encoders/chinese"  # as experiments/044-chinese/encoder.py makes it
    made.mkdir(parents=True)
    (made / "config.json").write_text(json.dumps({**CONFIG, "max_position_embeddings": 512}))
    (made / "vocab.txt").write_text("\n".join(VOCAB) + "\n")
    experiment = read_experiment(folder)
    for dataset in experiment.datasets:
        check_values(experiment, dataset, experiment.arms, CHECKS)


@pytest.mark.parametrize("folder", REPORTED, ids=lambda folder: folder.name)
def test_a_committed_report_is_what_the_results_give(folder: Path, tmp_path: Path):
    copy = tmp_path / "experiments" / folder.name
    shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("report.*"))
    (tmp_path / "data_splits").symlink_to(ROOT / "data_splits")
    for written in write_report(copy):
        assert written.read_bytes() == (folder / written.name).read_bytes(), written.name
