"""Every format gives the same documents; what is wrong in one is told with file and row."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierdoc.chunk import chunk_documents
from hierdoc.corpus.documents import Columns, Documents, read_documents
from hierdoc.corpus.finding import find_sources
from hierdoc.errors import HierdocError
from hierdoc.stages.tables import read_tables

ROWS = {
    "id": ["a/007.txt", "a/NA", "b c/2", "b c/3.txt"],
    "text": ['He said "a,b"\r\nand\tleft', "caf\u00e9 \u4e2d \U0001f600\n", "\ufeffone", "word"],
    "label": ["a", "a", "b c", "b c"],
}
LABELLED = Columns(label="label", id="id")
KINDS = {".gz": "gzip", ".zst": "zstd"}
COMPRESS = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".zst": lambda content: pa.Codec("zstd").compress(content, asbytes=True),
}


def delimited(delimiter: str) -> bytes:
    file = io.StringIO(newline="")
    writer = csv.writer(file, delimiter=delimiter)
    writer.writerows([ROWS, *zip(*ROWS.values(), strict=True)])
    return file.getvalue().encode()


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(ROWS), file)
    return file.getvalue()


CONTENT = {
    "csv": lambda: delimited(","),
    "tsv": lambda: delimited("\t"),
    "jsonl": lambda: "\n".join(json.dumps(dict(zip(ROWS, row))) for row in zip(*ROWS.values())).encode(),
    "parquet": parquet,
}


def folder(path: Path) -> Path:
    for name, text in zip(ROWS["id"], ROWS["text"]):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(("\ufeff" * text.startswith("\ufeff") + text).encode())
    return path


def stdin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> str:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    return "-"


def documents(data: Any, columns: Columns = LABELLED, **named: Any) -> Documents:
    return read_documents(find_sources(data, **named), columns)


def refusal(data: Any, columns: Columns = LABELLED, **named: Any) -> str:
    with pytest.raises(HierdocError) as error:
        documents(data, columns, **named)
    assert "\n" not in str(error.value)
    return str(error.value)


def jsonl(folder: Path, *lines: str) -> Path:
    (folder / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return folder / "data.jsonl"


@pytest.mark.parametrize("compression", COMPRESS)
@pytest.mark.parametrize("format", CONTENT)
def test_every_format_gives_the_same_documents_from_a_file_and_from_stdin(
    format: str, compression: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_encoder: str
):
    content = COMPRESS[compression](CONTENT[format]())
    expected = Documents(ROWS["id"], ROWS["text"], ROWS["label"])
    path, unnamed = tmp_path / f"data.{format}{compression}", tmp_path / f"data{compression}"
    for file in (path, unnamed):
        file.write_bytes(content)
    assert documents(path) == expected
    assert documents(unnamed, format=format) == expected
    assert documents(stdin(monkeypatch, content), format=format) == expected
    settings = {"encoder": tiny_encoder, "chunk_size": 5}
    tables = [
        chunk_documents(path, tmp_path / "1", id_column="id", **settings),
        chunk_documents(stdin(monkeypatch, content), tmp_path / "2", id_column="id", format=format, **settings),
        chunk_documents(folder(tmp_path / "texts"), tmp_path / "3", **settings),
    ]
    for name in ("documents-", "chunks-"):
        first, *others = [read_tables(stage.files(name)) for stage in tables]
        assert all(table.equals(first) for table in others)


def test_a_folder_gives_the_same_documents(tmp_path: Path):
    assert documents(folder(tmp_path)) == Documents(ROWS["id"], ROWS["text"], ROWS["label"])
    assert documents(pd.DataFrame(ROWS)) == documents(tmp_path)


def test_stdin_is_csv_by_default_and_can_be_read_twice(monkeypatch: pytest.MonkeyPatch):
    sources = find_sources(stdin(monkeypatch, CONTENT["csv"]()))
    assert read_documents(sources, LABELLED) == read_documents(sources, LABELLED)
    assert (
        sources.parameters() == sources.parameters() == find_sources(stdin(monkeypatch, CONTENT["csv"]())).parameters()
    )


def test_compression_is_told_by_the_bytes_whatever_the_name_says(tmp_path: Path):
    for name, compression in [("a.csv", ".gz"), ("b.csv.gz", ".zst"), ("c.csv.zst", ""), ("d.csv", ".zst")]:
        (tmp_path / name).write_bytes(COMPRESS[compression](CONTENT["csv"]()))
        assert documents(tmp_path / name).texts == ROWS["text"], name


def test_text_files_may_be_compressed_too(tmp_path: Path):
    path = tmp_path / "one.txt.gz"
    path.write_bytes(gzip.compress(b"hello\r\n"))
    assert documents(path, Columns()) == Documents([str(path)], ["hello\r\n"])


@pytest.mark.parametrize("compression", [".gz", ".zst"])
def test_members_and_frames_one_after_the_other_are_all_read(compression: str, tmp_path: Path):
    compress, path = COMPRESS[compression], tmp_path / f"data.csv{compression}"
    path.write_bytes(compress(b"id,text,label\n1,a,x\n") + compress(b"2,b,y\n") + compress(b"3,c,z\n"))
    assert documents(path).doc_ids == ["1", "2", "3"]


def test_a_zstd_frame_to_be_skipped_may_stand_first(tmp_path: Path):
    path = tmp_path / "data.csv.zst"
    frame = b"\x50\x2a\x4d\x18" + b"\x04\0\0\0" + b"size"  # RFC 8878, 3.1.2: magic, length, that many bytes
    path.write_bytes(frame + COMPRESS[".zst"](b"id,text,label\n1,a,x\n"))
    assert documents(path).doc_ids == ["1"]
    path.write_bytes(frame + COMPRESS[".zst"](b"id,text,label\n1,a,x\n")[:-1])
    assert refusal(path).startswith(f"{path}: zstd data that are damaged or cut short: ")


@pytest.mark.parametrize("compression", [".gz", ".zst"])
@pytest.mark.parametrize("format", CONTENT)
def test_a_compressed_file_that_is_cut_short_anywhere_is_refused(format: str, compression: str, tmp_path: Path):
    content = CONTENT[format]()
    once = COMPRESS[compression](content + b"\n" * 20_000 * (format != "parquet"))
    path = tmp_path / f"data.{format}{compression}"
    for cut in (5, 11, len(once) // 2, len(once) - 9, len(once) - 1):
        path.write_bytes(once[:cut])
        assert refusal(path).startswith(f"{path}: {KINDS[compression]} data that are damaged or cut short: ")


@pytest.mark.parametrize("compression", [".gz", ".zst"])
def test_a_last_member_or_frame_that_is_cut_short_is_refused(compression: str, tmp_path: Path):
    compress, path = COMPRESS[compression], tmp_path / f"data.csv{compression}"
    first, last = compress(b"id,text,label\n1,a,x\n"), compress(b"2,b,y\n")
    for cut in range(1, len(last)):
        path.write_bytes(first + last[:cut])
        assert refusal(path).startswith(f"{path}: {KINDS[compression]} data that are damaged or cut short: ")


def test_a_compressed_file_with_other_bytes_inside_or_after_is_refused(tmp_path: Path):
    path = tmp_path / "data.csv.gz"
    whole = gzip.compress(CONTENT["csv"]())
    for broken in (whole[:30] + bytes([whole[30] ^ 255]) + whole[31:], whole[:-6] + bytes(6), whole + b"more"):
        path.write_bytes(broken)
        assert refusal(path).startswith(f"{path}: gzip data that are damaged or cut short: ")
    path.write_bytes(COMPRESS[".zst"](CONTENT["csv"]()) + b"more")
    assert refusal(path).startswith(f"{path}: zstd data that are damaged or cut short: ")


def test_tsv_is_csv_with_tabs(tmp_path: Path):
    path = tmp_path / "data.tsv"
    path.write_text('id\ttext\tlabel\n1\t"a\tb\n""c"""\tx,y\n\n2\t\tz\n')
    assert documents(path) == Documents(["1", "2"], ['a\tb\n"c"', ""], ["x,y", "z"], num_null=1)
    path.write_text('id\ttext\tlabel\n1\t"a\n')
    assert refusal(path).startswith(f"{path}: not TSV in row 1, line 2: ")


