"""The datasets command: whole files or none, and nothing overwritten unasked."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from hierdoc import datasets
from hierdoc.corpus import library_docs
from hierdoc.corpus.library_docs import LibraryCorpus, LibraryDocument
from hierdoc.errors import HierdocError, HierdocFailure

TRICKY = 'a, "quoted"\r\nline\rand ünïcode\n'


@pytest.fixture
def corpus(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = {
        label: [LibraryDocument(f"{label}/{n}.py", f"{TRICKY} {label} {n}", label) for n in range(3)]
        for label in ("keras", "numpy")
    }
    monkeypatch.setattr(library_docs, "scan_libraries", lambda: LibraryCorpus(documents, Counter({"not UTF-8": 2})))


@pytest.fixture
def newsgroups(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Two groups as scikit-learn gives them; returns the calls that were made."""
    calls: list[dict[str, object]] = []

    def fetch_20newsgroups(**arguments: object) -> SimpleNamespace:
        calls.append(arguments)
        home = f"home/20news-bydate-{arguments['subset']}"
        return SimpleNamespace(
            data=["From: b\n\nGod", "From: a\n\nOrbit"],
            filenames=[f"{home}/sci.space/7", f"{home}/alt.atheism/9"],
            target=[1, 0],
            target_names=["alt.atheism", "sci.space"],
        )

    monkeypatch.setattr("sklearn.datasets.fetch_20newsgroups", fetch_20newsgroups)
    return calls


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, strict=True))


def read_parquet(path: Path) -> list[list[str]]:
    from pyarrow import parquet

    table = parquet.read_table(path)
    return [table.column_names, *(list(row.values()) for row in table.to_pylist())]


@pytest.mark.parametrize(("name", "read"), [("library.csv", read_csv), ("library.parquet", read_parquet)])
def test_library_docs_come_back_as_they_were_written(corpus: None, tmp_path: Path, name: str, read: object) -> None:
    line = datasets.make_library_docs(tmp_path / name, documents_per_class=3)

    assert read(tmp_path / name) == [
        ["id", "text", "label"],
        *([f"{label}/{n}.py", f"{TRICKY} {label} {n}", label] for label in ("keras", "numpy") for n in range(3)),
    ]
    assert line == f"{tmp_path / name}: 6 documents, 2 classes, 7 words on average"
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_held_out_file_has_one_document_per_class_that_the_first_has_not(corpus: None, tmp_path: Path) -> None:
    datasets.make_library_docs(tmp_path / "a.csv", documents_per_class=2, held_out=tmp_path / "b.csv")

    sample, held_out = read_csv(tmp_path / "a.csv"), read_csv(tmp_path / "b.csv")
    assert held_out[0] == ["id", "text", "label"]
    assert [row[2] for row in held_out[1:]] == ["keras", "numpy"]
    assert {row[0] for row in sample[1:]}.isdisjoint(row[0] for row in held_out[1:])


