"""What people bring to chunk and predict: what is refused, in one line and with exit code 2, and what simply works."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from conftest import tiny_rows, write_csv

from hierdoc import (
    HierdocError,
    chunk,
    chunk_documents,
    embed_chunks,
    finetune_encoder,
    predict,
    predict_documents,
    train_lstm_head,
)
from hierdoc.stages.finished import FinishedStage, read_stage
from hierdoc.stages.tables import read_tables

ROOT = Path(__file__).parent.parent
UTF16 = "text,label\ncat,a\ndog,b\n".encode("utf-16")


def table(stage: FinishedStage) -> pd.DataFrame:
    return read_tables(stage.files("documents-")).to_pandas()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """Two folders, a and b, of two text files each."""
    for name, text in {"a/1": "cat sat", "a/2": "the cat", "b/1": "dog ran", "b/2": "a dog"}.items():
        path = tmp_path / "texts" / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "texts"


@pytest.mark.parametrize(
    ("name", "content", "flags", "message"),
    [
        ("d.csv", None, [], "{path}: no such file"),
        ("d.tsv", b"text,label\ncat,a\n", [], "{path}: column 'text' is missing; the columns are 'text,label'"),
        ("d.csv", b"", [], "{path}: the file is empty"),
        ("d.csv", b"text,label\n", [], "{path}: no rows"),
        ("d.jsonl", b"", [], "{path}: no rows"),
        ("d.csv", b"\0\x9f\xb3", [], "{path}: not utf-8 in line 1: byte 0x9f at offset 1, invalid start byte; --encoding names another"),
        ("d.jsonl", b"\0\1", [], "{path}: row 1 (line 1, column 1) is not JSON: Expecting value"),
        ("d.parquet", b"\0\x9f\xb3", [], "{path}: not a Parquet file that can be read: "),
        ("d.csv", UTF16, [], "{path}: not utf-8 in line 1: byte 0xff at offset 0, invalid start byte; it begins as utf-16 does: try --encoding utf-16"),
        ("d.csv", b"text,label\ncaf\xe9,a\n", ["--encoding", "ascii"], "{path}: not ascii in line 2: byte 0xe9 at offset 14, ordinal not in range(128); --encoding names another"),
        ("d.csv", b"text,label\n", ["--encoding", "utf-9"], "`encoding` must be a text encoding that Python knows, "),
        ("d.csv", b"id,text,label\n1,a,x\n1,b,y\n", ["--id-column", "id"], "{path}: row 2: id '1' stands twice, first in {path}: row 1"),
        ("d.csv", b"text,label\ncat,a\ndog,\n", [], "{path}: row 2: column 'label' is null"),
        ("d.jsonl", b'{"text": "cat", "label": null}', [], "{path}: row 1: column 'label' is null"),
        ("d.csv", b"text,label\ncat,a\n", ["--label-column", "text"], "column 'text' can't be both the text and the label"),
        ("d.csv.gz", gzip.compress(b"text,label\ncat,a\n", mtime=0)[:-1], [], "{path}: gzip data that are damaged or cut short: "),
        ("d.dat", b"text,label\ncat,a\n", [], "{path}: must end in .csv, .tsv, .jsonl, .parquet or .txt, "),
        ("d.csv", b"text,label\ncat,a\n", ["--format", "tsv"], "`format` is for stdin and for files whose suffix names none, but {path} is csv"),
        ("d.csv", b"text,label\ncat,a\n", ["--labels-file", "t.csv"], "`labels_file` holds the classes of a folder of text files, but"),
        ("d.txt", b"cat", [], "{path}: a text file without a class; "),
    ],
)  # fmt: skip
def test_wrong_data_are_one_line_on_stderr_and_exit_2(
    name: str, content: bytes | None, flags: list[str], message: str, tmp_path: Path, tiny_encoder: str, capsys
):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    words = [str(path), str(tmp_path / "run"), "--encoder", tiny_encoder, "--chunk-size", "5", *flags]
    assert chunk.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("error: " + message.format(path=path))
    assert captured.err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_a_file_that_may_not_be_read_is_exit_2(texts: Path, tmp_path: Path, tiny_encoder: str, monkeypatch, capsys):
    data = write_csv(tmp_path / "d.csv", tiny_rows())
    real = Path.open

    def refuse(path: Path, *rest, **named):
        if path == data:
            raise PermissionError(13, "Permission denied")
        return real(path, *rest, **named)

    monkeypatch.setattr(Path, "open", refuse)  # root may read everything, so the system's refusal is played
    assert chunk.main([str(data), str(tmp_path / "run"), "--encoder", tiny_encoder, "--chunk-size", "5"]) == 2
    assert capsys.readouterr().err == f"error: {data}: can't be read: Permission denied\n"


@pytest.mark.parametrize("what", ["table", "folder"])
def test_data_that_change_while_they_are_read_make_no_stage(
    what: str, texts: Path, tmp_path: Path, tiny_encoder: str, monkeypatch, capsys
):
    table = write_csv(tmp_path / "d.csv", tiny_rows())
    data, file = (texts, texts / "b" / "1.txt") if what == "folder" else (table, table)
    real = chunk.read_documents

    def read_what_is_being_written(*arguments):
        file.write_text(file.read_text().replace("ran", "swam"))
        return real(*arguments)

    monkeypatch.setattr(chunk, "read_documents", read_what_is_being_written)
    words = [str(data), str(tmp_path / "run"), "--encoder", tiny_encoder, "--chunk-size", "5"]
    assert chunk.main(words) == 1
    assert capsys.readouterr().err.splitlines() == [
        f"failed: {data}: changed while it was read; try again when nobody writes to it"
    ]
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        ([str(n) for n in range(1, 11)], [str(n) for n in range(1, 11)]),
        (["True", "False"], ["False", "True"]),
        (["10.5", "2.25"], ["2.25", "10.5"]),
        (["news, sport", " two words"], [" two words", "news, sport"]),
        (["NA", "null", "None"], ["NA", "None", "null"]),
    ],
    ids=["numbers", "booleans", "floats", "spaces and commas", "words for nothing"],
)
def test_labels_are_what_stands_there_in_a_sensible_order(
    labels: list[str], order: list[str], tmp_path: Path, tiny_encoder: str
):
    rows = [{"text": f"cat {n}", "label": label} for n, label in enumerate(labels * 2)]
    stage = chunk_documents(write_csv(tmp_path / "d.csv", rows), tmp_path / "run", encoder=tiny_encoder, chunk_size=5)
    assert stage.details["labels"] == order
    assert [label for (label,) in table(stage)["labels"]] == labels * 2


@pytest.mark.parametrize(
    ("values", "order"),
    [
        (list(range(1, 11)), ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]),
        ([True, False], ["False", "True"]),
        ([10.5, 2.25], ["2.25", "10.5"]),
    ],
)
@pytest.mark.parametrize("name", ["d.parquet", "d.jsonl"])
def test_labels_of_other_types_are_those_of_a_csv(
    name: str, values: list, order: list[str], tmp_path: Path, tiny_encoder: str
):
    frame = pd.DataFrame({"text": [f"cat {n}" for n in range(len(values))], "label": values})
    frame.to_parquet(tmp_path / "d.parquet")
    frame.to_json(tmp_path / "d.jsonl", orient="records", lines=True)
    stage = chunk_documents(tmp_path / name, tmp_path / "run", encoder=tiny_encoder, chunk_size=5)
    assert stage.details["labels"] == order


def test_crlf_quoted_newlines_odd_ids_and_one_word_simply_work(tmp_path: Path, tiny_encoder: str):
    path = tmp_path / "d.csv"
    path.write_bytes(b'id,text,label\r\n007,"cat\r\nsat",a\r\nNA,dog,b\r\n7,"a ""fish"", far",a\r\n\r\n')
    found = table(chunk_documents(path, tmp_path / "run", id_column="id", encoder=tiny_encoder, chunk_size=5))
    assert found["doc_id"].tolist() == ["007", "NA", "7"]
    assert found["text"].tolist() == ["cat\r\nsat", "dog", 'a "fish", far']
    assert found["num_tokens"].tolist()[1] == found["num_chunks"].tolist()[1] == 1


def test_a_folder_with_a_table_of_splits_through_the_command(texts: Path, tmp_path: Path, tiny_encoder: str, capsys):
    labels = tmp_path / "labels.tsv"
    labels.write_text("path\tclass\tpart\nb/2.txt\tx\ttest\nb/1.txt\ty\tdev\na/1.txt\ty\ttrain\na/2.txt\tx\ttrain\n")
    words = ["--labels-file", str(labels), "--id-column", "path", "--label-column", "class", "--split-column", "part"]
    arguments = [str(texts), str(tmp_path / "run"), *words, "--encoder", tiny_encoder, "--chunk-size", "5"]
    assert chunk.main(arguments) == 0
    found = table(read_stage(tmp_path / "run", "chunk"))
    assert found["doc_id"].tolist() == ["a/1.txt", "a/2.txt", "b/1.txt", "b/2.txt"]
    assert [label for (label,) in found["labels"]] == ["y", "x", "y", "x"]
    assert found["split"].tolist() == ["train", "train", "dev", "test"]
    labels.write_text(labels.read_text().replace("a/1.txt\ty", "a/1.txt\tx"))
    capsys.readouterr()
    assert chunk.main(arguments) == 2
    assert "already finished with `labels_file.sha256`" in capsys.readouterr().err


def test_the_run_directory_must_not_lie_in_the_folder_that_is_read(texts: Path, tiny_encoder: str):
    for run in (texts / "run", texts, texts / "a"):
        with pytest.raises(HierdocError) as error:
            chunk_documents(texts, run, encoder=tiny_encoder, chunk_size=5)
        assert str(error.value) == f"{run}: the run directory must not be inside the folder that is read"
    chunk_documents(texts, texts.with_name("texts2"), encoder=tiny_encoder, chunk_size=5)


def test_the_same_bytes_in_another_format_or_encoding_are_other_data(tmp_path: Path, tiny_encoder: str, capsys):
    content = b"text,label\tb\ncat\xc3\xa9,x\t1\ndog,y\t2\n"
    for name in ("d.csv", "d.tsv"):
        (tmp_path / name).write_bytes(content)
    words = [str(tmp_path / "run"), "--encoder", tiny_encoder, "--chunk-size", "5", "--text-column"]
    assert chunk.main([str(tmp_path / "d.csv"), *words, "text", "--label-column", "label\tb"]) == 0
    capsys.readouterr()
    same = [str(tmp_path / "d.csv"), *words, "text", "--label-column", "label\tb"]
    assert chunk.main([*same, "--encoding", "latin-1"]) == 2
    assert 'already finished with `encoding` null, not "iso8859-1"' in capsys.readouterr().err
    assert chunk.main([str(tmp_path / "d.tsv"), *words, "text,label", "--label-column", "b"]) == 2
    assert "already finished with `columns.label`" in capsys.readouterr().err
    assert chunk.main([str(tmp_path / "d.tsv"), *words, "text", "--label-column", "label\tb"]) == 2
    assert 'already finished with `data_format` null, not ["tsv"]' in capsys.readouterr().err


def test_data_come_through_a_pipe(tmp_path: Path, tiny_encoder: str):
    words = ["-", str(tmp_path / "run"), "--format", "jsonl", "--encoder", tiny_encoder, "--chunk-size", "5"]
    lines = b'{"text": "cat", "label": "a"}\n{"text": "dog", "label": "b"}\n'
    command = [sys.executable, "-m", "hierdoc.chunk", *words]
    result = subprocess.run(command, cwd=ROOT, input=gzip.compress(lines), capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert table(read_stage(tmp_path / "run", "chunk"))["text"].tolist() == ["cat", "dog"]
    result = subprocess.run(command, cwd=ROOT, input=lines[:-1] + b"}", capture_output=True, timeout=60)
    assert result.returncode == 2 and b"already finished with `data_sha256`" in result.stderr


def test_predict_reads_a_folder_text_files_and_stdin_as_it_reads_a_table(
    tiny_run: Path, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    (texts / "top.txt").write_text("")
    frame = pd.DataFrame({"id": ["a/1.txt", "a/2.txt", "b/1.txt", "b/2.txt", "top.txt"]})
    frame["text"] = ["cat sat", "the cat", "dog ran", "a dog", None]
    expected = predict_documents(tiny_run, frame)
    capsys.readouterr()
    pd.testing.assert_frame_equal(predict_documents(tiny_run, texts), expected, check_exact=True)
    assert "no column" not in capsys.readouterr().err
    found = predict_documents(tiny_run, [texts / name for name in frame["id"]])
    assert found["doc_id"].tolist() == [str(texts / name) for name in frame["id"]]
    pd.testing.assert_frame_equal(found.assign(doc_id=frame["id"]), expected, check_exact=True)
    content = frame.to_csv(index=False).encode("utf-16")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(gzip.compress(content))))
    capsys.readouterr()
    assert predict.main([str(tiny_run), "-", "--encoding", "utf-16"]) == 0
    printed = pd.read_csv(io.StringIO(capsys.readouterr().out), dtype={"doc_id": str})
    assert (
        printed["doc_id"].tolist() == frame["id"].tolist() and printed["label"].tolist() == expected["label"].tolist()
    )


def test_predictions_may_not_be_written_among_what_is_read(tiny_run: Path, texts: Path, tmp_path: Path):
    (tmp_path / "else").mkdir()
    (texts / "c").symlink_to(tmp_path / "else")
    (texts / "empty").mkdir()
    for out in (texts / "p.csv", texts / "a/p.csv", texts / "empty/p.csv", tmp_path / "else/p.csv", texts / "c/p.csv"):
        for overwrite in (False, True):
            with pytest.raises(HierdocError) as error:
                predict_documents(tiny_run, texts, out, overwrite=overwrite)
            assert str(error.value) == f"{out}: is inside the folder to read" and not out.exists()
    data = tmp_path / "d.csv"
    data.write_text("text\ncat\n")
    (tmp_path / "link.csv").symlink_to(data)
    with pytest.raises(HierdocError, match="link.csv: is one of the files to read"):
        predict_documents(tiny_run, data, tmp_path / "link.csv", overwrite=True)
    assert predict_documents(tiny_run, texts, tmp_path / "p.csv") == tmp_path / "p.csv"


def test_what_a_folder_taught_can_be_asked_about_a_table(texts: Path, tmp_path: Path, tiny_encoder: str, capsys):
    """The column `id` is looked for, and without it the documents are numbered."""
    run = tmp_path / "run"
    splits = {"a/1.txt": "train", "a/2.txt": "dev", "b/1.txt": "train", "b/2.txt": "test"}
    rows = [{"id": name, "label": name[0], "split": split} for name, split in splits.items()]
    labels = write_csv(tmp_path / "labels.csv", rows)
    chunk_documents(texts, run, labels_file=labels, split_column="split", encoder=tiny_encoder, chunk_size=5)
    finetune_encoder(run, epochs=0, precision="float32")
    embed_chunks(run, precision="float32")
    train_lstm_head(run, epochs=1)
    frame = pd.DataFrame({"id": ["x", "y"], "text": ["cat", "dog"]})
    frame.to_json(tmp_path / "new.jsonl", orient="records", lines=True)
    assert predict_documents(run, tmp_path / "new.jsonl")["doc_id"].tolist() == ["x", "y"]
    assert predict_documents(run, texts)["doc_id"].tolist() == list(splits)
    capsys.readouterr()
    assert predict_documents(run, frame[["text"]])["doc_id"].tolist() == ["1", "2"]
    assert "no column 'id' in the data: documents are numbered from 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("d.csv", b"id,text\n", "{path}: no rows"),
        ("d.csv", b"", "{path}: the file is empty"),
        ("d.csv", b"id,words\n1,cat\n", "{path}: column 'text' is missing; the columns are 'id', 'words'"),
        ("d.csv", b"id,text\n1,cat\n1,dog\n", "{path}: row 2: id '1' stands twice, first in {path}: row 1"),
        ("d.jsonl", b'{"id": 1}', "{path}: row 1: column 'text' is missing; the columns are 'id'"),
        ("d.txt", b"caf\xe9", "{path}: not utf-8 in line 1: byte 0xe9 at offset 3, unexpected end of data; --encoding names another"),
        ("d", None, "{path}: no files in this folder"),
        ("d.csv", None, "{path}: no files in this folder"),
    ],
)  # fmt: skip
def test_predict_refuses_wrong_data_with_exit_2(
    name: str, content: bytes | None, message: str, tiny_run: Path, tmp_path: Path, capsys
):
    path = tmp_path / name
    path.mkdir() if content is None else path.write_bytes(content)
    assert predict.main([str(tiny_run), str(path), "--out", str(tmp_path / "out.csv")]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err == f"error: {message.format(path=path)}\n"
    assert not (tmp_path / "out.csv").exists()
