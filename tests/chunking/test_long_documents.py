"""A document of 50 MB is cut whole, in bounded memory."""

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
from hierdoc.stages.store import peak_memory_mib
stage = chunk_documents(sys.argv[1], sys.argv[2], split_column="split", encoder=sys.argv[3], chunk_size=32)
print(json.dumps([stage.details["num_tokens"], peak_memory_mib()]))
"""


@pytest.mark.slow
def test_a_document_of_50_mb_keeps_all_its_tokens_in_less_than_1800_mib(tmp_path: Path, tiny_encoder: str):
    words = np.array([*WORDS, "."])
    chosen = np.random.default_rng(0).integers(0, len(words), 13_500_000)
    text = " ".join(" ".join(words[some].tolist()) for some in np.split(chosen, 135))
    assert len(text) > 50_000_000
    table = {"text": [text, "a cat", "a dog"], "label": ["a", "b", "a"], "split": ["train", "train", "dev"]}
    pq.write_table(pa.table(table), tmp_path / "data.parquet")
    command = [sys.executable, "-c", CODE, str(tmp_path / "data.parquet"), str(tmp_path / "run"), tiny_encoder]
    small_parent = [
        "sh",
        "-c",
        '"$@"; exit $?',
        "sh",
    ]  # Linux counts the memory of who starts a process as the process's own
    done = subprocess.run([*small_parent, *command], stdout=subprocess.PIPE, check=True)
    num_tokens, peak = json.loads(done.stdout)
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
