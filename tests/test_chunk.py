"""The chunk command: documents with their split, their chunks, and what is said about them."""

from __future__ import annotations

import hashlib
import random
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import VOCAB, tiny_rows, write_csv

from hierdoc import chunk
from hierdoc.chunk import chunk_documents
from hierdoc.chunking.tokenizers import load_tokenizer
from hierdoc.errors import HierdocError
from hierdoc.stages.finished import FinishedStage
from hierdoc.stages.tables import read_tables

CLS, SEP, UNK = VOCAB.index("[CLS]"), VOCAB.index("[SEP]"), VOCAB.index("[UNK]")


def ids(text: str) -> list[int]:
    """[CLS] and [SEP] around the tokens that are spelled out."""
    return [CLS, *(VOCAB.index(word) for word in text.split()), SEP]


def rows_of(stage: FinishedStage, name: str) -> list[dict]:
    return read_tables(stage.files(f"{name}-")).to_pylist()


def given(*rows: tuple[str, str, str]) -> list[dict[str, str]]:
    """Rows of (label, split, text), numbered from d1."""
    return [
        {"id": f"d{n}", "label": label, "split": split, "text": text} for n, (label, split, text) in enumerate(rows, 1)
    ]


@pytest.fixture
def three(tmp_path: Path) -> Path:
    rows = given(("pets", "train", "The cats sat, a DOG ran"), ("sea", "train", "fish"), ("pets", "dev", "Zebra!"))
    return write_csv(tmp_path / "three.csv", rows)


@pytest.fixture
def cut_three(three: Path, tmp_path: Path, tiny_encoder: str):
    """A function that cuts the three rows into chunks of 5 tokens that share 1."""

    def cut(**changes) -> FinishedStage:
        settings = dict(id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5, overlap=1)
        return chunk_documents(three, tmp_path / "run", **{**settings, **changes})

    return cut


def test_three_documents_make_the_tables_by_hand(cut_three):
    stage = cut_three()
    text = "The cats sat, a DOG ran"
    documents = rows_of(stage, "documents")
    assert documents[0] == {
        "doc_id": "d1", "text": text, "labels": ["pets"], "split": "train",
        "text_sha256": hashlib.sha256(text.encode()).hexdigest(), "num_tokens": 8, "num_chunks": 4, "num_unknown": 0,
        "num_dropped": 0,
        "near_duplicate_of_train": False,
    }  # fmt: skip
    assert [(row["doc_id"], row["labels"], row["split"], row["num_tokens"], row["num_chunks"], row["num_unknown"]) for row in documents[1:]] == [
        ("d2", ["sea"], "train", 1, 1, 0),
        ("d3", ["pets"], "dev", 2, 1, 1),
    ]  # fmt: skip
    expected = [
        ("d1", 0, ids("the cat ##s"), 0, 8, "train"),
        ("d1", 1, ids("##s sat ,"), 7, 13, "train"),
        ("d1", 2, ids(", a dog"), 12, 19, "train"),
        ("d1", 3, ids("dog ran"), 16, 23, "train"),
        ("d2", 0, ids("fish"), 0, 4, "train"),
        ("d3", 0, ids("[UNK] !"), 0, 6, "dev"),
    ]
    assert [tuple(row.values()) for row in rows_of(stage, "chunks")] == expected


def test_the_manifest_says_what_was_found(cut_three, tiny_encoder: str, three: Path):
    stage = cut_three()
    found = stage.details
    assert found["labels"] == ["pets", "sea"] and found["lower_case"] is True
    assert found["documents_by_split"] == {"dev": 1, "train": 2}
    assert (found["num_documents"], found["num_chunks"], found["num_tokens"]) == (3, 6, 11)
    assert found["unknown_share"] == round(1 / 11, 6)
    assert found["rare_classes"] == {"pets": 2, "sea": 1} and found["unseen_classes"] == {} and found["num_empty"] == 0
    assert found["chunks_dropped_by_class"] == {} and found["dev_taken_from_train"] is False
    assert found["config"]["max_position_embeddings"] == 32
    assert set(stage.parameters) == {
        "data_sha256", "data_format", "encoding", "labels_file", "columns", "label_separator", "split", "encoder_sha256", "chunk_size",
        "overlap", "max_chunks", "respect_sentences", "seed",
    }  # fmt: skip
    assert stage.parameters["columns"] == {
        "text": "text",
        "label": "label",
        "id": "id",
        "split": "split",
        "group": None,
    }
    assert stage.parameters["data_sha256"] == [hashlib.sha256(three.read_bytes()).hexdigest()]
    assert (
        stage.parameters["chunk_size"] == 5
        and stage.parameters["overlap"] == 1
        and stage.details["encoder"] == tiny_encoder
    )
    assert load_tokenizer(stage.path).tokenize("The cats").token_ids.tolist() == ids("the cat ##s")[1:-1]


