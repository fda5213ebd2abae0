"""What is read from tables, and what is refused, in one line that names file and row."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hierdoc.corpus import documents as corpus
from hierdoc.corpus.documents import Columns, Documents
from hierdoc.corpus.finding import find_sources
from hierdoc.errors import HierdocError

ALL = Columns(text="text", label="label", id="id", split="split")
LABELLED = Columns(text="text", label="label", id="id")
UNKNOWN = (
    "must end in .csv, .tsv, .jsonl, .parquet or .txt, with or without .gz or .zst after it; --format says what it is"
)


def csv_file(folder: Path, content: str | bytes, name: str = "data.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


def parquet_file(folder: Path, columns: dict[str, Any], name: str = "data.parquet") -> Path:
    path = folder / name
    pq.write_table(pa.table(columns), path)
    return path


def read_documents(data: Any, columns: Columns) -> Documents:
    return corpus.read_documents(find_sources(data), columns)


def iterate_documents(data: Any, columns: Columns) -> list[tuple[str, str | None, str, str]]:
    return list(corpus.iterate_documents(find_sources(data), columns))


def data_sha256(data: Any) -> list[str]:
    return find_sources(data).parameters()["data_sha256"]


def refusal(data: Any, columns: Columns = LABELLED) -> str:
    """The message with which `data` is refused; one line, always."""
    with pytest.raises(HierdocError) as error:
        read_documents(data, columns)
    assert "\n" not in str(error.value) and "\r" not in str(error.value)
    return str(error.value)


def test_csv_values_are_strings_as_they_stand(tmp_path: Path):
    path = csv_file(tmp_path, 'id,text,label,split\n007,NA,1.0,train\n7," null ",None,dev\n1e3,nan,"a, b",test\n')
    documents = read_documents(path, ALL)
    assert documents.doc_ids == ["007", "7", "1e3"]
    assert documents.texts == ["NA", " null ", "nan"]
    assert documents.labels == ["1.0", "None", "a, b"]
    assert documents.splits == ["train", "dev", "test"]
    assert documents.num_null == 0 and len(documents) == 3


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_ends_a_csv_row_and_none_is_changed_inside_quotes(end: str, tmp_path: Path):
    path = csv_file(tmp_path, end.join(["id,text,label", '1,"one\r\ntwo\nthree\rfour",a', '2,"say ""hi"", x",b', ""]))
    documents = read_documents(path, LABELLED)
    assert documents.texts == ["one\r\ntwo\nthree\rfour", 'say "hi", x']
    assert documents.labels == ["a", "b"]


def test_a_byte_order_mark_is_not_part_of_the_first_columns_name(tmp_path: Path):
    path = csv_file(tmp_path, b"\xef\xbb\xbfid,text,label\n1,\xef\xbb\xbfx,a\n")
    documents = read_documents(path, LABELLED)
    assert documents.doc_ids == ["1"] and documents.texts == ["\ufeffx"]


def test_columns_stand_in_any_order_among_others(tmp_path: Path):
    path = csv_file(tmp_path, "junk,label,text,more,id\nx,a,t1,y,1\nx,b,t2,y,2\n")
    documents = read_documents(path, LABELLED)
    assert (documents.doc_ids, documents.texts, documents.labels, documents.splits) == (
        ["1", "2"],
        ["t1", "t2"],
        ["a", "b"],
        None,
    )


def test_without_an_id_column_rows_are_numbered_from_1_through_all_files(tmp_path: Path):
    one = csv_file(tmp_path, "text\na\nb\n", "one.csv")
    two = parquet_file(tmp_path, {"text": ["c", None], "other": [1, 2]}, "two.parquet")
    documents = read_documents([one, str(two)], Columns())
    assert documents.doc_ids == ["1", "2", "3", "4"]
    assert documents.texts == ["a", "b", "c", ""]
    assert documents.labels is None and documents.splits is None and documents.num_null == 1


def test_a_null_text_is_kept_as_an_empty_document_and_counted(tmp_path: Path):
    data = csv_file(tmp_path, 'id,text,label\n1,,a\n2,"",b\n3, ,c\n')
    documents = read_documents(data, LABELLED)
    assert documents.texts == ["", "", " "] and documents.num_null == 2
    assert [row[1] for row in iterate_documents(data, LABELLED)] == [None, None, " "]
    columns = {"id": ["1", "2", "3"], "text": [None, "", "NA"], "label": ["a", "b", "c"]}
    for source in (parquet_file(tmp_path, columns), pd.DataFrame(columns)):
        documents = read_documents(source, LABELLED)
        assert documents.texts == ["", "", "NA"] and documents.num_null == 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 22], ["1", "22"]),
        ([True, False], ["True", "False"]),
        ([1.5, 2.0], ["1.5", "2.0"]),
        (["b", " a"], ["b", " a"]),
        (pa.array(["x", "y"]).dictionary_encode(), ["x", "y"]),
        (pa.array(["x", "y"], pa.large_string()), ["x", "y"]),
        (pa.array([3, 4], pa.int8()), ["3", "4"]),
    ],
    ids=["int", "bool", "float", "a blank", "dictionary", "large string", "int8"],
)
def test_parquet_labels_and_ids_of_other_types_become_strings(values: Any, expected: list[str], tmp_path: Path):
    path = parquet_file(tmp_path, {"text": ["a", "b"], "label": values, "id": values})
    documents = read_documents(path, LABELLED)
    assert documents.labels == expected and documents.doc_ids == expected


def test_a_parquet_file_of_several_row_groups_is_read_in_order(tmp_path: Path):
    path = tmp_path / "data.PARQUET"
    numbers = list(range(2500))
    pq.write_table(
        pa.table({"id": numbers, "text": [f"t{n}" for n in numbers], "label": ["a"] * 2500}), path, row_group_size=700
    )
    documents = read_documents(path, LABELLED)
    assert documents.doc_ids == [str(n) for n in numbers] and documents.texts == [f"t{n}" for n in numbers]


def test_one_column_may_serve_twice(tmp_path: Path):
    columns = Columns(text="text", label="kind", id="text", split="kind", group="kind")
    values = {"kind": ["train", "dev"], "text": ["a", "b"]}
    for data in (
        csv_file(tmp_path, "kind,text\ntrain,a\ndev,b\n"),
        parquet_file(tmp_path, values),
        pd.DataFrame(values),
    ):
        assert list(iterate_documents(data, columns)) == [
            ("a", "a", "train", "train", "train"),
            ("b", "b", "dev", "dev", "dev"),
        ]


def test_the_group_of_each_document_is_read_where_it_is_asked_for(tmp_path: Path):
    values = {"text": ["a", "b", "c"], "who": ["ann", "bob", "ann"]}
    for data in (
        csv_file(tmp_path, "text,who\na,ann\nb,bob\nc,ann\n"),
        parquet_file(tmp_path, values),
        pd.DataFrame(values),
    ):
        assert read_documents(data, Columns(group="who")).groups == ["ann", "bob", "ann"]
        assert read_documents(data, Columns()).groups is None
    path = csv_file(tmp_path, "text,who\na,ann\nb,\n")
    assert refusal(path, Columns(group="who")) == f"{path}: row 2: column 'who' is null"
    assert refusal(path, Columns(group="town")) == f"{path}: column 'town' is missing; the columns are 'text', 'who'"


def test_a_parquet_column_with_a_dot_in_its_name_is_found(tmp_path: Path):
    path = parquet_file(tmp_path, {"doc.text": ["a"], "doc": ["other"]})
    assert read_documents(path, Columns(text="doc.text")).texts == ["a"]


def test_a_data_frame_is_read_by_position_whatever_its_index():
    frame = pd.DataFrame({"id": [7, 8], "text": ["NA", "b"], "label": [True, False]}, index=[5, 5])
    documents = read_documents(frame, LABELLED)
    assert (documents.doc_ids, documents.texts, documents.labels) == (["7", "8"], ["NA", "b"], ["True", "False"])


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT, np.nan])
def test_missing_values_of_a_data_frame_are_null(missing: Any):
    frame = pd.DataFrame({"id": ["x", "y"], "text": pd.Series(["a", missing], dtype=object), "label": ["a", "b"]})
    assert read_documents(frame, LABELLED).num_null == 1
    frame = pd.DataFrame({"id": ["x", "y"], "text": ["a", "b"], "label": pd.Series(["a", missing], dtype=object)})
    assert refusal(frame) == "the DataFrame: row 2, document 'y': column 'label' is null"


def test_numpy_scalars_in_a_data_frame_are_single_values():
    labels = pd.Series([np.int64(3), np.str_("b")], dtype=object)
    frame = pd.DataFrame(
        {"id": pd.Series([np.int64(1), np.float32(2)], dtype=object), "text": ["a", "b"], "label": labels}
    )
    documents = read_documents(frame, LABELLED)
    assert documents.labels == ["3", "b"] and documents.doc_ids == ["1", "2.0"]


def test_csv_parquet_and_data_frame_give_the_same_documents(tmp_path: Path):
    rng = random.Random(0)
    texts = [
        "".join(rng.choice("ab ,\"\n\r\u00e9\u4e2d\U0001f600\t;'") for _ in range(rng.randint(1, 30)))
        for _ in range(80)
    ]
    columns = {
        "id": [f"{n:03d}" for n in range(80)], "text": texts, "label": [rng.choice(["a,b", "c"]) for _ in texts],
        "split": [rng.choice(["train", "dev"]) for _ in texts],
    }  # fmt: skip
    lines = ["id,text,label,split"]
    for row in zip(*columns.values(), strict=True):
        lines.append(",".join('"' + value.replace('"', '""') + '"' for value in row))
    expected = [(*row, "") for row in zip(*columns.values(), strict=True)]
    for data in (csv_file(tmp_path, "\n".join(lines)), parquet_file(tmp_path, columns), pd.DataFrame(columns)):
        assert list(iterate_documents(data, ALL)) == expected


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("2,text,", "row 2, document '2': column 'label' is null"),
        (",text,a", "row 2: column 'id' is null"),
        ("1,text,a", "row 2: id '1' stands twice, first in {path}: row 1"),
        ("2,text", "row 2 (it ends on line 3) has 2 fields, but the header has 3"),
        ("2,text,a,b", "row 2 (it ends on line 3) has 4 fields, but the header has 3"),
    ],
)
def test_a_wrong_csv_row_is_named(row: str, message: str, tmp_path: Path):
    path = csv_file(tmp_path, f"id,text,label\n1,first,a\n{row}\n3,third,c\n")
    assert refusal(path) == f"{path}: " + message.format(path=path)


def test_rows_are_counted_without_blank_lines_and_lines_with_quoted_ones(tmp_path: Path):
    path = csv_file(tmp_path, 'id,text,label\n\n1,"a\nb\n\nc",x\n\n2,d\n')
    assert refusal(path) == f"{path}: row 2 (it ends on line 8) has 2 fields, but the header has 3"


def test_a_null_split_is_refused_with_its_row(tmp_path: Path):
    path = csv_file(tmp_path, "id,text,label,split\n1,a,b,train\n2,a,b,\n")
    assert refusal(path, ALL) == f"{path}: row 2, document '2': column 'split' is null"


def test_a_split_that_is_none_is_refused_with_its_file_and_row(tmp_path: Path):
    one = csv_file(tmp_path, "id,text,label,split\n1,a,b,train\n", "one.csv")
    two = csv_file(tmp_path, "id,text,label,split\n2,a,b,val\n3,a,b,holdout\n", "two.csv")
    listed = "train, dev, test, excluded"
    assert (
        refusal([one, two], ALL)
        == f"{two}: row 2, document '3': column 'split' must hold one of {listed}, but holds 'holdout' instead"
    )


def test_an_id_that_stands_twice_names_both_places(tmp_path: Path):
    one = csv_file(tmp_path, "id,text,label\na,x,1\nb,y,2\n", "one.csv")
    two = parquet_file(tmp_path, {"id": ["c", "b"], "text": ["x", "y"], "label": ["1", "2"]}, "two.parquet")
    assert refusal([one, two]) == f"{two}: row 2: id 'b' stands twice, first in {one}: row 2"
    frame = pd.DataFrame({"id": [1, "1"], "text": ["x", "y"], "label": ["1", "2"]})
    assert refusal(frame) == "the DataFrame: row 2: id '1' stands twice, first in the DataFrame: row 1"


def test_a_missing_column_lists_the_columns_there_are(tmp_path: Path):
    values = {"Id": ["1"], "text": ["a"], "label,s": ["x"]}
    listed = "the columns are 'Id', 'text', 'label,s'"
    path = csv_file(tmp_path, 'Id,text,"label,s"\n1,a,x\n')
    assert refusal(path) == f"{path}: column 'label' is missing; {listed}"
    path = parquet_file(tmp_path, values)
    assert refusal(path) == f"{path}: column 'label' is missing; {listed}"
    assert refusal(pd.DataFrame(values)) == f"the DataFrame: column 'label' is missing; {listed}"
    assert refusal(path, Columns(id="id")) == f"{path}: column 'id' is missing; {listed}"
    assert refusal(path, Columns(split="split")) == f"{path}: column 'split' is missing; {listed}"


def test_a_column_whose_name_stands_twice_is_refused(tmp_path: Path):
    path = csv_file(tmp_path, "id,text,label,text\n1,a,b,c\n")
    assert refusal(path) == f"{path}: column 'text' stands twice; the columns are 'id', 'text', 'label', 'text'"
    assert read_documents(path, Columns(text="label", id="id")).texts == ["b"]  # where it is not wanted it may


def test_text_that_is_not_utf8_names_the_line_and_the_byte(tmp_path: Path):
    path = csv_file(tmp_path, b"id,text,label\n1,fine,a\n2,caf\xe9 au lait,b\n")
    place = "in line 3: byte 0xe9 at offset 28, invalid continuation byte"
    assert refusal(path) == f"{path}: not utf-8 {place}; --encoding names another"


@pytest.mark.parametrize("size", [10, 1000, 100_000])
@pytest.mark.parametrize("name", ["junk.csv", "junk.parquet"])
def test_binary_junk_is_refused(name: str, size: int, tmp_path: Path):
    path = tmp_path / name
    path.write_bytes(random.Random(size).randbytes(size))
    assert refusal(path).startswith(f"{path}: ")


def test_an_unclosed_quote_is_not_csv(tmp_path: Path):
    path = csv_file(tmp_path, 'id,text,label\n1,a,x\n2,"b,y\n3,c,z\n')
    assert refusal(path).startswith(f"{path}: not CSV in row 2, line 4: ")
    path = csv_file(tmp_path, 'id,text,label\n1,"a"b,x\n')
    assert refusal(path).startswith(f"{path}: not CSV in row 1, line 2: ")


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
def test_an_empty_file_is_refused(content: bytes, tmp_path: Path):
    path = csv_file(tmp_path, content)
    assert refusal(path) == f"{path}: the file is empty"
    assert "not a Parquet file" in refusal(csv_file(tmp_path, content, "data.parquet"))


def test_data_without_rows_are_refused(tmp_path: Path):
    one, two = csv_file(tmp_path, "id,text,label\n"), parquet_file(tmp_path, {"id": [], "text": [], "label": []})
    assert refusal(one) == f"{one}: no rows"
    assert refusal(two) == f"{two}: no rows"
    assert refusal([one, two]) == f"{one}, {two}: no rows"
    assert refusal(pd.DataFrame({"id": [], "text": [], "label": []})) == "the DataFrame: no rows"


def test_a_file_without_rows_beside_one_with_rows_is_fine(tmp_path: Path):
    one, two = csv_file(tmp_path, "id,text,label\n", "a.csv"), csv_file(tmp_path, "id,text,label\n1,a,b\n", "b.csv")
    assert read_documents([one, two], LABELLED).doc_ids == ["1"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing.csv", "no such file"),
        ("missing.txt", "no such file"),
        ("csv/missing.csv", "no such file"),
        ("dangling.csv", "a link to a file that is not there"),
        ("pipe.csv", "not a regular file; a pipe can be read as - (stdin)"),
        ("x" * 300 + ".csv", "can't be read: File name too long"),
        ("folder", "no files in this folder"),
        ("folder.csv", "no files in this folder"),
        ("csv", UNKNOWN),
        ("data.json", UNKNOWN),
        ("data.gz", UNKNOWN),
    ],
)
def test_a_path_that_is_not_a_data_file_is_refused(name: str, message: str, tmp_path: Path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "dangling.csv").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.csv")
    for unknown in ("csv", "data.json", "data.gz"):
        (tmp_path / unknown).write_text("id,text\n")
    for data in (tmp_path / name, str(tmp_path / name), [tmp_path / name]):
        assert refusal(data) == f"{tmp_path / name}: {message}"
        with pytest.raises(HierdocError):
            data_sha256(data)


def test_a_table_that_is_named_twice_is_refused(tmp_path: Path):
    path = csv_file(tmp_path, "id,text,label\n1,cat,a\n")
    (tmp_path / "link.csv").symlink_to(path)
    for again in (path, path.parent / ".." / path.parent.name / path.name, tmp_path / "link.csv"):
        assert refusal([path, again]) == f"{again}: is named twice, first as {path}"


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us")])
def test_a_date_that_no_calendar_has_is_refused(kind: pa.DataType, tmp_path: Path):
    days = pa.array([0, 9_999_999], pa.int32()).cast(pa.date32())  # the last is in the year 29349
    path = parquet_file(tmp_path, {"id": ["1", "2"], "text": ["cat", "dog"], "label": days.cast(kind)})
    assert (
        refusal(path) == f"{path}: column 'label' has a value after row 0 that can't be read: date value out of range"
    )


def test_no_paths_at_all_are_refused():
    assert refusal([]) == "no data: name at least one file"


@pytest.mark.parametrize("data", [None, 5, {"text": ["a"]}, pd.Series(["a"])], ids=["None", "int", "dict", "Series"])
def test_data_of_another_kind_are_refused(data: Any):
    kind = type(data).__name__
    message = f"`data` must be a path, paths or a DataFrame, but is {kind} instead"
    assert refusal(data) == message
    with pytest.raises(HierdocError) as error:
        data_sha256(data)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("texts", "kind"),
    [([1, 2], "int"), ([1.5, 2.5], "float"), ([True, None], "bool"), ([b"a", b"b"], "bytes"), ([["a"], ["b"]], "list")],
)
def test_a_text_column_that_holds_no_text_is_refused(texts: list[Any], kind: str, tmp_path: Path):
    columns = {"id": ["1", "2"], "text": texts, "label": ["a", "b"]}
    path = parquet_file(tmp_path, columns)
    assert refusal(path) == f"{path}: row 1, document '1': column 'text' must hold text, but holds {kind} instead"
    frame = pd.DataFrame({**columns, "text": pd.Series(texts, dtype=object)})
    assert (
        refusal(frame) == f"the DataFrame: row 1, document '1': column 'text' must hold text, but holds {kind} instead"
    )


@pytest.mark.parametrize("column", ["label", "id", "split"])
@pytest.mark.parametrize("value", [["a", "b"], {"k": 1}], ids=["list", "struct"])
def test_a_list_where_one_value_belongs_is_refused(column: str, value: Any, tmp_path: Path):
    columns = {"id": ["1"], "text": ["t"], "label": ["a"], "split": ["train"], column: [value]}
    path = parquet_file(tmp_path, columns)
    said = f"must hold one value, but holds {value!r} instead"
    if column == "label" and isinstance(value, list):
        said = f"must hold one label, but holds the list {value!r} instead; --multi-label reads lists"
    place = "row 1" if column == "id" else "row 1, document '1'"
    assert refusal(path, ALL) == f"{path}: {place}: column {column!r} {said}"
    frame = pd.DataFrame({**columns, column: pd.Series([value], dtype=object)})
    assert refusal(frame, ALL) == f"the DataFrame: {place}: column {column!r} {said}"


def test_an_array_where_one_value_belongs_is_refused():
    frame = pd.DataFrame({"id": ["1"], "text": ["t"], "label": pd.Series([np.array([1, 2])], dtype=object)})
    assert refusal(frame).startswith(
        "the DataFrame: row 1, document '1': column 'label' must hold one label, but holds the list [1, 2]"
    )


@pytest.mark.parametrize("column", ["label", "id"])
def test_a_parquet_null_in_a_required_column_names_its_row(column: str, tmp_path: Path):
    columns = {"id": ["1", "2", "3"], "text": ["a", "b", "c"], "label": ["x", "y", "z"]}
    columns[column] = [columns[column][0], columns[column][1], None]
    path = parquet_file(tmp_path, columns)
    place = "row 3" if column == "id" else "row 3, document '3'"
    assert refusal(path) == f"{path}: {place}: column {column!r} is null"


def test_a_lone_surrogate_is_refused():
    frame = pd.DataFrame({"id": ["1", "2"], "text": pd.Series(["a", "b\ud800c"], dtype=object), "label": ["a", "b"]})
    assert (
        refusal(frame)
        == "the DataFrame: row 2, document '2': column 'text' has a character that is not Unicode: surrogates not allowed"
    )


@pytest.mark.parametrize("column", ["label", "id"])
def test_a_lone_surrogate_in_a_label_or_id_is_refused_too(column: str):
    columns = {"id": ["1", "2"], "text": ["a", "b"], "label": ["x", "y"]}
    columns[column] = pd.Series([columns[column][0], "\ud800"], dtype=object)
    place = "row 2" if column == "id" else "row 2, document '2'"
    assert refusal(pd.DataFrame(columns)).startswith(f"the DataFrame: {place}: column {column!r}")


def test_parquet_text_that_is_not_utf8_is_refused(tmp_path: Path):
    broken = pa.Array.from_buffers(pa.string(), 2, pa.array([b"fine", b"caf\xe9"], pa.binary()).buffers())
    path = parquet_file(tmp_path, {"id": ["1", "2"], "text": broken, "label": ["a", "b"]})
    assert refusal(path).startswith(f"{path}: ")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path):
    path = parquet_file(tmp_path, {"id": ["1"] * 100, "text": ["some text"] * 100, "label": ["a"] * 100})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "not a Parquet file that can be read" in refusal(path)
    path.write_bytes(whole[:4] + bytes(60) + whole[64:])
    assert refusal(path).startswith(f"{path}: ")


def test_a_very_long_text_is_read(tmp_path: Path):
    text = "word " * 100_000
    assert read_documents(csv_file(tmp_path, f"id,text,label\n1,{text},a\n"), LABELLED).texts == [text]


def test_the_hash_of_data_is_that_of_the_files_bytes_in_order(tmp_path: Path):
    one, two = csv_file(tmp_path, "abc", "a.csv"), csv_file(tmp_path, "", "b.csv")
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert data_sha256([one, two]) == [abc, nothing] and data_sha256(str(one)) == [abc]


def test_the_hash_of_a_data_frame_changes_with_any_value_and_with_the_order():
    frame = pd.DataFrame({"id": ["1", "2"], "text": pd.Series(["a\ud800", None], dtype=object)})
    assert data_sha256(frame) == data_sha256(frame.copy())
    others = [
        frame.iloc[::-1],
        frame.assign(text=["a", None]),
        frame.assign(id=["1", "3"]),
        frame.iloc[:1],
        frame.fillna(""),
    ]
    others.append(
        frame.rename(columns={"id": "text", "text": "id"})[["text", "id"]].iloc[:, ::-1]
    )  # the columns change places
    assert len({tuple(data_sha256(other)) for other in [frame, *others]}) == 7
