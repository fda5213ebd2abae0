"""Documents and an encoder that anyone has: hierdoc's demo corpus, and a tiny BERT with random weights."""

from __future__ import annotations

import copy
import csv
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

from hierdoc.corpus.library_docs import LibraryDocument, library_documents
from hierdoc.corpus.split_files import text_sha256, write_split_file
from hierdoc.learning.seeds import generator
from hierdoc.progress import say

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def make_demo(config: dict[str, Any], build: Path) -> tuple[dict[str, Any], list[str]]:
    """Write documents, split and encoder below `build`; return the configuration with them, and their --data."""
    demo, folder = config["demo"], build / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    say("reading the docstrings of the installed libraries (about 20 seconds)")
    documents = library_documents(sum(demo["documents_per_class"].values()), seed=0)
    table = folder / "documents.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerows([("id", "text", "label"), *((one.doc_id, one.text, one.label) for one in documents)])
    _write_split(folder / "split.csv", documents, demo["documents_per_class"])
    encoder = _write_encoder(folder / "encoder", documents, demo["encoder"])
    classes = sorted({document.label for document in documents})
    lists = {"base": classes, "hard": classes[:4], "few": classes[:3], "pair": classes[:2]}
    config = copy.deepcopy(config)
    config["datasets"] = {
        "library-docs": {
            **demo["dataset"],
            "split": str((folder / "split.csv").resolve()),
            "encoder": encoder,
            "class_lists": lists,
        }
    }
    return config, [f"library-docs={table}"]


def _write_split(path: Path, documents: list[LibraryDocument], per_class: dict[str, int]) -> None:
    """Deal each class's documents to train, dev and test; a small class gives them in the same proportion."""
    order = [split for split, count in per_class.items() for _ in range(count)]
    left: dict[str, list[str]] = {}
    for label in sorted({document.label for document in documents}):
        left[label] = [order[at] for at in generator(0, f"demo {label}").permutation(len(order))]
    splits = [left[document.label].pop() for document in documents]
    hashes = [text_sha256(document.text) for document in documents]
    write_split_file(path, [document.doc_id for document in documents], splits, hashes)


def _write_encoder(folder: Path, documents: list[LibraryDocument], config: dict[str, Any]) -> str:
    """Write a vocabulary of the commonest words, and a configuration; return the encoder's name."""
    folder.mkdir(exist_ok=True)
    words = Counter(word for document in documents for word in re.findall(r"[a-z]+|[^\sa-z]", document.text.lower()))
    commonest = sorted(words, key=lambda word: (-words[word], word))[: config["vocab_size"] - len(SPECIAL)]
    (folder / "vocab.txt").write_text("\n".join([*SPECIAL, *commonest]) + "\n", encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return f"random:{folder / 'config.json'}"
