"""The chunk stage, interrupted anywhere, goes on to the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import flip_a_bit, write_csv

from hierdoc import chunk
from hierdoc.chunking import chunks
from hierdoc.stages import files, store
from hierdoc.stages.finished import FinishedStage

TOKENS = 110
SETTINGS = {"id_column": "id", "split_column": "split", "chunk_size": 7, "overlap": 2, "max_chunks": 4}

# For N = 1, 2, …: chunk into FOLDER/N in a process that is killed just before or after it puts the Nth file in its place.
DRIVER = """
import os, signal, sys
from hierdoc import chunk
from hierdoc.chunking import chunks
from hierdoc.stages import files

data, folder, encoder, num_files, tokens, settings = sys.argv[1:6] + [eval(sys.argv[6])]
chunks.TOKENS_PER_SHARD = int(tokens)
replace = os.replace

def chunk_until(moment, when):
    count = 0
    def replace_or_die(source, target):
        nonlocal count
        count += str(target).endswith(".parquet")
        if count == moment and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)
    files.os.replace = replace_or_die
    chunk.chunk_documents(data, f"{folder}/{when}-{moment}", encoder=encoder, **settings)

for moment in range(1, int(num_files) + 1):
    for when in ("before", "after"):
        if not (child := os.fork()):
            chunk_until(moment, when)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL, (moment, when)
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """20 documents of 1 to 7 chunks, of which 4 are kept; some without text."""
    labels, splits = ["pets", "sea"], ["train", "train", "dev", "test"]
    texts = ["the cat sat. " * (number * 7 % 12) for number in range(20)]
    rows = [
        {"id": f"d{number}", "label": labels[number % 2], "split": splits[number % 4], "text": text}
        for number, text in enumerate(texts)
    ]
    return write_csv(tmp_path / "data.csv", rows)


@pytest.fixture
def cut(data: Path, tmp_path: Path, tiny_encoder: str, monkeypatch: pytest.MonkeyPatch):
    """A function that chunks the data into a run of that name, in shards of 110 tokens and more."""
    monkeypatch.setattr(chunks, "TOKENS_PER_SHARD", TOKENS)
    return lambda name: chunk.chunk_documents(data, tmp_path / name, encoder=tiny_encoder, **SETTINGS)


