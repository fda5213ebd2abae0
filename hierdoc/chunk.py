"""python -m hierdoc.chunk: from documents to chunks of token ids.

python -m hierdoc.chunk complaints.csv runs/complaints --text-column text --label-column label --id-column id
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from typing import Any

import numpy as np

from hierdoc import cli
from hierdoc.chunking.chunks import ShardWriter, chunk_document
from hierdoc.chunking.tokenizers import MOST_UNKNOWN, WordPieceTokenizer, save_tokenizer
from hierdoc.chunking.windows import check_window
from hierdoc.corpus import labels as label_order
from hierdoc.corpus import splits
from hierdoc.corpus.documents import Columns, Data, Documents, data_sha256, read_documents
from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.encoders.pretrained import find_encoder
from hierdoc.learning.seeds import check_seed
from hierdoc.progress import bar, say, warn
from hierdoc.stages import store, tables


def chunk_documents(
    data: Data,
    run: str | PathLike[str],
    text_column: str = "text",
    label_column: str = "label",
    id_column: str | None = None,
    split: str = "0.8/0.1/0.1",
    split_column: str | None = None,
    encoder: str = "minilm",
    chunk_size: int = 200,
    overlap: int = 0,
    max_chunks: int | None = None,
    respect_sentences: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> store.FinishedStage:
    """Write RUN/chunk: the documents with their split, their chunks, the tokenizer and the order of the labels.

    Args:
        data: CSV or Parquet files, or a DataFrame; one row is one document.
        run: the run directory.
        text_column, label_column, id_column, split_column: the columns' names. Without an id column, rows are
            numbered from 1. With a split column, it decides; without any dev in it, 10 % of train becomes dev.
        split: fractions of train/dev/test, by document, stratified; near-duplicates stay in one split.
        encoder: whose vocabulary cuts the text: minilm, a directory, or random:CONFIG.json.
        chunk_size: tokens of a chunk, [CLS] and [SEP] included.
        overlap: tokens that neighbouring chunks share.
        max_chunks: keep a document's first chunks only; what that drops is counted per class.
        respect_sentences: end a chunk at the last sentence end in its last quarter, if there is one.
        seed: of the split.
        overwrite: make the stage again.

    Raises:
        HierdocError: the data, the split, the encoder or a number is not as it must be.
    """
    check_seed(seed)
    fractions = splits.parse_fractions(split)
    source = find_encoder(encoder)
    check_window(chunk_size, overlap, max_chunks, source.config["max_position_embeddings"])
    columns = Columns(text=text_column, label=label_column, id=id_column, split=split_column)
    parameters = {
        "data_sha256": data_sha256(data),
        "columns": asdict(columns),
        "split": split if split_column is None else f"column {split_column}",
        "encoder_sha256": source.sha256,
        "chunk_size": chunk_size,
        "overlap": overlap,
        "max_chunks": max_chunks,
        "respect_sentences": respect_sentences,
        "seed": seed,
    }
    # What is wrong with the data is told before anything is removed.
    if not store.is_finished(run, "chunk") or overwrite:
        documents = read_documents(data, columns)
        split_of, found = _split_documents(documents, fractions, seed)
        order = _check_labels(documents, split_of, found)
    stage = store.begin(run, "chunk", parameters, {}, overwrite)
    if isinstance(stage, store.FinishedStage):
        return stage
    save_tokenizer(stage.path, source.vocab_path, source.lower_case)
    tokenizer = WordPieceTokenizer(source.vocab_path, source.lower_case)
    found |= _write_shards(stage, documents, split_of, tokenizer, chunk_size, overlap, max_chunks, respect_sentences)
    found |= {"labels": order, "lower_case": source.lower_case, "config": source.config, "encoder": source.name}
    return stage.finish(found)


def _split_documents(documents: Documents, fractions: Sequence[float], seed: int) -> tuple[list[str], dict[str, Any]]:
    groups = near_duplicate_groups(documents.texts)
    if documents.splits is not None:
        split_of, dev_from_train = splits.take_given_split(documents.splits, documents.labels, seed, groups.tolist())
        if dev_from_train:
            say(f"the given split has no dev: {splits.DEV_FROM_TRAIN:.0%} of train is taken for it")
        in_train = {group for group, split in zip(groups.tolist(), split_of, strict=True) if split == "train"}
        leaked = Counter(
            split
            for group, split in zip(groups.tolist(), split_of, strict=True)
            if split in ("dev", "test") and group in in_train
        )
        for split, count in sorted(leaked.items()):
            warn(f"{count} of the documents given to {split} are near-duplicates of training documents")
        return split_of, {
            "dev_taken_from_train": dev_from_train,
            "near_duplicates_of_train": dict(sorted(leaked.items())),
        }
    members: dict[int, list[int]] = defaultdict(list)
    for index, group in enumerate(groups.tolist()):
        members[group].append(index)
    several = [group for group in members.values() if len(group) > 1]
    conflicting = [group for group in several if len({documents.labels[index] for index in group}) > 1]
    if several:
        say(f"{sum(map(len, several))} near-duplicates in {len(several)} groups: each group stays in one split")
    if conflicting:
        first = ", ".join(f"{documents.doc_ids[i]} is {documents.labels[i]!r}" for i in conflicting[0][:3])
        warn(f"{len(conflicting)} groups of near-duplicates have conflicting labels: {first}")
    split_of = splits.make_split(documents.labels, fractions, seed, groups.tolist())
    return split_of, {"near_duplicate_groups": len(several), "conflicting_groups": len(conflicting)}


def _check_labels(documents: Documents, split_of: Sequence[str], found: dict[str, Any]) -> list[str]:
    """Return the order of the labels; say what is rare, unseen or empty, and keep the counts in `found`."""
    order = label_order.order_labels(
        [label for label, split in zip(documents.labels, split_of, strict=True) if split == "train"]
    )
    rare, unseen = label_order.rare_and_unseen(documents.labels, split_of, order)
    if rare:
        warn(f"{len(rare)} classes have fewer than 3 documents: {', '.join(map(repr, list(rare)[:5]))}")
    if unseen:
        warn(
            f"{sum(unseen.values())} documents are of classes that train never saw, and count as wrong: "
            f"{', '.join(map(repr, list(unseen)[:5]))}"
        )
    found |= {"rare_classes": rare, "unseen_classes": unseen, "num_null": documents.num_null}
    found["documents_by_split"] = dict(sorted(Counter(split_of).items()))
    if missing := [name for name in ("dev", "test") if name not in found["documents_by_split"]]:
        warn(f"no document is in {' or '.join(missing)}")
    return order


def _write_shards(
    stage: store.OpenStage,
    documents: Documents,
    split_of: Sequence[str],
    tokenizer: WordPieceTokenizer,
    chunk_size: int,
    overlap: int,
    max_chunks: int | None,
    respect_sentences: bool,
) -> dict[str, Any]:
    """Write documents-*.parquet and chunks-*.parquet, no document in two shards; return what they hold.

    A whole shard that an interrupted run has left is kept, and its documents are not tokenized again.
    """
    rows = list(zip(documents.doc_ids, documents.texts, documents.labels, split_of, strict=True))
    shards, done = ShardWriter(stage.path), 0
    with bar("chunk", "documents", len(rows)) as progress:
        while done < len(rows):
            num_kept = shards.keep(rows, done)
            if not num_kept:
                cut = chunk_document(rows[done][1], tokenizer, chunk_size, overlap, max_chunks, respect_sentences)
                shards.add(*rows[done], cut)
            done += num_kept or 1
            progress.update(num_kept or 1)
    shards.close()
    return _count(stage, documents, max_chunks)


def _count(stage: store.OpenStage, documents: Documents, max_chunks: int | None) -> dict[str, Any]:
    """Return what the written shards hold, and say what is empty, dropped or unknown."""
    counts = ["num_tokens", "num_chunks", "num_unknown", "num_dropped"]
    written = tables.read_tables(sorted(stage.path.glob("documents-*.parquet")), counts)
    num_tokens, num_chunks, num_unknown, num_dropped = (written[name].to_numpy().astype(np.int64) for name in counts)
    totals = {
        "empty": int((num_tokens == 0).sum()),
        "tokens": int(num_tokens.sum()),
        "chunks": int(num_chunks.sum()),
        "unknown": int(num_unknown.sum()),
        "dropped": int(num_dropped.sum()),
    }
    dropped: Counter[str] = Counter()
    for label, count in zip(documents.labels, num_dropped.tolist(), strict=True):
        if count:
            dropped[label] += count
    if totals["empty"]:
        warn(f"{totals['empty']} documents have no text ({documents.num_null} null); each is kept as one empty chunk")
    if dropped:
        per_class = ", ".join(f"{label!r} {count}" for label, count in sorted(dropped.items()))
        warn(
            f"max-chunks {max_chunks} dropped {totals['dropped']} of {totals['dropped'] + totals['chunks']} chunks: {per_class}"
        )
    unknown_share = totals["unknown"] / max(1, totals["tokens"])
    if unknown_share > MOST_UNKNOWN:
        warn(
            f"{unknown_share:.1%} of the tokens are [UNK]: does this encoder's vocabulary fit the language of the data?"
        )
    return {
        "num_documents": len(documents),
        "num_chunks": totals["chunks"],
        "num_tokens": totals["tokens"],
        "num_empty": totals["empty"],
        "unknown_share": round(unknown_share, 6),
        "chunks_dropped_by_class": dict(sorted(dropped.items())),
    }


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "chunk",
        "Cut documents into chunks of token ids, and decide which documents are for training, dev and test.",
        "python -m hierdoc.chunk complaints.csv runs/complaints --label-column product --id-column id",
    )
    add_arguments(parser)
    cli.add_overwrite(parser)
    parser.set_defaults(function=chunk_documents, describe=describe)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add this stage's arguments, all but --overwrite (`run` shares them)."""
    parser.add_argument("data", nargs="+", metavar="DATA", help="CSV or Parquet files; one row is one document")
    parser.add_argument("run", metavar="RUN", help="the run directory")
    parser.add_argument("--text-column", default="text", metavar="NAME", help="the column with the text")
    parser.add_argument("--label-column", default="label", metavar="NAME", help="the column with the class")
    parser.add_argument(
        "--id-column", metavar="NAME", help="the column with a unique id (without it: the row's number)"
    )
    parser.add_argument("--split", default="0.8/0.1/0.1", metavar="TRAIN/DEV/TEST", help="fractions of the documents")
    parser.add_argument("--split-column", metavar="NAME", help="a column with train, dev or test, instead of --split")
    parser.add_argument(
        "--encoder", default="minilm", metavar="NAME", help="minilm, a directory, or random:CONFIG.json"
    )
    parser.add_argument("--chunk-size", type=int, default=200, metavar="TOKENS", help="[CLS] and [SEP] included")
    parser.add_argument(
        "--overlap", type=int, default=0, metavar="TOKENS", help="tokens that neighbouring chunks share"
    )
    parser.add_argument(
        "--max-chunks", type=int, metavar="N", help="keep a document's first N chunks (what that drops is counted)"
    )
    parser.add_argument(
        "--respect-sentences",
        action="store_true",
        help="end a chunk at the last sentence end in its last quarter, if there is one",
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn at random")


def describe(stage: store.FinishedStage) -> str:
    """Return the line that says what was made."""
    found = stage.details
    by_split = ", ".join(f"{count} {split}" for split, count in found["documents_by_split"].items())
    return (
        f"{stage.path}: {found['num_documents']} documents ({by_split}), {found['num_chunks']} chunks, "
        f"{len(found['labels'])} classes, {found['unknown_share']:.2%} [UNK]"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