def test_jsonl_values_of_other_types_become_strings_and_null_is_null(tmp_path: Path):
    path = jsonl(
        tmp_path,
        '{"id": 1, "text": "NA", "label": true, "more": {"a": [1]}}\r',
        "",
        ' \t{"text": null, "label": 1.5, "id": "007"} ',
        '{"id": false,\r"text": "", "label": "a, b"}',
        '{"id": 12345678901234567890, "text": "\\u2028\u2028", "label": " "}',
    )
    assert documents(path) == Documents(
        ["1", "007", "False", "12345678901234567890"],
        ["NA", "", "", "\u2028\u2028"],
        ["True", "1.5", "a, b", " "],
        num_null=1,
    )


GOOD = '{"id": 1, "text": "a", "label": "x"}'


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"id": 2, "text": "a"}', "row 2: column 'label' is missing; the columns are 'id', 'text'"),
        ('{"id": 2, "text": "a", "label": null}', "row 2, document '2': column 'label' is null"),
        ('{"id": 2, "text": 5, "label": "x"}', "row 2, document '2': column 'text' must hold text, but holds int instead"),
        ('{"id": 2, "text": "a", "label": ["x", "y"]}', "row 2, document '2': column 'label' must hold one label, but holds the list ['x', 'y'] instead; --multi-label reads lists"),
        ('{"id": 1, "text": "a", "label": "x"}', "row 2: id '1' stands twice, first in {path}: row 1"),
        ('{"id": 2, "text": "a", "label": "x", "text": "b"}', "row 2 (line 3) is not JSON: key 'text' stands twice"),
        ('{"id": 2, "text": "a", "label": NaN}', "row 2 (line 3) is not JSON: NaN is no JSON value"),
        ('{"id": 2, "text": "a", "label": -Infinity}', "row 2 (line 3) is not JSON: -Infinity is no JSON value"),
        ('["id", "text"]', "row 2 (line 3) must be an object, but is list instead"),
        ("null", "row 2 (line 3) must be an object, but is NoneType instead"),
        ('{"id": 2, "text": "a"', "row 2 (line 3, column 22) is not JSON: Expecting ',' delimiter"),
        (GOOD + GOOD, "row 2 (line 3, column 37) is not JSON: Extra data"),
        ("[" * 100_000, "row 2 (line 3) is not JSON: "),
        ('{"id": 2, "text": "\\ud800", "label": "x"}', "row 2, document '2': column 'text' has a character that is not Unicode"),
        ('{"id": "\\ud800", "text": "a", "label": "x"}', "row 2: column 'id' has a character that is not Unicode"),
        ('{"id": 2, "text": "a", "label": "\\udfff"}', "row 2, document '2': column 'label' has a character that is not Unicode"),
    ],
)  # fmt: skip
def test_a_wrong_line_of_jsonl_is_named(line: str, message: str, tmp_path: Path):
    path = jsonl(tmp_path, GOOD, "", line, GOOD.replace("1", "3"))
    assert refusal(path).startswith(f"{path}: {message.format(path=path)}")


