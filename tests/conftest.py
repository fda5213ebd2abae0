"""A ten-word world: an encoder of hidden size 8, a corpus typed by hand, and one run through all stages."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

WORDS = ["cat", "dog", "fish", "sat", "ran", "swam", "the", "a", "and", "far"]
VOCAB = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, "##s", ".", ",", "!"]
CONFIG = {
    "vocab_size": len(VOCAB),
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "hidden_act": "gelu",
    "max_position_embeddings": 32,
}


@pytest.fixture(scope="session")
def tiny_encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name, for --encoder, of a random-weights encoder with a vocabulary of 19 tokens and 32 positions."""
    folder = tmp_path_factory.mktemp("encoder")
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    return f"random:{folder / 'config.json'}"


def tiny_rows() -> list[dict[str, str]]:
    """40 documents of 1 to 9 chunks of 10 tokens: "cats" say cat and sat, "dogs" dog and ran, "fish" fish and swam.

    They are near-duplicates of each other, so the split is given. A document's last chunk has 6 to 8 tokens and the others have 10: that is
    two lengths of batches, and TensorFlow's functions are traced for each.
    """
    kinds = [("cats", "cat sat"), ("dogs", "dog ran"), ("fish", "fish swam")]
    rows = []
    for number in range(40):
        label, words = kinds[number % 3]
        tokens = f"the {words} far and a {words} .".split() * 9
        num_full = number * 2 % 9
        text = " ".join(tokens[: 8 * num_full + 4 + num_full % 3])
        split = ("train", "train", "train", "dev", "test")[number // 3 % 5]
        rows.append({"id": f"{number:03d}", "text": text, "label": label, "split": split})
    return rows


def write_csv(path: Path, rows: list[dict[str, str]]) -> Path:
    """Write rows of one shape as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def flip_a_bit(path: Path, column: str) -> None:
    """Flip the last bit of a column's last page in a Parquet file."""
    import pyarrow.parquet as pq

    group = pq.ParquetFile(path).metadata.row_group(0)
    (place,) = [at for at in range(group.num_columns) if group.column(at).path_in_schema == column]
    found = group.column(place)
    start = found.dictionary_page_offset if found.has_dictionary_page else found.data_page_offset
    content = bytearray(path.read_bytes())
    content[start + found.total_compressed_size - 1] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="session")
def tiny_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The CSV of `tiny_rows`."""
    return write_csv(tmp_path_factory.mktemp("data") / "tiny.csv", tiny_rows())


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tiny_csv: Path, tiny_encoder: str) -> Path:
    """A run directory with all five stages finished, in float32. Do not write into it."""
    from hierdoc import run_pipeline

    run = tmp_path_factory.mktemp("runs") / "tiny"
    run_pipeline(
        tiny_csv, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10, epochs=1,
        learning_rate=1e-2, precision="float32", head="lstm", words=False,
    )  # fmt: skip
    return run