def test_the_command_says_last_what_was_made_and_counts_what_was_left_out(
    corpus: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"

    assert datasets.main(["library-docs", "--out", str(path), "--documents-per-class", "1", "--seed", "5"]) == 0

    printed = capsys.readouterr()
    assert printed.out == f"{path}: 2 documents, 2 classes, 7 words on average\n"
    assert "2 not UTF-8" in printed.err


def test_an_existing_file_stays_unless_overwriting_is_asked_for(
    corpus: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("mine", encoding="utf-8")
    command = ["library-docs", "--out", str(path)]

    assert datasets.main(command) == 2
    assert path.read_text(encoding="utf-8") == "mine"
    assert capsys.readouterr().err == f"error: {path} exists already (--overwrite replaces a file)\n"
    assert datasets.main([*command, "--overwrite"]) == 0
    assert len(read_csv(path)) == 7


def test_an_existing_held_out_file_stops_the_command_before_it_writes(corpus: None, tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("mine", encoding="utf-8")

    with pytest.raises(HierdocError, match="b.csv exists already"):
        datasets.make_library_docs(tmp_path / "a.csv", held_out=tmp_path / "b.csv")
    assert not (tmp_path / "a.csv").exists()


def test_a_text_whose_only_line_end_is_a_carriage_return_comes_back_from_csv(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    documents = {"numpy": [LibraryDocument("numpy/a.py", "one\rtwo", "numpy")]}
    monkeypatch.setattr(library_docs, "scan_libraries", lambda: LibraryCorpus(documents, Counter()))

    datasets.make_library_docs(tmp_path / "a.csv")

    assert read_csv(tmp_path / "a.csv")[1] == ["numpy/a.py", "one\rtwo", "numpy"]


def test_the_seed_reaches_both_files(corpus: None, tmp_path: Path) -> None:
    drawn = set()
    for seed in range(6):
        a, b = tmp_path / f"a{seed}.csv", tmp_path / f"b{seed}.csv"
        datasets.make_library_docs(a, documents_per_class=1, seed=seed, held_out=b)
        drawn.add((read_csv(a)[1][0], read_csv(b)[1][0]))

    assert len({sampled for sampled, _ in drawn}) > 1
    assert all(sampled != held_out for sampled, held_out in drawn)


@pytest.mark.parametrize(
    ("out", "held_out", "message"),
    [
        ("a.txt", None, "a.txt: the name must end in .csv or .parquet"),
        ("missing/a.csv", None, "there is no folder .*missing"),
        ("folder.csv", None, "folder.csv exists already"),
        ("a.csv", "./a.csv", "`held_out` must be another file than `out`"),
    ],
)
def test_a_file_that_cannot_be_made_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, out: str, held_out: str | None, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.csv").mkdir()
    monkeypatch.setattr(library_docs, "scan_libraries", lambda: pytest.fail("scanned"))

    with pytest.raises(HierdocError, match=message):
        datasets.make_library_docs(out, held_out=held_out, overwrite=True)


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    corpus: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("mine", encoding="utf-8")

    def fail(descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)

    assert datasets.main(["library-docs", "--out", str(tmp_path / "a.csv"), "--overwrite"]) == 1
    assert [(path.name, path.read_text(encoding="utf-8")) for path in tmp_path.iterdir()] == [("a.csv", "mine")]


def test_20_newsgroups_has_both_official_splits_with_headers(
    newsgroups: list[dict[str, object]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "20.csv"

    assert datasets.main(["20newsgroups", "--out", str(path), "--data-home", "home"]) == 0

    assert read_csv(path) == [
        ["id", "text", "label", "split"],
        ["train/alt.atheism/9", "From: a\n\nOrbit", "alt.atheism", "train"],
        ["train/sci.space/7", "From: b\n\nGod", "sci.space", "train"],
        ["test/alt.atheism/9", "From: a\n\nOrbit", "alt.atheism", "test"],
        ["test/sci.space/7", "From: b\n\nGod", "sci.space", "test"],
    ]
    assert newsgroups == [{"subset": split, "data_home": "home", "shuffle": False} for split in ("train", "test")]
    assert capsys.readouterr().out == f"{path}: 4 documents, 2 classes, 3 words on average\n"


@pytest.mark.parametrize("words", [["library-docs", "--document", "1"], ["20newsgroups", "--data", "home"]])
def test_a_flag_that_is_cut_short_is_not_guessed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as exit_:
        datasets.main([*words, "--out", str(tmp_path / "a.csv")])
    assert exit_.value.code == 2
    assert "unrecognized arguments" in capsys.readouterr().err


def test_a_failed_download_is_one_line_and_exit_1(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fetch_20newsgroups(**arguments: object) -> None:
        raise OSError("no\nnetwork")

    monkeypatch.setattr("sklearn.datasets.fetch_20newsgroups", fetch_20newsgroups)

    with pytest.raises(HierdocFailure):
        datasets.make_20newsgroups(tmp_path / "20.csv")
    assert datasets.main(["20newsgroups", "--out", str(tmp_path / "20.csv")]) == 1
    assert capsys.readouterr().err == "failed: 20 Newsgroups could not be downloaded: no network\n"
    assert list(tmp_path.iterdir()) == []


def test_building_the_parser_imports_nothing_heavy() -> None:
    code = (
        "import sys; from hierdoc.datasets import build_parser; build_parser().format_help(); "
        "print([n for n in ('tensorflow', 'sklearn', 'pandas', 'pyarrow', 'numpy') if n in sys.modules])"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout == "[]\n"
