"""Writes a small encoder with random weights and BERT's Chinese vocabulary, of which no pretrained weights were to be had.

python experiments/044-chinese/encoder.py DATA build/encoders/chinese
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from hierdoc.chunking.tokenizers import read_vocab

CONFIG = {
    "hidden_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 1024, "hidden_act": "gelu",
    "max_position_embeddings": 512,
}  # fmt: skip


def main(data: str, folder: str) -> None:
    """Write vocab.txt, tokenizer_config.json and config.json into `folder`."""
    source, place = Path(data) / "vocab/vocab_bert_chinese", Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source / "vocab.txt", place / "vocab.txt")
    size = len(read_vocab(source / "vocab.txt"))
    (place / "config.json").write_text(json.dumps({"vocab_size": size, **CONFIG}), encoding="utf-8")
    (place / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": True}), encoding="utf-8")
    print(f"{place}: {size} tokens; name it random:{place / 'config.json'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