def test_the_order_of_the_labels_comes_from_train_only(tmp_path: Path, tiny_encoder: str, capsys):
    rows = given(
        ("10", "train", "cat"),
        ("9", "train", "dog"),
        ("8", "test", "fish"),
        ("8", "dev", "a"),
        ("x", "excluded", "the"),
    )
    data = write_csv(tmp_path / "data.csv", rows)
    stage = chunk_documents(
        data, tmp_path / "run", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5
    )
    assert stage.details["labels"] == ["9", "10"] and stage.details["unseen_classes"] == {"8": 2}
    assert "2 documents are of classes that train never saw, and count as wrong: '8'" in capsys.readouterr().err


def test_text_that_the_vocabulary_does_not_know_is_said_once(tmp_path: Path, tiny_encoder: str, capsys):
    rows = given(("a", "train", "今天天气很好"), ("b", "train", "the cat sat"), ("a", "dev", "我们去公园"))
    data = write_csv(tmp_path / "data.csv", rows)
    stage = chunk_documents(
        data, tmp_path / "run", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5
    )
    assert stage.details["unknown_share"] == round(11 / 14, 6)
    assert [row["num_unknown"] for row in rows_of(stage, "documents")] == [6, 0, 5]
    errors = capsys.readouterr().err
    assert (
        errors.count("78.6% of the tokens are [UNK]: does this encoder's vocabulary fit the language of the data?") == 1
    )


@pytest.mark.weights
def test_chinese_text_with_the_english_vocabulary_is_warned_about(tmp_path: Path, capsys):
    text = "今天天气很好，我们决定去附近的公园散步，顺便讨论机器学习与自然语言处理。"
    rows = given(("a", "train", text), ("b", "train", text[::-1]), ("a", "dev", text[5:]))
    chunk_documents(write_csv(tmp_path / "data.csv", rows), tmp_path / "run", id_column="id", split_column="split")
    assert "of the tokens are [UNK]" in capsys.readouterr().err


def test_few_unknown_tokens_are_not_warned_about(tmp_path: Path, tiny_encoder: str, capsys):
    rows = given(("a", "train", "the cat " * 10 + "zebra"), ("b", "train", "dog"), ("a", "dev", "fish"))
    stage = chunk_documents(
        write_csv(tmp_path / "data.csv", rows),
        tmp_path / "run",
        id_column="id",
        split_column="split",
        encoder=tiny_encoder,
        chunk_size=9,
    )
    assert 0 < stage.details["unknown_share"] < 0.05
    assert "[UNK]" not in capsys.readouterr().err


def test_chunks_can_end_where_sentences_do(cut_three, three: Path):
    three.write_text(
        "id,label,split,text\nd1,a,train,the cat sat a dog ran. a fish swam and a dog ran.\nd2,b,train,far\n"
    )
    assert [row["char_end"] for row in rows_of(cut_three(chunk_size=10, overlap=0), "chunks")][:2] == [24, 49]
    stage = cut_three(chunk_size=10, overlap=0, respect_sentences=True, overwrite=True)
    assert [row["char_end"] for row in rows_of(stage, "chunks")][:2] == [22, 49]
    assert stage.parameters["respect_sentences"] is True


def test_what_max_chunks_drops_is_said_per_class(tmp_path: Path, tiny_encoder: str, capsys):
    rows = given(
        ("a", "train", "cat " * 10), ("b", "train", "dog " * 7), ("c", "train", "fish"), ("b", "dev", "dog " * 4)
    )
    data = write_csv(tmp_path / "data.csv", rows)
    stage = chunk_documents(
        data, tmp_path / "run", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5, max_chunks=1
    )  # 4, 3, 1 and 2 chunks of 3 tokens
    assert stage.details["chunks_dropped_by_class"] == {"a": 3, "b": 3}
    assert (stage.details["num_chunks"], stage.details["num_tokens"]) == (4, 22)
    assert [(row["num_chunks"], row["num_dropped"]) for row in rows_of(stage, "documents")] == [
        (1, 3),
        (1, 2),
        (1, 0),
        (1, 1),
    ]
    assert "max-chunks 1 dropped 6 of 10 chunks: 'a' 3, 'b' 3" in capsys.readouterr().err


