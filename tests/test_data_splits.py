"""The split files that are committed are what their facts say."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections import Counter
from pathlib import Path

import pytest

from hierdoc.corpus.split_files import read_split_file

FOLDERS = sorted(path.parent for path in (Path(__file__).parent.parent / "data_splits").glob("*/split.json"))
FILES = [(folder, name) for folder in FOLDERS for name in sorted(path.name for path in folder.glob("*.csv"))]


def facts_of(folder: Path) -> dict:
    return json.loads((folder / "split.json").read_text(encoding="utf-8"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_there_are_some():
    assert {folder.name for folder in FOLDERS} >= {"20ng", "complaints", "movie_reviews", "un_general_debate"}


def assert_counts(facts: dict, by_class: dict[str, int], num_documents: int) -> None:
    """Each document is of one class, or of any number of labels where the data have lists of them."""
    counted = sum(by_class.values())
    assert counted > num_documents if "--multi-label" in facts["command"] else counted == num_documents


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folder_holds_the_files_of_its_facts_a_readme_and_nothing_else(folder: Path):
    facts = facts_of(folder)
    assert {path.name for path in folder.iterdir()} == {"README.md", "split.json", *facts["files"]}
    assert f"<!-- split: data_splits/{folder.name}/split.json -->" in (folder / "README.md").read_text(encoding="utf-8")
    assert_counts(facts, facts["classes"], facts["num_documents"])
    assert not re.search(r"""(^|[\s"'=:])/\w""", json.dumps(facts)), "an absolute path"
    assert all(re.fullmatch("[0-9a-f]{64}", entry["sha256"]) for entry in facts["data"])


@pytest.mark.parametrize(("folder", "name"), FILES, ids=[f"{folder.name}/{name}" for folder, name in FILES])
def test_a_file_has_each_document_once_with_a_hash_and_the_counts_of_its_facts(folder: Path, name: str):
    facts, rows = facts_of(folder), rows_of(folder / name)
    found = facts["files"][name]
    assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == found["sha256"]
    assert len({row["doc_id"] for row in rows}) == len(rows) == facts["num_documents"]
    assert list(rows[0]) == ["doc_id", "split", "sha256"]
    assert all(re.fullmatch("[0-9a-f]{64}", row["sha256"]) for row in rows)
    assert Counter(row["split"] for row in rows) == found["documents_by_split"]
    assert set(found["documents_by_split"]) == {"train", "dev", "test"}
    for split, classes in found["classes_by_split"].items():
        assert_counts(facts, classes, found["documents_by_split"][split])
    for label, count in facts["classes"].items():
        assert sum(classes.get(label, 0) for classes in found["classes_by_split"].values()) == count
    assert len(read_split_file(folder / name)) == len(rows)
    if facts["split"] != "column split":  # a split of ours has nothing of train in dev or test
        assert found["near_duplicates_of_train"] == {"dev": 0, "test": 0}
    assert found["near_duplicates_of_train"]["dev"] == 0
    assert found.get("documents_of_groups_in_train", {"dev": 0, "test": 0}) == {"dev": 0, "test": 0}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_same_documents_are_in_every_file_and_in_the_test_of_one_fold(folder: Path):
    files = {path.name: rows_of(path) for path in folder.glob("*.csv")}
    documents = [[(row["doc_id"], row["sha256"]) for row in rows] for rows in files.values()]
    assert all(some == documents[0] for some in documents)
    folds = [rows for name, rows in files.items() if name != "split.csv"]
    assert len(folds) == {"cnews_long_1k": 5, "complaints": 5, "movie_reviews": 5}.get(folder.name, 0)
    if folds:
        tests = Counter(row["doc_id"] for rows in folds for row in rows if row["split"] == "test")
        assert set(tests.values()) == {1} and len(tests) == len(documents[0])


def test_documents_with_one_text_are_in_one_split_of_every_complaints_file():
    """The near-duplicates that need no search; dev and test of 20 Newsgroups and others are given."""
    for path in (Path(__file__).parent.parent / "data_splits/complaints").glob("*.csv"):
        splits: dict[str, set[str]] = {}
        for row in rows_of(path):
            splits.setdefault(row["sha256"], set()).add(row["split"])
        assert all(len(some) == 1 for some in splits.values())


def test_the_countries_of_the_un_split_are_in_one_split_each():
    splits: dict[str, set[str]] = {}
    for row in rows_of(Path(__file__).parent.parent / "data_splits/un_general_debate/split.csv"):
        splits.setdefault(row["doc_id"].split("_")[0], set()).add(row["split"])
    assert len(splits) > 190 and all(len(some) == 1 for some in splits.values())
