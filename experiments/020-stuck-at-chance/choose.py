"""Draw the documents of one data set of config.yaml, by its seed, and write their split file.

python experiments/020-stuck-at-chance/choose.py 20ng DIR/20ng/train.parquet
"""

from __future__ import annotations

import sys
from pathlib import Path

import yaml

from hierdoc.corpus.documents import Columns, read_documents
from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.corpus.finding import find_sources
from hierdoc.corpus.split_files import text_sha256, write_split_file
from hierdoc.learning.seeds import generator

HERE = Path(__file__).parent


def choose(data: list[str], wanted: dict) -> list[tuple[str, str, str]]:
    """Return (doc_id, split, sha256) of the documents drawn, in order of their classes.

    Of each class, of the documents of a length in words that is neither in anybody's way nor one chunk: as many as
    `documents_per_class` says for train, dev and test, or all that there are in the same proportion. Of near-duplicates
    only the first can be drawn.
    """
    documents = read_documents(find_sources(data), Columns("text", "label", "id"))
    shortest, longest = wanted["words"]
    groups = near_duplicate_groups(documents.texts)
    rows = []
    for label in wanted["classes"]:
        candidates = [
            at
            for at, text in enumerate(documents.texts)
            if documents.labels[at] == label and groups[at] == at and shortest <= len(text.split()) <= longest
        ]
        per_split = wanted["documents_per_class"]
        share = min(1.0, len(candidates) / sum(per_split.values()))
        order = generator(wanted["seed"], f"choose {label}").permutation(len(candidates)).tolist()
        for split, count in per_split.items():
            for _ in range(int(count * share)):
                at = candidates[order.pop()]
                rows.append((documents.doc_ids[at], split, text_sha256(documents.texts[at])))
    return rows


def main() -> None:
    """Write the split file, and say what is in it."""
    name, *data = sys.argv[1:] or [""]
    datasets = yaml.safe_load((HERE / "config.yaml").read_text(encoding="utf-8"))["datasets"]
    if name not in datasets or not data:
        raise SystemExit(__doc__)
    rows = choose(data, datasets[name]["drawn"])
    path = HERE / datasets[name]["split"]
    write_split_file(path, *zip(*rows, strict=True))
    print(f"{path}: {len(rows)} documents")


if __name__ == "__main__":
    main()
