"""Folders of text files, text files by name, and the tables that give them their classes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hierdoc.corpus import folders
from hierdoc.corpus.documents import Columns, Documents, read_documents
from hierdoc.corpus.finding import check_column_arguments, find_sources
from hierdoc.errors import HierdocError

LABELLED = Columns(label="label")
WITH_SPLIT = Columns(label="label", split="split")


def write(folder: Path, **files: str) -> Path:
    """Files by name, where __ stands for a slash and _ for a dot."""
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return folder


def documents(data: Any, columns: Columns = LABELLED, **named: Any) -> Documents:
    return read_documents(find_sources(data, **named), columns)


def refusal(data: Any, columns: Columns = LABELLED, **named: Any) -> str:
    with pytest.raises(HierdocError) as error:
        documents(data, columns, **named)
    assert "\n" not in str(error.value)
    return str(error.value)


def sha256(data: Any, **named: Any) -> list[str]:
    return find_sources(data, **named).parameters()["data_sha256"]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write(
        tmp_path / "texts", b__2_txt="two\r\n", a__x__deep_md="deep", a__1="\ufeffone", b__10_txt="", B__é_txt="é"
    )


def test_each_file_is_a_document_of_its_first_folders_class_in_the_order_of_their_paths(texts: Path):
    ids = ["B/é.txt", "a/1", "a/x/deep.md", "b/10.txt", "b/2.txt"]
    expected = Documents(ids, ["é", "one", "deep", "", "two\r\n"], ["B", "a", "a", "b", "b"], num_null=1)
    assert documents(texts) == documents(str(texts) + "/") == documents([texts]) == expected


def test_hidden_files_and_folders_are_skipped_and_counted_once(texts: Path, capsys: pytest.CaptureFixture[str]):
    before = documents(texts)
    assert capsys.readouterr().err == ""
    write(texts, _hidden="x", a___git__config="x", a___git__HEAD="x")
    assert documents(texts) == before
    assert capsys.readouterr().err == f"{texts}: 2 hidden files and folders are not read\n"


def test_a_file_at_the_top_has_no_class_and_is_refused_where_one_is_needed(texts: Path):
    write(texts, c_txt="top")
    assert refusal(texts).startswith(f"{texts / 'c.txt'}: a text file without a class; ")
    assert documents(texts, Columns()).doc_ids[-1] == "c.txt"


def test_text_files_by_name_are_documents_without_a_class(texts: Path, monkeypatch: pytest.MonkeyPatch):
    paths = [texts / "b/2.txt", str(texts / "b/10.txt")]
    expected = Documents([str(path) for path in paths], ["two\r\n", ""], num_null=1)
    assert documents(paths, Columns()) == documents(paths, Columns(id="name")) == expected
    assert refusal(paths).startswith(f"{paths[0]}: a text file without a class; ")
    monkeypatch.chdir(texts)
    assert documents("./b/2.txt", Columns()).doc_ids == ["./b/2.txt"]
    message = "b/2.txt: id 'b/2.txt' stands twice, first in b/2.txt"
    assert refusal(["b/2.txt", "b/2.txt"], Columns()) == message


def test_text_files_and_tables_together_are_numbered_by_document(texts: Path, tmp_path: Path):
    table, other = tmp_path / "t.csv", tmp_path / "u.csv"
    table.write_text("text\na\nb\n")
    other.write_text("text\na\nb\n")
    one = str(texts / "b/2.txt")
    assert documents([table, one, other], Columns()).doc_ids == ["1", "2", one, "4", "5"]


def test_an_empty_folder_is_refused(tmp_path: Path):
    (tmp_path / "texts/a").mkdir(parents=True)
    (tmp_path / "texts/a/.hidden").write_text("x")
    assert refusal(tmp_path / "texts") == f"{tmp_path / 'texts'}: no files in this folder"


def test_a_file_that_is_no_text_is_named(texts: Path):
    (texts / "a/image.png").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    place = "in line 1: byte 0x89 at offset 0, invalid start byte"
    assert refusal(texts) == f"{texts / 'a/image.png'}: not utf-8 {place}; --encoding names another"


def test_links_are_followed_but_not_in_circles_or_to_nothing(texts: Path, tmp_path: Path):
    write(tmp_path / "else", where_txt="linked")
    (texts / "c").symlink_to(tmp_path / "else")
    (texts / "a/2.txt").symlink_to(tmp_path / "else/where.txt")
    found = documents(texts)
    assert dict(zip(found.doc_ids, found.texts))["c/where.txt"] == "linked" and "a/2.txt" in found.doc_ids
    (texts / "a/x/up").symlink_to(texts)
    assert refusal(texts) == f"{texts / 'a/x/up'}: a link to a folder that it is in"
    (texts / "a/x/up").unlink()
    (texts / "a/nothing.txt").symlink_to(tmp_path / "nowhere")
    assert refusal(texts) == f"{texts / 'a/nothing.txt'}: a link to a file that is not there"
    (texts / "a/nothing.txt").unlink()
    os.mkfifo(texts / "b/pipe")
    assert refusal(texts) == f"{texts / 'b/pipe'}: not a regular file"
    (texts / "b/pipe").unlink()
    (texts / "a/self").symlink_to(texts / "a/self")
    assert refusal(texts).startswith(f"{texts / 'a/self'}: ")


def test_files_and_folders_that_may_not_be_read_are_named(texts: Path, monkeypatch: pytest.MonkeyPatch):
    """Root may read everything, so the system's refusal is played."""

    def refuse(path, *rest, **named):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(texts) == f"{texts / 'B/é.txt'}: can't be read: Permission denied"
    assert refusal(texts / "b/2.txt", Columns()) == f"{texts / 'b/2.txt'}: can't be read: Permission denied"
    monkeypatch.setattr(folders.os, "scandir", refuse)
    assert refusal(texts) == f"{texts}: can't be read: Permission denied"


