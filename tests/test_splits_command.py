"""The splits command: files that chunk takes, facts that are counted, and nothing overwritten unasked."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from conftest import write_csv

from hierdoc import HierdocError, chunk_documents, make_split_files, splits, verify_split_file
from hierdoc.stages.tables import read_tables

SECRET = "sesame"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def split_of(path: Path) -> dict[str, str]:
    return {row["doc_id"]: row["split"] for row in rows_of(path)}


def shared(rows: list[dict[str, str]], splits_by_id: dict[str, str], column: str) -> dict[str, set[str]]:
    """The splits in which each value of a column occurs."""
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row[column], set()).add(splits_by_id[row["id"]])
    return found


@pytest.fixture
def rows() -> list[dict[str, str]]:
    """60 documents by 20 authors; d3, d30 and d31 are near-duplicates, d3 with another label."""
    rng = random.Random(0)
    made = [
        {
            "id": f"d{n}",
            "text": f"{SECRET} " + " ".join(f"word{rng.randrange(10_000)}" for _ in range(20)),
            "label": "cat" if n % 3 else "dog",
            "author": f"author {n % 20}",
            "part": ["train", "train", "test", "excluded"][n % 4],
        }
        for n in range(60)
    ]
    made[30]["text"], made[31]["text"] = made[3]["text"] + " more", "Well, " + made[3]["text"]
    made[30]["label"] = made[31]["label"] = "cat"
    assert made[3]["label"] == "dog"
    return made


@pytest.fixture
def data(rows: list[dict[str, str]], tmp_path: Path) -> Path:
    (tmp_path / "some folder").mkdir()
    return write_csv(tmp_path / "some folder" / "my data.csv", rows)


def test_a_split_file_holds_each_document_with_its_hash_in_the_order_of_the_data(rows, data: Path, tmp_path: Path):
    line = make_split_files(data, tmp_path / "out", id_column="id", split="0.5/0.25/0.25")
    found = rows_of(tmp_path / "out/split.csv")
    assert [(row["doc_id"], row["sha256"]) for row in found] == [
        (row["id"], hashlib.sha256(row["text"].encode()).hexdigest()) for row in rows
    ]
    assert Counter(row["split"] for row in found) == {"train": 30, "dev": 15, "test": 15}
    assert line == f"{tmp_path / 'out/split.csv'}: 60 documents (30 train, 15 dev, 15 test)"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["split.csv", "split.json"]


@pytest.mark.parametrize("settings", [{}, {"split": "0.6/0.2/0.2"}, {"split_column": "part"}], ids=str)
def test_chunk_makes_the_same_split_as_the_file_that_is_made_for_it(
    settings: dict[str, str], data: Path, tmp_path: Path, tiny_encoder: str
):
    make_split_files(data, tmp_path / "out", id_column="id", seed=3, **settings)
    common = {"id_column": "id", "encoder": tiny_encoder, "chunk_size": 20, "seed": 3}
    tables = [
        read_tables(chunk_documents(data, tmp_path / name, **common, **how).files("documents-")).to_pylist()
        for name, how in (("by itself", settings), ("by file", {"split": tmp_path / "out/split.csv"}))
    ]
    assert tables[0] == tables[1]
    assert {row["doc_id"]: row["split"] for row in tables[0]} == split_of(tmp_path / "out/split.csv")


def test_the_facts_are_what_counting_the_files_gives(rows, data: Path, tmp_path: Path):
    make_split_files(data, tmp_path / "out", id_column="id", folds=3, seed=5)
    facts = json.loads((tmp_path / "out/split.json").read_text())
    assert facts["num_documents"] == 60 and facts["classes"] == {"cat": 41, "dog": 19} and facts["num_null"] == 0
    assert (facts["near_duplicate_groups"], facts["documents_in_near_duplicate_groups"]) == (1, 3)
    assert facts["conflicting_groups"] == 1 and facts["seed"] == 5 and facts["split"] == "0.8/0.1/0.1"
    assert facts["data"] == [{"file": "my data.csv", "sha256": hashlib.sha256(data.read_bytes()).hexdigest()}]
    assert facts["columns"] == {"text": "text", "label": "label", "id": "id", "split": None, "group": None}
    assert facts["command"] == "python -m hierdoc.splits make 'my data.csv' out --id-column id --folds 3 --seed 5"
    assert list(facts["files"]) == ["split.csv", "fold-1.csv", "fold-2.csv", "fold-3.csv"]
    for name, found in facts["files"].items():
        path = tmp_path / "out" / name
        splits_by_id = split_of(path)
        assert found["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        assert found["documents_by_split"] == Counter(splits_by_id.values())
        labels = {row["id"]: row["label"] for row in rows}
        for part in ("train", "dev", "test"):
            counted = Counter(labels[doc_id] for doc_id, split in splits_by_id.items() if split == part)
            assert found["classes_by_split"][part] == counted
        assert found["near_duplicates_of_train"] == {"dev": 0, "test": 0}
        assert not {"documents_of_groups_in_train", "groups_by_split"} & set(found)


def test_near_duplicates_on_both_sides_of_a_given_split_are_counted(rows, tmp_path: Path):
    for row in rows:  # d3 in train, one near-duplicate in dev, one in test, and a second author on both sides
        row["part"] = {"d30": "dev", "d31": "test"}.get(row["id"], "train")
    data = write_csv(tmp_path / "d.csv", rows)
    make_split_files(data, tmp_path / "out", id_column="id", split_column="part", group_column="author")
    found = json.loads((tmp_path / "out/split.json").read_text())["files"]["split.csv"]
    assert found["near_duplicates_of_train"] == {"dev": 1, "test": 1}
    assert found["documents_of_groups_in_train"] == {"dev": 1, "test": 1}
    assert found["groups_by_split"] == {"train": 20, "dev": 1, "test": 1}
    assert verify_split_file(data, tmp_path / "out/split.csv", id_column="id") == (
        f"{tmp_path / 'out/split.csv'}: fits the 60 documents (58 train, 1 dev, 1 test); "
        "near-duplicates of training documents: 1 of dev and 1 of test"
    )


def test_each_document_is_in_one_test_and_near_duplicates_and_authors_stay_together(rows, data: Path, tmp_path: Path):
    make_split_files(data, tmp_path / "out", id_column="id", group_column="author", folds=4)
    files = [tmp_path / "out" / name for name in ("split.csv", *(f"fold-{n}.csv" for n in range(1, 5)))]
    tests = Counter(doc_id for file in files[1:] for doc_id, split in split_of(file).items() if split == "test")
    assert tests == {row["id"]: 1 for row in rows}
    for file in files:
        by_author = shared(rows, split_of(file), "author")
        assert all(len(splits) == 1 for splits in by_author.values())
        assert by_author["author 3"] == by_author["author 10"] == by_author["author 11"]  # d3, d30 and d31 are theirs
        assert set(split_of(file).values()) == {"train", "dev", "test"}
    facts = json.loads((tmp_path / "out/split.json").read_text())
    assert facts["files"]["fold-2.csv"]["documents_of_groups_in_train"] == {"dev": 0, "test": 0}


def test_what_is_excluded_stays_so_in_every_fold(rows, data: Path, tmp_path: Path):
    make_split_files(data, tmp_path / "out", id_column="id", split_column="part", folds=2)
    excluded = {row["id"] for row in rows if row["part"] == "excluded"}
    given = split_of(tmp_path / "out/split.csv")
    for row in rows:
        assert given[row["id"]] == row["part"] or (given[row["id"]], row["part"]) == ("dev", "train")
    folds = [split_of(tmp_path / f"out/fold-{n}.csv") for n in (1, 2)]
    assert all({doc_id for doc_id, split in fold.items() if split == "excluded"} == excluded for fold in folds)
    assert all([fold[row["id"]] for fold in folds].count("test") == (row["id"] not in excluded) for row in rows)


def test_no_text_path_or_author_is_in_any_file(data: Path, tmp_path: Path):
    make_split_files(data, tmp_path / "out", id_column="id", group_column="author", folds=2)
    for path in (tmp_path / "out").iterdir():
        text = path.read_text()
        assert SECRET not in text and "some folder" not in text and "author 1" not in text
        assert str(tmp_path) not in text


def test_the_same_call_makes_the_same_bytes_and_another_seed_other_ones(data: Path, tmp_path: Path):
    folders = []
    for name, seed in (("one", 0), ("two", 0), ("three", 1)):
        make_split_files(data, tmp_path / name / "out", id_column="id", folds=2, seed=seed)
        folders.append({path.name: path.read_bytes() for path in (tmp_path / name / "out").iterdir()})
    assert folders[0] == folders[1]
    assert all(folders[0][name] != folders[2][name] for name in folders[0])


def test_a_data_frame_without_ids_is_numbered(rows, tmp_path: Path):
    frame = pd.DataFrame(rows)
    make_split_files(frame, tmp_path / "out")
    assert [row["doc_id"] for row in rows_of(tmp_path / "out/split.csv")] == [str(n) for n in range(1, 61)]
    assert json.loads((tmp_path / "out/split.json").read_text())["data"][0]["file"] == "a DataFrame"
    assert "fits the 60 documents" in verify_split_file(frame, tmp_path / "out/split.csv")


def test_files_that_are_there_stay_unless_overwriting_is_asked_for(data: Path, tmp_path: Path, capsys):
    command = ["make", str(data), str(tmp_path / "out"), "--id-column", "id"]
    assert splits.main([*command, "--folds", "5"]) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    (tmp_path / "out/README.md").write_text("mine")
    capsys.readouterr()
    assert splits.main([*command, "--folds", "3"]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path / 'out/fold-5.csv'} exists already (--overwrite replaces the split files in {tmp_path / 'out'})\n"
    )
    assert all((tmp_path / "out" / name).read_bytes() == content for name, content in before.items())
    assert splits.main([*command, "--folds", "3", "--overwrite"]) == 0
    names = [
        "README.md",
        "fold-1.csv",
        "fold-2.csv",
        "fold-3.csv",
        "split.csv",
        "split.json",
    ]  # no fold of the old ones
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names


def test_a_table_of_labels_inside_the_folder_is_no_document_for_verify_either(tmp_path: Path, capsys):
    for name in ("a", "b", "c", "d"):
        (tmp_path / "texts").mkdir(exist_ok=True)
        (tmp_path / "texts" / name).write_text(f"the cat {name}")
    table = tmp_path / "texts" / "labels.csv"
    table.write_text("id,label,part\na,x,train\nb,y,train\nc,x,dev\nd,y,test\n")
    make_split_files(tmp_path / "texts", tmp_path / "out", labels_file=table, split_column="part")
    words = ["verify", str(tmp_path / "texts"), str(tmp_path / "out/split.csv")]
    assert splits.main([*words, "--labels-file", str(table)]) == 0
    assert "fits the 4 documents (2 train, 1 dev, 1 test)" in capsys.readouterr().out
    assert splits.main(words) == 2
    assert "has no row for 1 of the 5 documents, the first is 'labels.csv'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--split", "0.8/0.3"], "`split` must be three fractions that sum to 1, for train/dev/test (as 0.8/0.1/0.1), but is '0.8/0.3' instead"),
        (["--split", "split.csv"], "`split` must be fractions of train/dev/test (as 0.8/0.1/0.1), but is 'split.csv' instead"),
        (["--split", "1/0/0", "--split-column", "part"], "`split` '1/0/0' and `split_column` 'part' can't both decide: give one"),
        (["--folds", "1"], "`folds` must be at least 2, but is 1 instead"),
        (["--folds", "61"], "`folds` must leave documents for every test, but 61 are too many for 60 documents in 58 groups"),
        (["--group-column", "town"], "{data}: column 'town' is missing; the columns are 'id', 'text', 'label', 'author', 'part'"),
        (["--seed", "-1"], "`seed` must be"),
    ],
)  # fmt: skip
def test_a_wrong_argument_is_the_last_line_and_exit_2_and_nothing_is_removed(
    flags: list[str], message: str, data: Path, tmp_path: Path, capsys
):
    command = ["make", str(data), str(tmp_path / "out"), "--id-column", "id"]
    assert splits.main(command) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    capsys.readouterr()
    assert splits.main([*command, *flags, "--overwrite"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines()[-1].startswith("error: " + message.format(data=data))
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_file_whose_name_is_not_unicode_is_refused_before_anything_is_removed(data: Path, tmp_path: Path, capsys):
    other = Path(os.fsdecode(os.fsencode(tmp_path / "other") + b"\xff.csv"))
    other.write_bytes(data.read_bytes())
    out = tmp_path / "out"
    assert splits.main(["make", str(data), str(out), "--id-column", "id"]) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    assert splits.main(["make", str(other), str(out), "--id-column", "id", "--overwrite"]) == 2
    assert capsys.readouterr().err == "error: 'other\\udcff.csv': must be Unicode, but has other bytes in its name\n"
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_a_split_without_dev_or_test_is_said_by_file(tmp_path: Path, capsys):
    letters = [chr(ord("a") + n) for n in range(26)]
    rows = [
        {"text": f"{a} {b}", "label": "xy"[n % 2], "who": "ann" if n > 3 else str(n)}
        for n, (a, b) in enumerate(zip(letters, letters[::-1]))
    ]
    make_split_files(write_csv(tmp_path / "d.csv", rows), tmp_path / "out", group_column="who", folds=2, split="1/0/0")
    errors = capsys.readouterr().err
    assert "warning: split.csv: no document is in dev or test\n" in errors
    for name in ("fold-1.csv", "fold-2.csv"):
        missing = {"dev", "test"} - set(split_of(tmp_path / "out" / name).values())
        assert (f"warning: {name}: no document is in dev\n" in errors) == (missing == {"dev"})


@pytest.mark.parametrize("name", ["split.csv", "fold-3.csv"])
def test_documents_of_a_split_files_name_are_not_replaced_by_it(name: str, data: Path, tmp_path: Path, capsys):
    mine = tmp_path / "mine" / name
    mine.parent.mkdir()
    shutil.copy(data, mine)
    before = mine.read_bytes()
    assert splits.main(["make", str(mine), str(mine.parent), "--id-column", "id", "--overwrite"]) == 2
    assert f"{mine}: is what is read, and would be replaced" in capsys.readouterr().err
    assert mine.read_bytes() == before and [path.name for path in mine.parent.iterdir()] == [name]


def test_a_place_that_is_a_file_is_refused(data: Path):
    with pytest.raises(HierdocError, match="must be a directory for the split files, but is a file instead"):
        make_split_files(data, data, overwrite=True)


def test_verify_needs_no_labels_and_says_what_the_file_holds(rows, data: Path, tmp_path: Path, capsys):
    assert splits.main(["make", str(data), str(tmp_path / "out"), "--id-column", "id", "--folds", "2"]) == 0
    unlabelled = write_csv(tmp_path / "u.csv", [{"id": row["id"], "body": row["text"]} for row in rows])
    file = tmp_path / "out/split.csv"
    command = ["verify", str(unlabelled), str(file), "--id-column", "id", "--text-column", "body"]
    capsys.readouterr()
    assert splits.main(command) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and captured.out == (
        f"{file}: fits the 60 documents (48 train, 6 dev, 6 test); "
        "near-duplicates of training documents: none of dev or test\n"
    )
    file.write_text(file.read_text().replace('"dev"', '"test"'))
    assert splits.main(command) == 0
    assert capsys.readouterr().err == f"{file}: has no dev: chunk takes 10% of train for it\n"
    unlabelled.write_text(unlabelled.read_text().replace("d59,", "d60,"))
    assert splits.main(command) == 2
    assert capsys.readouterr().err == (f"error: {file}: has no row for 1 of the 60 documents, the first is 'd60'\n")


@pytest.mark.parametrize("words", [["make", "d.csv", "out", "--fold", "2"], ["verify", "d.csv", "s.csv", "--id", "id"]])
def test_a_flag_that_is_cut_short_is_not_guessed(words: list[str], tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as exit_:
        splits.main(words)
    assert exit_.value.code == 2 and "unrecognized arguments" in capsys.readouterr().err
