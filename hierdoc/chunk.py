"""python -m hierdoc.chunk: from documents to chunks of token ids.

python -m hierdoc.chunk complaints.csv runs/complaints --text-column text --label-column label --id-column id
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc import cli
from hierdoc.chunking.chunks import ShardWriter, chunk_document
from hierdoc.chunking.tokenizers import MOST_UNKNOWN, WordPieceTokenizer, save_tokenizer
from hierdoc.chunking.windows import check_window
from hierdoc.corpus.documents import Columns, Documents, read_documents
from hierdoc.corpus.finding import check_column_arguments, find_sources
from hierdoc.corpus.groups import groups_of_several
from hierdoc.corpus.labels import check_labels, label_set, separator_of, shown
from hierdoc.corpus.sources import Data
from hierdoc.corpus.split_documents import DecidedSplit, count_in_splits, split_documents
from hierdoc.corpus.split_files import split_file_sha256
from hierdoc.corpus.splits import FRACTIONS, parse_split
from hierdoc.encoders.pretrained import EncoderSource, find_encoder
from hierdoc.errors import HierdocError
from hierdoc.learning.seeds import check_seed
from hierdoc.progress import bar, warn
from hierdoc.stages import store, tables
from hierdoc.stages.finished import FinishedStage, is_finished

EARLIER = {"label_separator": None}  # what was done before there were these parameters


def chunk_documents(
    data: Data,
    run: str | PathLike[str],
    text_column: str = "text",
    label_column: str = "label",
    multi_label: bool = False,
    label_separator: str = "|",
    id_column: str | None = None,
    labels_file: str | PathLike[str] | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
    split: str | PathLike[str] | None = None,
    split_column: str | None = None,
    encoder: str = "minilm",
    chunk_size: int = 200,
    overlap: int = 0,
    max_chunks: int | None = None,
    respect_sentences: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/chunk: the documents with their split, their chunks, the tokenizer and the order of the labels.

    Args:
        data: CSV, TSV, JSONL or Parquet files, "-" for stdin, or a DataFrame, where one row is one document; or a folder,
            where one text file is: its path in it is the id, and the path's first folder the class.
        run: the run directory.
        text_column, label_column, id_column, split_column: the columns' names. Without an id column, rows are
            numbered from 1. With a split column, it decides; without any dev in it, 10 % of train becomes dev.
        multi_label: documents have any number of labels: a CSV cell is cut at `label_separator`, JSONL and Parquet hold lists.
        label_separator: what stands between labels in one cell, and in predictions as CSV.
        labels_file: a table with the columns of id (the path; "id" by default), label and split of a folder's files.
        format: csv, tsv, jsonl or parquet, of stdin (csv by default) and of files whose suffix names none.
        encoding: of all that is text.
        split: fractions of train/dev/test, by document, stratified, where near-duplicates stay in one split (without
            any: 0.8/0.1/0.1); or a split file, a CSV with doc_id, split and sha256, which is used as it is given.
        encoder: whose vocabulary cuts the text: minilm, a directory, or random:CONFIG.json.
        chunk_size: tokens of a chunk, [CLS] and [SEP] included.
        overlap: tokens that neighbouring chunks share.
        max_chunks: keep a document's first chunks only; what that drops is counted per class.
        respect_sentences: end a chunk at the last sentence end in its last quarter, if there is one.
        seed: of the split.
        overwrite: make the stage again.

    Raises:
        HierdocError: the data, the split, the encoder or a number is not as it must be.
        HierdocFailure: the data changed while they were read.
    """
    check_seed(seed)
    source_of_split = parse_split(split, split_column)
    source, separator = check_arguments(encoder, chunk_size, overlap, max_chunks, multi_label, label_separator)
    sources = find_sources(data, labels_file, format, encoding)
    if sources.hold(Path(run) / "chunk"):
        raise HierdocError(f"{run}: the run directory must not be inside the folder that is read")
    if sources.lie_in(Path(run) / "chunk"):
        raise HierdocError(f"{Path(run) / 'chunk'}: holds what is read, and would be replaced; move it elsewhere")
    id_column = id_column or ("id" if sources.folder else None)
    columns = Columns(text=text_column, label=label_column, id=id_column, split=split_column)
    read = sources.parameters()
    windows = {
        "chunk_size": chunk_size,
        "overlap": overlap,
        "max_chunks": max_chunks,
        "respect_sentences": respect_sentences,
    }
    parameters = {
        **read,
        "columns": asdict(columns),
        "label_separator": separator,
        "split": _split_parameter(source_of_split, split, split_column),
        "encoder_sha256": source.sha256,
        **windows,
        "seed": seed,
    }
    # What is wrong with the data is told before anything is removed.
    if not is_finished(run, "chunk") or overwrite:
        check_column_arguments(
            sources, text_column=text_column, label_column=label_column, id_column=id_column, split_column=split_column
        )
        documents = read_documents(sources, columns, separator)
        sources.check_unchanged(read)
        decided, found = _split_and_check(documents, source_of_split, seed, str(sources))
    stage = store.begin(run, "chunk", parameters, {}, overwrite, EARLIER)
    if isinstance(stage, FinishedStage):
        return stage
    save_tokenizer(stage.path, source.vocab_path, source.lower_case)
    tokenizer = WordPieceTokenizer(source.vocab_path, source.lower_case)
    found |= _write_shards(stage, documents, decided, tokenizer, windows)
    found |= {
        "multi_label": multi_label,
        "lower_case": source.lower_case,
        "config": source.config,
        "encoder": source.name,
    }
    return stage.finish(found)