def test_a_name_that_is_not_unicode_is_refused(texts: Path):
    name = os.fsdecode(b"caf\xe9.txt")
    (texts / "a" / name).write_text("x")
    assert refusal(texts) == ("'a/caf\\udce9.txt': a file's name is its document's id, and this one is not Unicode")
    assert "is not Unicode" in refusal(texts / "a" / name, Columns())


@pytest.mark.parametrize("other", ["folder", "table", "stdin"])
def test_a_folder_must_be_the_only_data(other: str, texts: Path, tmp_path: Path):
    (tmp_path / "t.csv").write_text("text\na\n")
    others = {"folder": texts / "a", "table": tmp_path / "t.csv", "stdin": "-"}
    assert refusal([others[other], texts]).endswith("must be the only data, but there are 2")
    assert refusal([tmp_path / "t.csv", "-"]) == "stdin (-) must be the only data, but there are 2"


def labels(tmp_path: Path, *rows: str, header: str = "id,label,split") -> Path:
    path = tmp_path / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


ROWS = ("b/2.txt,x,test", "B/é.txt,y,train", "a/1,y,dev", "a/x/deep.md,x,train", "b/10.txt,x,train")


def test_a_table_gives_the_classes_and_splits_in_the_order_of_the_files(texts: Path, tmp_path: Path):
    table = labels(tmp_path, *ROWS)
    found = documents(texts, WITH_SPLIT, labels_file=table)
    assert found.labels == ["y", "y", "x", "x", "x"] and found.splits == ["train", "dev", "train", "train", "test"]
    assert documents(texts, labels_file=str(table)).splits is None
    renamed = labels(tmp_path, *ROWS, header="path,class,part")
    assert documents(texts, Columns(label="class", id="path", split="part"), labels_file=renamed) == found
    jsonl = tmp_path / "labels.jsonl"
    pd.read_csv(labels(tmp_path, *ROWS)).to_json(jsonl, orient="records", lines=True, force_ascii=False)
    assert documents(texts, WITH_SPLIT, labels_file=jsonl) == found


