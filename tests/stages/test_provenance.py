"""Which commit a result is of, and when its tree counts as changed."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hierdoc.stages.provenance import commit_of


def git(folder: Path, *words: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@b")
    return subprocess.run(
        ["git", "-C", folder, *settings, *words], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for name in ("hierdoc/a.py", "experiments/010-x/results/selection.json", "experiments/010-x/report.md", "experiments/010-x/own.py", "experiments/010-x/config.yaml"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("as it was")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


def test_a_clean_tree_has_its_commit(checkout: Path):
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")
    (checkout / "notes.txt").write_text("a new file that nothing tracks")
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["experiments/010-x/results/selection.json", "experiments/010-x/report.md"])
def test_what_an_experiment_writes_does_not_mark_what_it_writes_next(checkout: Path, name: str):
    (checkout / name).write_text("another")
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["hierdoc/a.py", "experiments/010-x/own.py", "experiments/010-x/config.yaml"])
def test_changed_code_and_configuration_are_marked_staged_or_not(checkout: Path, name: str):
    (checkout / name).write_text("another")
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD") + "+changes"
    git(checkout, "add", name)
    assert commit_of(checkout) == git(checkout, "rev-parse", "HEAD") + "+changes"


def test_a_folder_that_is_no_checkout_has_no_commit(tmp_path: Path):
    with pytest.raises(subprocess.CalledProcessError):
        commit_of(tmp_path)
