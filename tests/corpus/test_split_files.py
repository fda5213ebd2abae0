"""Split files come back as they were written, and one that does not fit is refused by file, row and document."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierdoc.corpus.split_files import given_split, read_split_file, split_file_sha256, write_split_file
from hierdoc.errors import HierdocError

IDS, TEXTS = ["a", "b", "c"], ["one", "", "drei ü"]
# from `printf one | sha256sum` and so on
HASHES = [
    "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "cd5e20d35ee9a686506c18c6eace72c47ff16d0d5aaaadb9b4bf2acb597619d6",
]
HEADER = "doc_id,split,sha256\n"


def rows(*splits: str) -> str:
    """The text of a split file of the first documents."""
    return HEADER + "".join(f"{IDS[n]},{split},{HASHES[n]}\n" for n, split in enumerate(splits))


def split_file(folder: Path, content: str | bytes) -> Path:
    path = folder / "split.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def refusal(path: Path, doc_ids: list[str] = IDS, texts: list[str] = TEXTS) -> str:
    """The one line that is said about the file, without its path."""
    with pytest.raises(HierdocError) as error:
        given_split(path, doc_ids, texts)
    message = str(error.value)
    assert "\n" not in message and message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_the_documents_get_the_files_splits_whatever_its_order_its_columns_and_the_case_of_its_hashes(tmp_path: Path):
    text = "\ufeffsha256,note,split,doc_id\r\n"
    text += f"{HASHES[2]},x,validation,c\r\n\r\n{HASHES[0].upper()},,train,a\r\n{HASHES[1]},,excluded,b\r\n"
    assert given_split(split_file(tmp_path, text), IDS, TEXTS) == ["train", "excluded", "dev"]


@pytest.mark.parametrize("word", ["dev", "validation", "valid", "val"])
def test_dev_has_the_names_that_split_columns_know(word: str, tmp_path: Path):
    assert given_split(split_file(tmp_path, rows("train", word, "test")), IDS, TEXTS) == ["train", "dev", "test"]


def test_what_is_written_is_read_again_with_ids_of_every_kind(tmp_path: Path):
    ids = ["007", "NA", 'a,"b"', "line\nend", "\r", " x ", "中/é", "b"]
    splits = ["train", "dev", "test", "excluded"] * 2
    hashes = [f"{n:064x}" for n in range(8)]
    write_split_file(tmp_path / "split.csv", ids, splits, hashes)
    found = read_split_file(tmp_path / "split.csv")
    assert list(found) == ids
    assert [(row.place, row.split, row.sha256) for row in found.values()] == list(
        zip([f"{tmp_path / 'split.csv'}: row {n}" for n in range(1, 9)], splits, hashes, strict=True)
    )
    assert [path.name for path in tmp_path.iterdir()] == ["split.csv"]


def test_a_document_without_a_row_is_refused_by_name_and_counted(tmp_path: Path):
    path = split_file(tmp_path, rows("train"))
    assert refusal(path) == "has no row for 2 of the 3 documents, the first is 'b'"


def test_an_id_that_no_document_has_is_refused_by_row_and_counted(tmp_path: Path):
    text = HEADER + f"y,test,{HASHES[0]}\n" + rows("train", "dev", "test").removeprefix(HEADER) + f"z,dev,{HASHES[0]}\n"
    path = split_file(tmp_path, text)
    assert refusal(path) == "row 1: no document has the id 'y'; 2 of the file's 5 ids are not in the data"


def test_a_text_that_has_changed_is_refused_by_document_and_counted(tmp_path: Path):
    path = split_file(tmp_path, rows("train", "dev", "test"))
    assert refusal(path, IDS, ["one", " ", "drei u"]) == (
        "row 2: the text of document 'b' has another SHA-256; 2 of the 3 texts differ from those that the file was made for"
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (HEADER, "no rows"),
        ("doc_id,split\na,train\n", "column 'sha256' is missing; the columns are 'doc_id', 'split'"),
        ("doc_id,split,split,sha256\n", "column 'split' stands twice; the columns are 'doc_id', 'split', 'split', 'sha256'"),
        (rows("train", "dev") + f"a,test,{HASHES[2]}\n", "row 3: id 'a' stands twice, first in {path}: row 1"),
        (rows("train", "Dev"), "row 2: column 'split' must hold one of train, dev, test, excluded, but holds 'Dev' instead"),
        (rows("train", ""), "row 2: column 'split' is null"),
        (HEADER + "a,train,12ab\n", "row 1: `sha256` must be 64 hexadecimal digits, but is '12ab' instead"),
        (rows("train") + "b,dev\n", "row 2 (it ends on line 3) has 2 fields, but the header has 3"),
        (rows("test", "dev", "excluded"), "no document is for train"),
        (rows("train").encode() + b"\xff,dev,x\n", "not utf-8 in line 3: "),
        (HEADER + 'a,"train', "not CSV in row 1, line "),
    ],
)  # fmt: skip
def test_a_file_that_is_no_split_file_is_refused_by_row(content: str | bytes, message: str, tmp_path: Path):
    found = refusal(split_file(tmp_path, content))
    message = message.replace("{path}", str(tmp_path / "split.csv"))
    assert found.startswith(message) if message.endswith(" ") else found == message


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path):
    for function in (read_split_file, split_file_sha256):
        with pytest.raises(HierdocError, match="none.csv: no such split file .and no fractions of train/dev/test"):
            function(tmp_path / "none.csv")
        with pytest.raises(HierdocError, match="must be a split file, but is a folder or a device"):
            function(tmp_path)