def check_arguments(
    encoder: str = "minilm",
    chunk_size: int = 200,
    overlap: int = 0,
    max_chunks: int | None = None,
    multi_label: bool = False,
    label_separator: str = "|",
    **others: Any,
) -> tuple[EncoderSource, str | None]:
    """Check those arguments of `chunk_documents` that can be checked without the data, which `others` can't.

    Returns:
        the encoder, and what labels are cut at (see `separator_of`).

    Raises:
        HierdocError: one is out of range, or has no effect; the encoder is not there.
    """
    separator, source = separator_of(multi_label, label_separator), find_encoder(encoder)
    check_window(chunk_size, overlap, max_chunks, source.config["max_position_embeddings"])
    return source, separator


def _split_parameter(source: Any, split: str | PathLike[str] | None, split_column: str | None) -> str:
    """Return what the manifest says of the split: a file by its content, whatever its path."""
    if isinstance(source, Path):
        return f"file {split_file_sha256(source)}"
    return f"column {split_column}" if source is None else split or FRACTIONS


def _split_and_check(documents: Documents, source: Any, seed: int, data: str) -> tuple[DecidedSplit, dict[str, Any]]:
    """Return the documents' split and, for the manifest, what was counted; say what is rare, unseen or missing."""
    decided = split_documents(documents, source, seed)
    found: dict[str, Any] = {
        "dev_taken_from_train": decided.dev_from_train,
        "near_duplicates_of_train": count_in_splits(decided.split_of, decided.near_duplicate_of_train),
        "near_duplicate_groups": len(groups_of_several(decided.near_duplicates)),
        "conflicting_groups": decided.num_conflicting,
        "num_null": documents.num_null,
        "documents_by_split": dict(sorted(Counter(decided.split_of).items())),
        **check_labels(documents.labels, decided.split_of, data),
    }
    if missing := [name for name in ("dev", "test") if name not in found["documents_by_split"]]:
        warn(f"no document is in {' or '.join(missing)}")
    return decided, found


def _write_shards(
    stage: store.OpenStage,
    documents: Documents,
    decided: DecidedSplit,
    tokenizer: WordPieceTokenizer,
    windows: dict[str, Any],
) -> dict[str, Any]:
    """Write documents-*.parquet and chunks-*.parquet, no document in two shards; return what they hold.

    `windows` is how `chunk_document` cuts. A whole shard that an interrupted run has left is kept, and its documents are
    not tokenized again.
    """
    rows = list(
        zip(
            documents.doc_ids,
            documents.texts,
            map(label_set, documents.labels),
            decided.split_of,
            decided.near_duplicate_of_train,
            strict=True,
        )
    )
    shards, done = ShardWriter(stage.path), 0
    with bar("chunk", "documents", len(rows)) as progress:
        while done < len(rows):
            num_kept = shards.keep(rows, done)
            if not num_kept:
                shards.add(rows[done], chunk_document(rows[done][1], tokenizer, **windows))
            done += num_kept or 1
            progress.update(num_kept or 1)
    shards.close()
    return _count(stage, documents, windows["max_chunks"])


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
            dropped.update(dict.fromkeys(label_set(label), count))
    if totals["empty"]:
        warn(f"{totals['empty']} documents have no text ({documents.num_null} null); each is kept as one empty chunk")
    if dropped:
        per_class = ", ".join(f"{shown(label)} {count}" for label, count in sorted(dropped.items()))
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
    parser.add_argument("data", nargs="+", metavar="DATA", help=cli.DATA_HELP)
    parser.add_argument("run", metavar="RUN", help="the run directory")
    parser.add_argument("--text-column", default="text", metavar="NAME", help="the column with the text")
    parser.add_argument("--label-column", default="label", metavar="NAME", help="the column with the class")
    cli.add_labels(parser)
    parser.add_argument(
        "--id-column", metavar="NAME", help="the column with a unique id (without it: the row's number)"
    )
    parser.add_argument(
        "--labels-file",
        metavar="TABLE",
        help="a table with the paths (in column `id`, unless named) and classes of a folder's files; without it: its sub-folders' names",
    )
    cli.add_reading(parser)
    parser.add_argument(
        "--split",
        metavar="SPLIT",
        help=f"fractions of train/dev/test (without any: {FRACTIONS}), or a split file (see splits)",
    )
    parser.add_argument("--split-column", metavar="NAME", help="a column with train, dev or test, instead of --split")
    parser.add_argument(
        "--encoder", default="minilm", metavar="NAME", help="minilm, a directory, or random:CONFIG.json"
    )
    parser.add_argument(
        "--chunk-size",
        type=int,
        default=200,
        metavar="TOKENS",
        help="[CLS] and [SEP] included; after one epoch 100 gained 3.4 points on movie reviews and lost 0.3 on complaints, and 400 lost "
        "6.0 and 3.6",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        default=0,
        metavar="TOKENS",
        help="tokens that neighbouring chunks share; 50 gained 0.6 points on movie reviews and lost 2.2 on complaints",
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


def describe(stage: FinishedStage) -> str:
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