def test_a_table_that_lies_in_the_folder_is_no_document_and_files_at_the_top_may_have_a_row(texts: Path):
    write(texts, top_txt="top")
    table = labels(texts, *ROWS, "top.txt,z,test")
    found = documents(texts, WITH_SPLIT, labels_file=table)
    assert found.doc_ids[-1] == "top.txt" and found.labels[-1] == "z" and "labels.csv" not in found.doc_ids


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[2:], "{table}: no row for 2 of the 5 files in {texts}; the first is 'B/é.txt'"),
        ((*ROWS, "c/1,x,train", "d,x,train"), "{table}: row 6: no file 'c/1' in {texts}; there are 2 such rows"),
        ((*ROWS, "a/1,x,train"), "{table}: row 6: id 'a/1' stands twice, first in {table}: row 3"),
        (("a/1,,train",), "{table}: row 1, document 'a/1': column 'label' is null"),
        ((",x,train",), "{table}: row 1: column 'id' is null"),
        (("a/1,x,half",), "{table}: row 1, document 'a/1': column 'split' must hold one of train, dev, test, excluded, but holds 'half' instead"),
    ],
)  # fmt: skip
def test_a_table_must_have_one_right_row_for_each_file(
    rows: tuple[str, ...], message: str, texts: Path, tmp_path: Path
):
    table = labels(tmp_path, *rows)
    assert refusal(texts, WITH_SPLIT, labels_file=table) == message.format(table=table, texts=texts)


def test_a_table_of_labels_must_be_a_table_and_for_a_folder(texts: Path, tmp_path: Path):
    table = labels(tmp_path, *ROWS)
    message = "`labels_file` holds the classes of a folder of text files, but the data are no folder"
    assert refusal(table, labels_file=table) == refusal(texts / "b/2.txt", labels_file=table) == message
    assert refusal(texts, labels_file=texts) == f"{texts}: a folder, not a table"
    assert refusal(texts, labels_file=tmp_path / "no.csv") == f"{tmp_path / 'no.csv'}: no such file"
    text = texts / "b/2.txt"
    assert refusal(texts, labels_file=text) == f"{text}: must be a table (.csv, .tsv, .jsonl or .parquet), but is text"
    missing = labels(tmp_path, header="file,label")
    assert refusal(texts, labels_file=missing) == (
        f"{missing}: column 'id' is missing; the columns are 'file', 'label'"
    )


def test_a_split_column_needs_a_table(texts: Path):
    message = f"{texts / 'B/é.txt'}: a text file has no column 'split'; --labels-file TABLE can hold it"
    assert refusal(texts, WITH_SPLIT) == message


def test_the_hash_of_a_folder_changes_with_any_name_or_text_and_with_nothing_else(texts: Path, tmp_path: Path):
    seen = [sha256(texts)]
    assert len(seen[0]) == 1 and find_sources(texts).parameters()["data_format"] == ["folder"]
    os.utime(texts / "a/1")
    write(texts, _hidden="x")
    (tmp_path / "texts").rename(tmp_path / "moved")
    texts = tmp_path / "moved"
    assert sha256(texts) == seen[0]
    for change in (
        lambda: (texts / "a/1").write_text("One"),
        lambda: (texts / "a/1").rename(texts / "a/0"),
        lambda: (texts / "a").rename(texts / "c"),
        lambda: write(texts, c__11_txt=""),
        lambda: (texts / "c/11.txt").write_text("two\r\n"),
        lambda: (texts / "b/2.txt").write_text(""),
    ):
        change()
        seen.append(sha256(texts))
    assert len({digest for (digest,) in seen}) == 7


