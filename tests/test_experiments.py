"""Figures in READMEs are what the committed JSON says."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RESULTS = sorted(ROOT.glob("experiments/*/results/*.json"))


def test_the_tables_in_the_readmes_are_what_the_results_say(tmp_path: Path):
    check = subprocess.run(
        [sys.executable, "experiments/tables.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert check.returncode == 0, check.stdout


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
