"""Mutations that break a law of the house, each of which one named test must catch."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PATCHES = sorted((ROOT / "tests/mutations").glob("*.patch"))
pytestmark = pytest.mark.slow


def named_test(patch: Path) -> str:
    """The test that a patch's head says it must fail."""
    (found,) = re.findall(r"^Expected to fail: (\S.*)$", patch.read_text(encoding="utf-8"), re.MULTILINE)
    return found


def copy_source(folder: Path) -> Path:
    """Copy what the tests need into `folder`, without what running them leaves behind."""
    for name in ("hierdoc", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def run_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a copy, whose hierdoc is the one that is imported."""
    environment = {**os.environ, "PYTHONPATH": str(folder), "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def run_tests(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy."""
    return run_in(folder, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *tests)


def test_the_named_tests_pass_without_any_mutation(tmp_path: Path):
    assert len(PATCHES) >= 5
    folder = copy_source(tmp_path / "copy")
    imported = run_in(folder, sys.executable, "-c", "import hierdoc; print(hierdoc.__file__)").stdout.strip()
    assert imported == str(folder / "hierdoc/__init__.py")
    done = run_tests(folder, *sorted({named_test(patch) for patch in PATCHES}))
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_mutation_is_caught_by_the_test_it_names(patch: Path, tmp_path: Path):
    folder = copy_source(tmp_path / "copy")
    applied = run_in(folder, "git", "apply", "-C1", str(patch))
    assert applied.returncode == 0, applied.stderr
    done = run_tests(folder, named_test(patch))
    assert done.returncode == 1, (
        done.stdout
    )  # 2 would be an error of collection, such as a mutation that can't be imported
    assert f"FAILED {named_test(patch)}" in done.stdout, done.stdout
    assert re.search(r"^E +(AssertionError|assert )", done.stdout, re.MULTILINE), (
        done.stdout
    )  # not some other exception