@pytest.mark.parametrize("content", ["", "\n \n", "\ufeff"])
def test_jsonl_without_rows_is_refused(content: str, tmp_path: Path):
    path = jsonl(tmp_path, content)
    assert refusal(path) == f"{path}: no rows"


def test_formats_may_be_mixed_and_ids_are_unique_across_them(tmp_path: Path):
    one = tmp_path / "one.csv.gz"
    one.write_bytes(gzip.compress(b"id,text,label\nx,a,l\ny,b,l\n"))
    two = jsonl(tmp_path, '{"label": "m", "id": "z", "text": "c"}')
    assert documents([one, two]) == Documents(["x", "y", "z"], ["a", "b", "c"], ["l", "l", "m"])
    two = jsonl(tmp_path, '{"label": "m", "id": "y", "text": "c"}')
    assert refusal([one, two]) == f"{two}: row 1: id 'y' stands twice, first in {one}: row 2"


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("latin-1", "caf\u00e9"), ("UTF8", "caf\u00e9"), ("utf-16", "\u4e2d\u0a0a"), ("utf-16-be", "\u0a0a"), ("gbk", "\u4e2d")],
)  # fmt: skip
def test_other_encodings_are_read_when_they_are_named(encoding: str, text: str, tmp_path: Path):
    for name, content in (("data.csv", f"text\n{text}\n"), ("data.jsonl", f'{{"text": "{text}"}}\n'), ("a.txt", text)):
        (tmp_path / name).write_bytes(content.encode(encoding))
        assert documents(tmp_path / name, Columns(), encoding=encoding).texts == [text]