def test_what_is_recorded_is_what_changes_the_documents(texts: Path, tmp_path: Path):
    table, tsv = labels(tmp_path, *ROWS), tmp_path / "labels.tsv"
    tsv.write_bytes(table.read_bytes())
    plain = {"data_format": None, "encoding": None, "labels_file": None}

    def recorded(data: Any, **named: Any) -> dict[str, Any]:
        return {
            name: value for name, value in find_sources(data, **named).parameters().items() if name != "data_sha256"
        }

    assert recorded(table) == recorded(pd.DataFrame()) == recorded(table, encoding="UTF8") == plain
    assert recorded(pd.DataFrame(), encoding="utf-16") == plain
    assert recorded(table, encoding="Latin1") == {**plain, "encoding": "iso8859-1"}
    assert recorded([table, tsv]) == {**plain, "data_format": ["csv", "tsv"]}
    assert recorded(texts, labels_file=table)["labels_file"] == {"format": "csv", "sha256": sha256(table)[0]}
    assert recorded(texts, labels_file=tsv)["labels_file"]["format"] == "tsv"
    text = texts / "b/2.txt"
    text.with_name("3.txt").write_bytes(text.read_bytes())
    assert sha256(text) != sha256(text.with_name("3.txt"))  # the name is the id


@pytest.mark.parametrize(
    ("name", "format", "message"),
    [
        ("t.csv", "tsv", "`format` is for stdin and for files whose suffix names none, but {path} is csv"),
        ("t.csv", "xml", "`format` must be one of csv, tsv, jsonl, parquet, txt, but is 'xml' instead"),
        ("texts", "csv", "`format` is for stdin and for files whose suffix names none, but {path} is txt"),
    ],
)
def test_a_format_that_is_for_nothing_is_refused(name: str, format: str, message: str, tmp_path: Path):
    write(tmp_path, t_csv="text\na\n", texts__a__1_txt="x")
    path = tmp_path / "texts/a/1.txt" if name == "texts" else tmp_path / name
    assert refusal(tmp_path / name, Columns(), format=format) == message.format(path=path)
    assert documents(tmp_path / "t.csv", Columns(), format="csv").texts == ["a"]


def test_a_folder_of_tables_is_refused_and_one_with_some_is_told_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    tables = write(tmp_path / "t", a__q1_csv="id,text\n1,x\n", b__q2_jsonl_gz="{}")
    message = refusal(tables)
    assert (
        "a folder is read as one document a file, but its files are tables, such as" in message and "q1.csv" in message
    )
    write(tmp_path / "m", a__q1_csv="id,text\n1,x\n", b__note_txt="hello")
    assert documents(tmp_path / "m").doc_ids == ["a/q1.csv", "b/note.txt"]
    assert "1 of 2 files are tables, such as" in capsys.readouterr().err
    assert documents(tables, format="txt").labels == ["a", "b"]
    write(tmp_path / "p", a__1_txt="x", b__2_txt="y")
    (tmp_path / "p/a|b").mkdir()
    (tmp_path / "p/a|b/3.txt").write_text("z")
    assert documents(tmp_path / "p").labels == ["a", "a|b", "b"]  # a folder's name holds no list


def test_lists_in_a_folders_table_of_labels_are_told_with_their_file(texts: Path, tmp_path: Path):
    rows = ["B/é.txt,x", "a/1,y", "a/x/deep.md,x|y", "b/10.txt,x", "b/2.txt,y"]
    table = tmp_path / "l.csv"
    table.write_text("\n".join(["id,label", *rows]), encoding="utf-8")
    message = refusal(texts, labels_file=table)
    assert message.startswith(f"{texts / 'a/x/deep.md'}: column 'label' holds a list of other documents' labels, 'x|y'")


def test_a_column_of_text_files_is_refused(texts: Path, tmp_path: Path):
    sources = find_sources(texts)
    check_column_arguments(sources, text_column="text", label_column="label", id_column=None)
    for name in ("text_column", "label_column", "id_column", "split_column"):
        with pytest.raises(HierdocError, match=f"texts: `{name}` has no effect, as these files are text"):
            check_column_arguments(sources, **{name: "x"})
    labels = write(tmp_path, l_csv="name,kind\n") / "l.csv"
    check_column_arguments(find_sources(texts, labels), label_column="kind", id_column="name")
    with pytest.raises(HierdocError, match="`text_column` has no effect"):
        check_column_arguments(find_sources(texts, labels), text_column="x", id_column="name")
    check_column_arguments(find_sources([labels, texts / "b/2.txt"]), text_column="name")
