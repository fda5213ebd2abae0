"""A document of 50 MB is cut whole, and 200,000 tiny ones are all kept, in bounded memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import VOCAB, WORDS

CODE = """
import json, sys
from hierdoc.chunk import chunk_documents
from hierdoc.stages.provenance import peak_memory_mib
stage = chunk_documents(sys.argv[1], sys.argv[2], split_column="split", encoder=sys.argv[3], chunk_size=32)
print(json.dumps([stage.details["num_tokens"], peak_memory_mib()]))
"""


def chunk_apart(folder: Path, encoder: str) -> tuple[int, float]:
    """Chunk data.parquet in a process of its own; return the number of tokens and the peak memory in MiB."""
    command = [sys.executable, "-c", CODE, str(folder / "data.parquet"), str(folder / "run"), encoder]
    # Linux counts the memory of who starts a process as the process's own: a shell starts it.
    done = subprocess.run(["sh", "-c", '"$@"; exit $?', "sh", *command], stdout=subprocess.PIPE, check=True)
    return tuple(json.loads(done.stdout))


@pytest.mark.slow
def test_a_document_of_50_mb_keeps_all_its_tokens_in_less_than_1800_mib(tmp_path: Path, tiny_encoder: str):
    words = np.array([*WORDS, "."])
    chosen = np.random.default_rng(0).integers(0, len(words), 13_500_000)
    text = " ".join(" ".join(words[some].tolist()) for some in np.split(chosen, 135))
    assert len(text) > 50_000_000
    table = {"text": [text, "a cat", "a dog"], "label": ["a", "b", "a"], "split": ["train", "train", "dev"]}
    pq.write_table(pa.table(table), tmp_path / "data.parquet")
    num_tokens, peak = chunk_apart(tmp_path, tiny_encoder)
    assert num_tokens == len(chosen) + 4
    chunks = pq.read_table(tmp_path / "run/chunk/chunks-00000.parquet", columns=["token_ids"])["token_ids"]
    ids = np.concatenate([chunk.values.to_numpy() for chunk in chunks.chunks])
    ids = ids[(ids != VOCAB.index("[CLS]")) & (ids != VOCAB.index("[SEP]"))]
    expected = np.array([VOCAB.index(word) for word in words])[chosen]
    np.testing.assert_array_equal(ids[: len(chosen)], expected)
    # The text and its copies while it is read, hashed and written: some 400 MiB. 13 million tokens: 12 bytes each, twice;
    # their 430,000 chunks as Python objects and as a table: 500 bytes each, twice. With the package's token objects
    # of the whole text at once the process comes to 2400 MiB.
    assert peak < 1800


@pytest.mark.slow
def test_200000_tiny_documents_are_all_there_in_less_than_700_mib(tmp_path: Path, tiny_encoder: str):
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 9, 200_000)  # an empty one in nine
    words = np.array(WORDS)[rng.integers(0, len(WORDS), lengths.sum())]
    texts = [" ".join(some.tolist()) for some in np.split(words, lengths.cumsum()[:-1])]
    splits = rng.choice(["train", "dev", "test", "excluded"], 200_000).tolist()
    table = {"text": texts, "label": ["a", "b"] * 100_000, "split": splits}
    pq.write_table(pa.table(table), tmp_path / "data.parquet")
    num_tokens, peak = chunk_apart(tmp_path, tiny_encoder)
    assert num_tokens == lengths.sum()
    made = [pq.read_table(path) for path in sorted((tmp_path / "run/chunk").glob("documents-*.parquet"))]
    documents = pa.concat_tables(made)
    assert documents["doc_id"].to_pylist() == [str(number) for number in range(1, 200_001)]
    assert documents["text"].to_pylist() == texts and documents["split"].to_pylist() == splits
    assert documents["num_tokens"].to_pylist() == lengths.tolist()
    assert documents["num_chunks"].to_pylist() == [1] * 200_000
    # 200,000 documents as Python objects (id, text, label, split, place, hash: 1 kB each) and some 100 MiB of libraries
    assert peak < 700