@pytest.fixture
def cut_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are tokenized, in order."""
    seen: list[str] = []
    real = chunk.chunk_document

    def chunk_document(text: str, *rest, **windows):
        seen.append(text)
        return real(text, *rest, **windows)

    monkeypatch.setattr(chunk, "chunk_document", chunk_document)
    return seen


def content(stage: FinishedStage) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in stage.path.iterdir() if path.name != "timings.json"}


def test_killed_at_any_file_the_next_run_makes_the_same_bytes_and_tokenizes_no_kept_shard_again(
    cut, cut_texts: list[str], data: Path, tmp_path: Path, tiny_encoder: str
):
    whole = cut("whole")
    sizes = [len(chunk.tables.read_tables([path])) for path in whole.files("documents-")]
    assert len(sizes) >= 4 and sum(sizes) == len(cut_texts) == 20
    assert whole.details["chunks_dropped_by_class"] == {
        "pets": 25,
        "sea": 48,
    }  # 0+0+1+4+6+9+0+0+1+4, 5+8+10+0+0+2+5+8+10+0
    num_files = 2 * len(sizes)
    words = [data, tmp_path, tiny_encoder, num_files, TOKENS, SETTINGS]
    subprocess.run([sys.executable, "-c", DRIVER, *map(str, words)], check=True, stderr=subprocess.PIPE)
    for moment in range(1, num_files + 1):
        for when in ("before", "after"):
            pairs = (moment - (when == "before")) // 2  # documents-N, chunks-N
            killed = tmp_path / f"{when}-{moment}/chunk"
            assert not (killed / "manifest.json").exists() and len(list(killed.glob("chunks-*.parquet"))) == pairs
            before = {path: path.stat().st_ino for path in killed.glob("*-*.parquet")}
            cut_texts.clear()
            again = cut(f"{when}-{moment}")
            assert content(again) == content(whole), (when, moment)
            assert len(cut_texts) == 20 - sum(sizes[:pairs]), (when, moment)
            kept = [path for path, inode in before.items() if path.stat().st_ino == inode]
            assert len(kept) == 2 * pairs, (when, moment)


def test_the_same_data_make_the_same_bytes(cut):
    assert content(cut("one")) == content(cut("two"))


def unfinish(whole: FinishedStage) -> Path:
    """Make a finished stage one that was interrupted before its end."""
    manifest = files.read_object(whole.path / "manifest.json")
    started = store._what_is_made(manifest["parameters"], manifest["parents"])
    files.write_json(whole.path / "started.json", started)
    (whole.path / "manifest.json").unlink()
    return whole.path


def swap(one: Path, other: Path) -> None:
    first = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(first)


DAMAGES = {
    "a file is missing": lambda folder: (folder / "documents-00001.parquet").unlink(),
    "a file is torn": lambda folder: os.truncate(folder / "chunks-00001.parquet", 500),
    "a bit of the token ids is flipped": lambda folder: flip_a_bit(
        folder / "chunks-00001.parquet", "token_ids.list.element"
    ),
    "the chunks of another shard": lambda folder: swap(
        folder / "chunks-00000.parquet", folder / "chunks-00001.parquet"
    ),
    "shards in another order": lambda folder: [
        swap(folder / f"{name}-00000.parquet", folder / f"{name}-00001.parquet") for name in ("documents", "chunks")
    ],
    "shards beyond the last": lambda folder: [
        (folder / f"{name}-00044.parquet").write_bytes((folder / f"{name}-00000.parquet").read_bytes())
        for name in ("documents", "chunks")
    ],
    "one of an odd name": lambda folder: (folder / "chunks-1.parquet").write_bytes(b""),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_shard_that_does_not_agree_is_written_again_and_none_is_left_over(cut, damage):
    whole = cut("run")
    expected = content(whole)
    damage(unfinish(whole))
    assert content(cut("run")) == expected


@pytest.mark.parametrize("tokens", [TOKENS // 2, TOKENS * 2])
def test_shards_of_another_size_are_cut_again(cut, tokens: int, monkeypatch: pytest.MonkeyPatch):
    expected = content(cut("run"))
    monkeypatch.setattr(chunks, "TOKENS_PER_SHARD", tokens)
    other = cut("other")
    assert len(content(other)) != len(expected)
    unfinish(other)
    monkeypatch.setattr(chunks, "TOKENS_PER_SHARD", TOKENS)
    assert content(cut("other")) == expected


def change(folder: Path, name: str, column: str, row: int, value: object) -> None:
    path = folder / f"{name}-00001.parquet"
    table = chunk.tables.read_tables([path])
    rows = table.to_pylist()
    assert rows[row][column] != value
    rows[row][column] = value
    chunk.tables.write_table(path, table.from_pylist(rows, table.schema))


@pytest.mark.parametrize(
    ("name", "column", "row", "value"),
    [
        ("documents", "doc_id", 1, "other"),
        ("documents", "text", 1, "fish"),
        ("documents", "text_sha256", 0, "0" * 64),
        ("documents", "labels", 0, ["other"]),
        ("documents", "split", 0, "excluded"),
        ("documents", "num_chunks", 0, 9),
        ("chunks", "doc_id", 0, "other"),
        ("chunks", "chunk_index", 0, 1),
        ("chunks", "split", 0, "excluded"),
    ],
)
def test_a_shard_with_other_documents_or_chunks_is_written_again(cut, name, column, row, value):
    whole = cut("run")
    expected = content(whole)
    change(unfinish(whole), name, column, row, value)
    assert content(cut("run")) == expected