def test_documents_without_text_are_kept_as_one_empty_chunk_and_counted(tmp_path: Path, tiny_encoder: str, capsys):
    rows = given(("a", "train", ""), ("b", "train", " \n "), ("a", "dev", "cat"))
    data = write_csv(tmp_path / "data.csv", rows)
    stage = chunk_documents(
        data, tmp_path / "run", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5
    )
    chunks = rows_of(stage, "chunks")
    assert [(row["doc_id"], row["token_ids"]) for row in chunks] == [
        ("d1", [CLS, SEP]),
        ("d2", [CLS, SEP]),
        ("d3", ids("cat")),
    ]
    assert (stage.details["num_empty"], stage.details["num_null"]) == (2, 1)
    assert "2 documents have no text (1 null); each is kept as one empty chunk" in capsys.readouterr().err


def random_words(rng: random.Random, count: int) -> str:
    return " ".join(f"word{rng.randrange(10_000)}" for _ in range(count))


def test_near_duplicates_stay_in_one_generated_split_and_conflicts_are_said(tmp_path: Path, tiny_encoder: str, capsys):
    rng = random.Random(0)
    frame = []
    for family in range(30):
        text = random_words(rng, 40)
        copies = [text, text + " and more", "Well, " + text.upper()] if family % 2 else [text]
        frame += [{"text": copy, "label": "ab"[family % 4 // 2], "family": family} for copy in copies]
    assert frame[1]["family"] == frame[3]["family"] and frame[3]["label"] == "a"
    frame[3]["label"] = "b"
    rng.shuffle(frame)
    data = pd.DataFrame(frame)
    stage = chunk_documents(data, tmp_path / "run", encoder=tiny_encoder, chunk_size=20, split="0.5/0.25/0.25")
    documents = rows_of(stage, "documents")
    assert [row["doc_id"] for row in documents] == [str(n) for n in range(1, 61)]
    splits_of: dict[int, set[str]] = {}
    for row, document in zip(frame, documents, strict=True):
        splits_of.setdefault(row["family"], set()).add(document["split"])
    assert all(len(parts) == 1 for parts in splits_of.values())
    assert {part for parts in splits_of.values() for part in parts} == {"train", "dev", "test"}
    assert stage.details["near_duplicate_groups"] == 15 and stage.details["conflicting_groups"] == 1
    errors = capsys.readouterr().err
    assert "45 near-duplicates in 15 groups: each group stays in one split" in errors
    assert "warning: 1 groups of near-duplicates have conflicting labels: " in errors


def test_a_generated_split_has_the_fractions_and_depends_on_the_seed(tmp_path: Path, tiny_encoder: str):
    rng = random.Random(0)
    data = pd.DataFrame([{"text": random_words(rng, 10), "label": "ab"[n % 2]} for n in range(100)])
    splits = []
    for run, seed in [("one", 0), ("two", 0), ("three", 1)]:
        stage = chunk_documents(
            data, tmp_path / run, encoder=tiny_encoder, chunk_size=20, split="0.7/0.1/0.2", seed=seed
        )
        splits.append([row["split"] for row in rows_of(stage, "documents")])
        assert Counter(splits[-1]) == {"train": 70, "dev": 10, "test": 20}
        assert [row["split"] for row in rows_of(stage, "chunks")] == splits[-1]
    assert splits[0] == splits[1] != splits[2]


def test_a_given_split_without_dev_takes_it_from_train_aloud(tmp_path: Path, tiny_encoder: str, capsys):
    rng = random.Random(0)
    texts = [random_words(rng, 10) for _ in range(20)]
    rows = given(*[("ab"[n % 2], "train", text) for n, text in enumerate(texts)], ("a", "test", "dog"))
    data = write_csv(tmp_path / "data.csv", rows)
    stage = chunk_documents(
        data, tmp_path / "run", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5
    )
    assert stage.details["documents_by_split"] == {"dev": 2, "test": 1, "train": 18}
    assert stage.details["dev_taken_from_train"] is True
    assert "the given split has no dev: 10% of train is taken for it" in capsys.readouterr().err


def test_dev_taken_from_train_holds_no_near_duplicate_of_it(tmp_path: Path, tiny_encoder: str, capsys):
    rng = random.Random(0)
    texts = [random_words(rng, 12) for _ in range(20)]
    rows = given(*[("ab"[n % 2], "train", texts[n // 2 % 20]) for n in range(80)], ("a", "test", "dog"))
    stage = chunk_documents(
        write_csv(tmp_path / "data.csv", rows),
        tmp_path / "run",
        id_column="id",
        split_column="split",
        encoder=tiny_encoder,
        chunk_size=5,
    )
    documents = rows_of(stage, "documents")
    by_split = {name: {row["text"] for row in documents if row["split"] == name} for name in ("train", "dev")}
    assert by_split["dev"] and not by_split["dev"] & by_split["train"]
    assert (
        stage.details["near_duplicates_of_train"] == {} and "near-duplicates of training" not in capsys.readouterr().err
    )


def test_wrong_data_leave_a_finished_stage_as_it_was_even_with_overwrite(tmp_path: Path, tiny_encoder: str):
    good = write_csv(tmp_path / "good.csv", given(("a", "train", "cat"), ("b", "train", "dog"), ("a", "test", "fish")))
    bad = write_csv(tmp_path / "bad.csv", given(("a", "train", "cat"), ("", "train", "dog")))
    settings = {"id_column": "id", "split_column": "split", "encoder": tiny_encoder, "chunk_size": 5}
    chunk_documents(good, tmp_path / "run", **settings)
    before = {path.name: path.read_bytes() for path in (tmp_path / "run/chunk").iterdir()}
    with pytest.raises(HierdocError, match="row 2, document '.*': column 'label' is null"):
        chunk_documents(bad, tmp_path / "run", **settings, overwrite=True)
    assert {path.name: path.read_bytes() for path in (tmp_path / "run/chunk").iterdir()} == before


def test_a_split_that_is_missing_is_said(cut_three, capsys):
    cut_three()
    assert "warning: no document is in test\n" in capsys.readouterr().err


def test_the_second_run_does_nothing_and_says_so(cut_three, capsys):
    first = cut_three()
    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.path.iterdir()}
    capsys.readouterr()
    assert cut_three() == first
    assert capsys.readouterr().err == f"{first.path}: already finished with these parameters; nothing to do\n"
    assert {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in first.path.iterdir()} == before


def test_other_parameters_or_data_are_refused_until_overwrite(cut_three, three: Path):
    first = cut_three()
    with pytest.raises(
        HierdocError,
        match="already finished with `chunk_size` 5, not 6; .* --overwrite, with its other arguments, makes it again",
    ):
        cut_three(chunk_size=6)
    three.write_text(three.read_text().replace("fish", "dog"))
    with pytest.raises(HierdocError, match="already finished with `data_sha256`"):
        cut_three()
    assert cut_three(overwrite=True).fingerprint != first.fingerprint


def test_an_interrupted_run_goes_on_to_the_same_bytes(cut_three, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = cut_three()
    content = {path.name: path.read_bytes() for path in whole.path.iterdir() if path.name != "timings.json"}
    monkeypatch.setattr(chunk.ShardWriter, "close", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cut_three(overwrite=True)
    monkeypatch.undo()
    again = cut_three()
    assert {path.name: path.read_bytes() for path in again.path.iterdir() if path.name != "timings.json"} == content


def test_the_same_data_as_csv_parquet_and_data_frame_make_the_same_tables(
    three: Path, tmp_path: Path, tiny_encoder: str
):
    frame = pd.read_csv(three)
    frame.to_parquet(tmp_path / "three.parquet")
    tables = []
    for number, data in enumerate([three, str(three), [tmp_path / "three.parquet"], frame]):
        stage = chunk_documents(
            data, tmp_path / f"{number}", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5
        )
        tables.append((rows_of(stage, "documents"), rows_of(stage, "chunks")))
    assert all(table == tables[0] for table in tables)


@pytest.mark.parametrize("data", [5, None], ids=["int", "None"])
def test_data_of_another_kind_are_refused(data: object, tmp_path: Path, tiny_encoder: str):
    with pytest.raises(HierdocError, match="`data` must be a path, paths or a DataFrame, but is"):
        chunk_documents(data, tmp_path / "run", encoder=tiny_encoder, chunk_size=5)


def test_a_label_that_is_not_unicode_is_refused(tmp_path: Path, tiny_encoder: str):
    data = pd.DataFrame({"text": ["cat", "dog", "a"], "label": pd.Series(["a", "\ud800", "b"], dtype=object)})
    with pytest.raises(HierdocError, match="row 2"):
        chunk_documents(data, tmp_path / "run", encoder=tiny_encoder, chunk_size=5)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--chunk-size", "33"], "`chunk_size` must be between 3 and 32 (the encoder's positions), but is 33 instead"),
        (["--overlap", "3"], "`overlap` must be at least 0 and less than `chunk_size` - 2 (3), but is 3 instead"),
        (["--max-chunks", "0"], "`max_chunks` must be at least 1, but is 0 instead"),
        (["--split", "0.8/0.2"], "`split` must be three fractions that sum to 1, for train/dev/test (as 0.8/0.1/0.1), but is '0.8/0.2' instead"),
        (["--split", "0.8/0.3"], "`split` must be three fractions that sum to 1, for train/dev/test (as 0.8/0.1/0.1), but is '0.8/0.3' instead"),
        (["--split", "none.csv"], "none.csv: no such split file (and no fractions of train/dev/test, as 0.8/0.1/0.1)"),
        (["--split", "0.8/0.1/0.1", "--split-column", "split"], "`split` '0.8/0.1/0.1' and `split_column` 'split' can't both decide: give one"),
        (["--split", "none.csv", "--split-column", "split"], "`split` 'none.csv' and `split_column` 'split' can't both decide: give one"),
        (["--split", "nan/0.5/0.5"], "`split` must be three fractions that sum to 1"),
        (["--seed", "-1"], "`seed` must be"),
        (["--encoder", "nothing"], "`encoder` must be minilm, a directory, or random:CONFIG.json, but 'nothing' is none of them"),
        (["--label-column", "topic"], "{data}: column 'topic' is missing; the columns are 'id', 'label', 'split', 'text'"),
        (["--id-column", "label"], "{data}: row 3: id 'pets' stands twice, first in {data}: row 1"),
        (["--split-column", "label"], "{data}: row 1: column 'label' must hold one of train, dev, test, excluded, but holds 'pets' instead"),
        (["--label-column", "split", "--split-column", "split"], "{data}: the training documents must have at least two classes, but have 1 instead: 'train'"),
    ],
)  # fmt: skip
def test_wrong_input_is_one_line_on_stderr_and_exit_2(
    flags, message: str, three: Path, tmp_path: Path, tiny_encoder: str, capsys
):
    arguments = [str(three), str(tmp_path / "run"), "--encoder", tiny_encoder, "--chunk-size", "5", *flags]
    assert chunk.main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: " + message.format(data=three)) and captured.err.count("\n") == 1


def test_a_run_that_is_a_file_is_refused(three: Path, tiny_encoder: str, capsys):
    before = three.read_bytes()
    assert chunk.main([str(three), str(three), "--encoder", tiny_encoder, "--chunk-size", "5", "--overwrite"]) == 2
    assert capsys.readouterr().err == f"error: {three}: the run directory must not be a file\n"
    assert three.read_bytes() == before


def test_a_wrong_row_can_be_mended_and_the_command_given_again(three: Path, tmp_path: Path, tiny_encoder: str, capsys):
    good = three.read_text()
    arguments = [
        str(three),
        str(tmp_path / "run"),
        "--id-column",
        "id",
        "--split-column",
        "split",
        "--encoder",
        tiny_encoder,
        "--chunk-size",
        "5",
    ]
    three.write_text(good + "d4,,train,text\n")
    assert chunk.main(arguments) == 2
    assert capsys.readouterr().err == f"error: {three}: row 4, document 'd4': column 'label' is null\n"
    three.write_text(good)
    assert chunk.main(arguments) == 0
    assert len(pq.read_table(tmp_path / "run" / "chunk" / "documents-00000.parquet")) == 3


def test_the_last_line_on_stdout_is_what_was_made(three: Path, tmp_path: Path, tiny_encoder: str, capsys):
    arguments = [
        str(three),
        str(tmp_path / "run"),
        "--split-column",
        "split",
        "--encoder",
        tiny_encoder,
        "--chunk-size",
        "5",
    ]
    line = f"{tmp_path / 'run' / 'chunk'}: 3 documents (1 dev, 2 train), 5 chunks, 2 classes, 9.09% [UNK]\n"
    for _ in range(2):
        assert chunk.main(arguments) == 0
        assert capsys.readouterr().out == line


def write_split(path: Path, *rows: tuple[str, str, str]) -> Path:
    """A split file with rows of (doc_id, split, text), the text as its hash."""
    lines = [f"{doc_id},{split},{hashlib.sha256(text.encode()).hexdigest()}\n" for doc_id, split, text in rows]
    path.write_text("doc_id,split,sha256\n" + "".join(lines), encoding="utf-8")
    return path


def test_a_split_file_gives_each_document_its_split_whatever_the_order(tmp_path: Path, tiny_encoder: str, capsys):
    texts = {"d1": "the cat", "d2": "a dog", "d3": "fish swam", "d4": "cat, dog!", "d5": ""}
    data = write_csv(tmp_path / "d.csv", [{"id": n, "text": t, "label": "ab"[n > "d1"]} for n, t in texts.items()])
    splits = {"d4": "excluded", "d2": "train", "d5": "test", "d1": "train", "d3": "valid"}
    file = write_split(tmp_path / "split.csv", *[(n, split, texts[n]) for n, split in splits.items()])
    settings = {"id_column": "id", "encoder": tiny_encoder, "chunk_size": 5}
    stage = chunk_documents(data, tmp_path / "run", split=file, **settings)
    assert {row["doc_id"]: row["split"] for row in rows_of(stage, "documents")} == {**splits, "d3": "dev"}
    assert stage.details["documents_by_split"] == {"dev": 1, "excluded": 1, "test": 1, "train": 2}
    assert stage.details["labels"] == ["a", "b"] and stage.details["dev_taken_from_train"] is False
    assert stage.parameters["split"] == f"file {hashlib.sha256(file.read_bytes()).hexdigest()}"
    moved = file.rename(tmp_path / "moved.csv")
    assert chunk_documents(data, tmp_path / "run", split=str(moved), **settings) == stage  # by content, not by path
    moved.write_text(moved.read_text().replace("d5,test", "d5,dev"))
    with pytest.raises(HierdocError, match="already finished with `split`"):
        chunk_documents(data, tmp_path / "run", split=moved, **settings)
    moved.unlink()
    with pytest.raises(HierdocError, match="moved.csv: no such split file"):
        chunk_documents(data, tmp_path / "run", split=moved, **settings)


def test_a_split_file_without_dev_takes_a_tenth_of_train_as_a_split_column_does(tmp_path: Path, tiny_encoder: str):
    rng = random.Random(0)
    rows = given(*[("ab"[n % 2], "train" if n < 40 else "test", random_words(rng, 10)) for n in range(50)])
    data = write_csv(tmp_path / "d.csv", rows)
    file = write_split(tmp_path / "split.csv", *[(row["id"], row["split"], row["text"]) for row in rows])
    settings = {"id_column": "id", "encoder": tiny_encoder, "chunk_size": 5}
    by_file = chunk_documents(data, tmp_path / "one", split=file, **settings)
    by_column = chunk_documents(data, tmp_path / "two", split_column="split", **settings)
    assert rows_of(by_file, "documents") == rows_of(by_column, "documents")
    assert by_file.details == by_column.details and by_file.details["documents_by_split"]["dev"] == 4


def test_rows_are_numbered_where_there_is_no_id_column(three: Path, tmp_path: Path, tiny_encoder: str):
    texts = ("The cats sat, a DOG ran", "fish", "Zebra!")
    file = write_split(tmp_path / "split.csv", *zip("123", ("train", "train", "test"), texts, strict=True))
    stage = chunk_documents(three, tmp_path / "run", split=file, encoder=tiny_encoder, chunk_size=5)
    assert [row["split"] for row in rows_of(stage, "documents")] == ["train", "train", "test"]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("d1", "train", "The cats sat, a DOG ran"), ("d2", "dev", "fish")], "has no row for 1 of the 3 documents, the first is 'd3'"),
        ([("d1", "train", "The cats sat, a DOG ran"), ("d2", "dev", "fish"), ("d3", "test", "Zebra!"), ("d4", "dev", "")], "row 4: no document has the id 'd4'; 1 of the file's 4 ids are not in the data"),
        ([("d1", "train", "The cats sat, a DOG ran"), ("d2", "dev", "Fish"), ("d3", "test", "Zebra!")], "row 2: the text of document 'd2' has another SHA-256; 1 of the 3 texts differ from those that the file was made for"),
        ([("d1", "train", "The cats sat, a DOG ran"), ("d2", "training", "fish"), ("d3", "test", "Zebra!")], "row 2: column 'split' must hold one of train, dev, test, excluded, but holds 'training' instead"),
    ],
)  # fmt: skip
def test_a_split_file_that_does_not_fit_is_one_line_and_exit_2(
    rows, message: str, three: Path, tmp_path: Path, tiny_encoder: str, capsys
):
    file = write_split(tmp_path / "split.csv", *rows)
    arguments = [str(three), str(tmp_path / "run"), "--encoder", tiny_encoder, "--chunk-size", "5", "--id-column", "id"]
    assert chunk.main([*arguments, "--split", str(file)]) == 2
    assert capsys.readouterr().err == f"error: {file}: {message}\n"
    assert not (tmp_path / "run").exists()


def test_near_duplicates_of_training_documents_are_marked_and_counted(tmp_path: Path, tiny_encoder: str, capsys):
    rng = random.Random(0)
    one, other, third, last = (random_words(rng, 30) for _ in range(4))
    rows = given(
        ("a", "train", one), ("b", "train", other), ("a", "train", other + " again"),
        ("a", "dev", "Well, " + one), ("b", "dev", third), ("a", "test", third), ("b", "test", one.upper()),
        ("b", "test", other), ("a", "test", last), ("a", "excluded", one),
    )  # fmt: skip
    data = write_csv(tmp_path / "d.csv", rows)
    stage = chunk_documents(
        data, tmp_path / "run", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=20
    )
    marked = [row["doc_id"] for row in rows_of(stage, "documents") if row["near_duplicate_of_train"]]
    assert marked == ["d4", "d7", "d8"]
    assert stage.details["near_duplicates_of_train"] == {"dev": 1, "test": 2}
    assert stage.details["near_duplicate_groups"] == 3 and stage.details["conflicting_groups"] == 3
    errors = capsys.readouterr().err
    assert "warning: 2 of the documents given to test are near-duplicates of training documents\n" in errors
    assert "warning: 1 of the documents given to dev are near-duplicates of training documents\n" in errors


def test_a_dev_that_can_choose_nothing_is_warned_about(tmp_path: Path, tiny_encoder: str, capsys):
    rows = given(("a", "train", "cat"), ("b", "train", "dog"), ("c", "dev", "fish"), ("a", "test", "a"))
    data = write_csv(tmp_path / "d.csv", rows)
    chunk_documents(data, tmp_path / "run", id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=5)
    assert "warning: the 1 documents of dev are all of classes that train never saw" in capsys.readouterr().err


def test_one_class_in_train_is_refused_however_many_there_are_in_test(tmp_path: Path, tiny_encoder: str, capsys):
    rows = given(("a", "train", "cat"), ("a", "train", "dog"), ("b", "dev", "fish"), ("c", "test", "a"))
    data = write_csv(tmp_path / "d.csv", rows)
    arguments = [str(data), str(tmp_path / "run"), "--encoder", tiny_encoder, "--chunk-size", "5"]
    assert chunk.main([*arguments, "--split-column", "split"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        f"error: {data}: the training documents must have at least two classes, but have 1 instead: 'a'"
    )


def test_data_in_the_stages_own_directory_are_not_removed(tiny_encoder: str, tmp_path: Path):
    run = tmp_path / "run"
    data = write_csv(tmp_path / "data.csv", tiny_rows())
    asked = {"id_column": "id", "split_column": "split", "encoder": tiny_encoder, "chunk_size": 10}
    chunk_documents(data, run, **asked)
    mine = shutil.copy(data, run / "chunk" / "data.csv")
    with pytest.raises(HierdocError, match="run/chunk: holds what is read, and would be replaced"):
        chunk_documents(mine, run, **asked, overwrite=True)
    assert Path(mine).read_bytes() == Path(data).read_bytes()