@pytest.mark.parametrize("encoding", ["utf-9", "hex", "rot13", "", "undefined"])
def test_an_encoding_that_is_none_is_refused(encoding: str, tmp_path: Path):
    with pytest.raises(HierdocError) as error:
        find_sources(pd.DataFrame(ROWS), encoding=encoding)
    assert str(error.value) == (
        f"`encoding` must be a text encoding that Python knows, as utf-8, utf-16 or cp1252, but is {encoding!r} instead"
    )


@pytest.mark.parametrize(
    ("content", "encoding", "message"),
    [
        (b"text\n" * 30_000 + b"caf\xe9\n", "utf-8", "utf-8 in line 30001: byte 0xe9 at offset 150003, invalid continuation byte; --encoding names another"),
        (b"\xef\xbb\xbftext\n\xff\n", "utf-8", "utf-8 in line 2: byte 0xff at offset 8, invalid start byte; --encoding names another"),
        (b"x" * 65_535 + b"\xe4\xb8", "utf-8", "utf-8 in line 1: byte 0xe4 at offset 65535, unexpected end of data; --encoding names another"),
        ("text\na\n".encode("utf-16"), "utf-8", "utf-8 in line 1: byte 0xff at offset 0, invalid start byte; it begins as utf-16 does: try --encoding utf-16"),
        ("text\na\n".encode("utf-32"), "utf-8", "utf-8 in line 1: byte 0xff at offset 0, invalid start byte; it begins as utf-32 does: try --encoding utf-32"),
        ("text\n\u4e2d\n".encode(), "ascii", "ascii in line 2: byte 0xe4 at offset 5, ordinal not in range(128); --encoding names another"),
        (b"text\na\n", "utf-16", "utf-16: UTF-16 stream does not start with BOM; --encoding names another"),
        ("text\nab".encode("utf-16") + b"\x00", "utf-16", "utf-16 in line 2: byte 0x00 at offset 16, truncated data; --encoding names another"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("name", ["data.csv", "data.txt"])
def test_bytes_that_are_no_text_are_named_by_line_and_offset(
    content: bytes, encoding: str, message: str, name: str, tmp_path: Path
):
    path = tmp_path / name
    path.write_bytes(content)
    assert refusal(path, Columns(), encoding=encoding) == f"{path}: not {message}"


def test_bytes_that_are_no_text_are_named_in_jsonl_and_in_compressed_files(tmp_path: Path):
    path = tmp_path / "data.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "a"}\n{"text": "caf\xe9"}\n'))
    place = "in line 2: byte 0xe9 at offset 27, invalid continuation byte"
    assert refusal(path, Columns()) == f"{path}: not utf-8 {place}; --encoding names another"


@pytest.mark.parametrize("name", ["junk.tsv", "junk.jsonl", "junk.txt", "junk.csv.gz", "junk.parquet.zst"])
@pytest.mark.parametrize("start", [b"", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"PAR1", b"\xff\xfe", b"\0"])
def test_binary_junk_is_refused(name: str, start: bytes, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(start + random.Random(1).randbytes(5000))
    assert refusal(path, Columns()).startswith(f"{path}: ")


@pytest.mark.parametrize("format", ["csv", "tsv"])
def test_an_empty_table_is_refused(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    assert refusal(stdin(monkeypatch, b""), format=format) == "stdin: the file is empty"
    path = tmp_path / f"data.{format}.gz"
    path.write_bytes(gzip.compress(b""))
    assert refusal(path) == f"{path}: the file is empty"
    path.write_bytes({"csv": b"id,text,label\n", "tsv": b"id\ttext\tlabel\n"}[format])
    assert refusal(path) == f"{path}: no rows"
    path.write_bytes(b"")
    assert refusal(path) == f"{path}: the file is empty"


def test_stdin_is_named_in_messages(monkeypatch: pytest.MonkeyPatch):
    assert (
        refusal(stdin(monkeypatch, b"id,text,label\n1,a,x\n2,b,\n"))
        == "stdin: row 2, document '2': column 'label' is null"
    )


def test_a_number_that_a_float_would_round_is_told_as_it_is_written(tmp_path: Path):
    ids = ["12345678901234567890123.0", "12345678901234567890124.0", "1e400", "0.50", "2e0"]
    path = jsonl(tmp_path, *(f'{{"id": {id}, "text": "a", "label": 1.00}}' for id in ids))
    found = documents(path)
    assert found.doc_ids == [*ids[:3], "0.5", "2.0"] and found.labels == ["1.0"] * 5
    for number in ("2.5", "1e400"):
        jsonl(tmp_path, f'{{"id": 1, "text": {number}, "label": "x"}}')
        assert refusal(path).endswith("must hold text, but holds float instead")


def test_rows_between_the_quotes_of_a_tsv_are_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "d.tsv"
    path.write_text('id\ttext\tlabel\n1\tone\ta\n2\t"Never, she said\ta\n3\ttwo\tb\n4\t15"\ta\n5\t"x\ty\nz"\tb\n')
    found = documents(path)
    assert found.doc_ids == ["1", "2", "5"]
    assert capsys.readouterr().err.count("warning") == 1
    documents(path)
    assert f"warning: {path}: row 2 (it ends on line 5): a field between quotes holds tabs" in capsys.readouterr().err
    path.write_text('id\ttext\tlabel\n1\t"one\ntwo"\ta\n2\t"with a\ttab"\ta\n')
    assert documents(path).texts == ["one\ntwo", "with a\ttab"] and capsys.readouterr().err == ""


@pytest.mark.parametrize("format", ["jsonl", "parquet", "frame"])
@pytest.mark.parametrize("column", ["label", "id"])
def test_an_empty_label_or_id_is_refused_with_its_row(format: str, column: str, tmp_path: Path):
    rows = [{"id": "1", "text": "a", "label": "x"}, {"id": "2", "text": "b", "label": "y", column: ""}]
    data = pd.DataFrame(rows)
    if format == "jsonl":
        data = jsonl(tmp_path, *map(json.dumps, rows))
    elif format == "parquet":
        data.to_parquet(tmp_path / "d.parquet")
        data = tmp_path / "d.parquet"
    assert refusal(data).endswith(f"column {column!r} is empty") and "row 2" in refusal(data)


def test_labels_of_a_parquet_column_of_text_are_cut_as_in_csv(tmp_path: Path):
    rows = {"id": list("123"), "text": ["a"] * 3, "label": ["x|y", "x", None]}
    for name, label in (("text", rows["label"]), ("lists", [["x", "y"], ["x"], []])):
        pq.write_table(pa.table({**rows, "label": label}), tmp_path / f"{name}.parquet")
        found = read_documents(find_sources(tmp_path / f"{name}.parquet"), LABELLED, "|")
        assert found.labels == [("x", "y"), ("x",), ()]
    pq.write_table(pa.table({**rows, "label": [["x"], ["y"], None]}), tmp_path / "null.parquet")
    with pytest.raises(
        HierdocError, match="row 3, document '3': column 'label' must hold a list of labels, .* is null"
    ):
        read_documents(find_sources(tmp_path / "null.parquet"), LABELLED, "|")
