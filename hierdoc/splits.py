"""python -m hierdoc.splits: make split files, or check one against the data.

python -m hierdoc.splits make complaints.csv splits/complaints --label-column product --id-column id --folds 5
python -m hierdoc.splits verify complaints.csv splits/complaints/split.csv --id-column id
"""

from __future__ import annotations

import argparse
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from hierdoc import cli
from hierdoc.corpus import splits
from hierdoc.corpus.documents import Columns, Documents, read_documents
from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.corpus.finding import check_column_arguments, find_sources
from hierdoc.corpus.groups import shared_with_train
from hierdoc.corpus.labels import check_labels, separator_of, strata
from hierdoc.corpus.sources import FRAME, Data, Sources
from hierdoc.corpus.split_documents import DecidedSplit, count_in_splits, split_documents
from hierdoc.corpus.split_facts import data_facts, split_facts
from hierdoc.corpus.split_files import given_split, text_sha256, write_split_file
from hierdoc.errors import HierdocError
from hierdoc.learning.seeds import check_seed
from hierdoc.progress import say, warn
from hierdoc.stages.files import check_unicode, sha256_of, write_json

FACTS = "split.json"


def make_split_files(
    data: Data,
    out: str | PathLike[str],
    text_column: str = "text",
    label_column: str = "label",
    multi_label: bool = False,
    label_separator: str = "|",
    id_column: str | None = None,
    labels_file: str | PathLike[str] | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
    split: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    folds: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> str:
    """Write OUT/split.csv, with `folds` also OUT/fold-1.csv and so on, and their facts; return the line about them.

    A split file has a row for each document, in the order of the data: doc_id, split, sha256 of the text. OUT/split.json
    says how many documents each split has of each class, and how many near-duplicates there are and where. Neither
    holds texts, or paths beyond the files' names.

    Args:
        data, text_column, label_column, multi_label, label_separator, id_column, labels_file, format, encoding, split_column:
            as `hierdoc.chunk_documents`.
        out: the directory for the files; made when it is missing.
        split: fractions of train/dev/test, of split.csv alone (without any: 0.8/0.1/0.1). The split is the one that
            `chunk_documents` makes of them.
        group_column: documents with the same value stay in one split, as near-duplicates do.
        folds: the number of folds; each document that is not excluded is in the test of one. Of the rest, 10 % is dev.
        seed: of what is drawn.
        overwrite: replace the files that are there.

    Raises:
        HierdocError: the data or an argument is not as it must be; a file's name is not Unicode; the files exist already.
        HierdocFailure: the data changed while they were read.
    """
    check_seed(seed)
    separator = separator_of(multi_label, label_separator)
    source = splits.parse_split(split, split_column)
    if isinstance(source, Path):
        raise HierdocError(
            f"`split` must be fractions of train/dev/test (as 0.8/0.1/0.1), but is {str(split)!r} instead"
        )
    out = Path(out)
    old = _check_out(out, overwrite)
    sources = find_sources(data, labels_file, format, encoding)
    check_column_arguments(
        sources, text_column=text_column, label_column=label_column, id_column=id_column, split_column=split_column,
        group_column=group_column,
    )  # fmt: skip
    if sources.hold(out / FACTS):
        raise HierdocError(f"{out}: must not be inside the folder that is read")
    for path in old:
        if sources.hold(path):
            raise HierdocError(
                f"{path}: is what is read, and would be replaced; choose another folder for the split files"
            )
    for name in (*_names(sources), out.resolve().name, labels_file or ""):
        check_unicode(name)
    columns = Columns(text_column, label_column, id_column, split_column, group_column)
    read = sources.parameters()
    facts: dict[str, Any] = {
        "command": _command(sources, out, columns, separator, labels_file, format, split, folds, seed),
        **_data_read(sources, read),
        "columns": asdict(columns),
        "split": f"column {split_column}" if source is None else "/".join(map(str, source)),
        "seed": seed,
    }
    documents = read_documents(sources, columns, separator)
    sources.check_unchanged(read)
    decided = split_documents(documents, source, seed)
    check_labels(documents.labels, decided.split_of, str(sources))
    assignments = {"split.csv": decided.split_of}
    if folds is not None:
        assignments |= _folds(documents, decided, folds, seed)
    facts |= {"num_null": documents.num_null, **data_facts(documents.labels, decided)}
    for path in old:
        path.unlink()
    out.mkdir(parents=True, exist_ok=True)
    facts["files"] = _write_split_files(out, assignments, documents, decided)
    write_json(out / FACTS, facts)
    made = f"{out / 'split.csv'}: {len(documents)} documents ({_counts(decided.split_of)})"
    return made if folds is None else f"{made}; {folds} folds beside it"


def verify_split_file(
    data: Data,
    file: str | PathLike[str],
    text_column: str = "text",
    id_column: str | None = None,
    labels_file: str | PathLike[str] | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
) -> str:
    """Check that a split file has each document of the data, with its text, and no other; return the line about it.

    Args:
        data, text_column, id_column, format, encoding: as `hierdoc.chunk_documents`.
        file: the split file.
        labels_file: the table of a folder's files; it must have just these, and where it lies among them it is none.

    Raises:
        HierdocError: the file is not a split file, or not of these data.
    """
    sources = find_sources(data, labels_file, format, encoding)
    documents = read_documents(sources, Columns(text_column, id=id_column))
    split_of = given_split(file, documents.doc_ids, documents.texts)
    if "dev" not in split_of:
        say(f"{file}: has no dev: chunk takes {splits.DEV_FROM_TRAIN:.0%} of train for it")
    shared = count_in_splits(split_of, shared_with_train(split_of, near_duplicate_groups(documents.texts).tolist()))
    across = " and ".join(f"{count} of {split}" for split, count in shared.items()) or "none of dev or test"
    return (
        f"{file}: fits the {len(documents)} documents ({_counts(split_of)}); "
        f"near-duplicates of training documents: {across}"
    )


def _folds(documents: Documents, decided: DecidedSplit, folds: int, seed: int) -> dict[str, list[str]]:
    """Return the split of each document in each fold, by file name; what is excluded stays so."""
    kept = [place for place, split in enumerate(decided.split_of) if split != "excluded"]
    labels = strata([documents.labels[place] for place in kept])
    groups = [decided.groups[place] for place in kept]
    assignments = {}
    for number, fold in enumerate(splits.make_folds(labels, folds, seed, groups), 1):
        split_of = ["excluded"] * len(documents)
        for place, split in zip(kept, fold, strict=True):
            split_of[place] = split
        assignments[f"fold-{number}.csv"] = split_of
    return assignments


def _check_out(out: Path, overwrite: bool) -> list[Path]:
    """Return the files of an earlier call, the facts first."""
    if out.exists() and not out.is_dir():
        raise HierdocError(f"{out}: must be a directory for the split files, but is a file instead")
    folds = sorted(path for path in out.glob("fold-*.csv") if re.fullmatch(r"fold-\d+\.csv", path.name))
    old = [path for path in (out / FACTS, out / "split.csv", *folds) if path.exists()]
    if old and not overwrite:
        raise HierdocError(f"{old[-1]} exists already (--overwrite replaces the split files in {out})")
    return old


def _write_split_files(
    out: Path, assignments: dict[str, list[str]], documents: Documents, decided: DecidedSplit
) -> dict[str, Any]:
    """Write a file for each name and its documents' splits; return the facts of each, by name."""
    facts = {}
    digests = [text_sha256(text) for text in documents.texts]
    for name, split_of in assignments.items():
        if missing := [part for part in ("dev", "test") if part not in split_of]:
            warn(f"{name}: no document is in {' or '.join(missing)}")
        write_split_file(out / name, documents.doc_ids, split_of, digests)
        facts[name] = {
            "sha256": sha256_of(out / name),
            **split_facts(documents.labels, split_of, decided.near_duplicates, documents.groups),
        }
    return facts


def _data_read(sources: Sources, read: dict[str, Any]) -> dict[str, Any]:
    """Return what the facts say of the data: each file's name and hash, and the way they were read."""
    digests = zip(_names(sources), read["data_sha256"], strict=True)
    manner = {name: value for name, value in read.items() if name != "data_sha256" and value is not None}
    return {"data": [{"file": name, "sha256": digest} for name, digest in digests], **manner}


def _names(sources: Sources) -> list[str]:
    if sources.folder is not None:
        return [sources.folder.resolve().name]
    return ["a DataFrame" if source.format == FRAME else Path(source.name).name for source in sources.files]


def _command(
    sources: Sources,
    out: Path,
    columns: Columns,
    separator: str | None,
    labels_file: str | PathLike[str] | None,
    format: str | None,
    split: str | None,
    folds: int | None,
    seed: int,
) -> str:
    """Return the command line that does the same, with the files' names alone."""
    given = {
        "text-column": columns.text if columns.text != Columns().text else None,
        "label-column": columns.label if columns.label != "label" else None,
        "id-column": columns.id,
        "labels-file": None if labels_file is None else Path(labels_file).name,
        "format": format,
        "encoding": sources.encoding if sources.encoding != "utf-8" else None,
        "split": split,
        "split-column": columns.split,
        "group-column": columns.group,
        "folds": folds,
        "seed": seed or None,
    }
    several = [] if separator is None else ["--multi-label", *(["--label-separator", separator] * (separator != "|"))]
    flags = [word for name, value in given.items() if value is not None for word in (f"--{name}", str(value))]
    names = ["-" if name == "stdin" else name for name in _names(sources)]
    return shlex.join(["python", "-m", "hierdoc.splits", "make", *names, out.resolve().name, *flags, *several])


def _counts(split_of: Sequence[str]) -> str:
    counts = Counter(split_of)
    return ", ".join(f"{counts[split]} {split}" for split in splits.SPLITS if counts[split])


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser, with one subcommand to make split files and one to check them."""
    example = "python -m hierdoc.splits make data.csv splits --id-column id"
    parser = cli.make_parser("splits", "Make split files, or check one against the data.", example)
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    write, check = "a split file, and one for each fold", "that a split file is of these documents"
    make = kinds.add_parser(
        "make", help=f"write {write}", description=f"Write {write}, with their facts.", allow_abbrev=False
    )
    verify = kinds.add_parser("verify", help=f"check {check}", description=f"Check {check}.", allow_abbrev=False)
    for action, function, end in ((make, make_split_files, "splits"), (verify, verify_split_file, "splits/split.csv")):
        action.set_defaults(function=function, describe=str)
        action.formatter_class = parser.formatter_class
        action.epilog = f"example:\n  {action.prog} data.csv {end} --id-column id"
        action.add_argument("data", nargs="+", metavar="DATA", help=cli.DATA_HELP)
    make.add_argument("out", metavar="OUT", help="the directory for split.csv, fold-1.csv … and split.json")
    verify.add_argument("file", metavar="FILE", help="the split file")
    for action in (make, verify):
        action.add_argument("--text-column", default="text", metavar="NAME", help="the column with the text")
        action.add_argument(
            "--id-column", metavar="NAME", help="the column with a unique id (without it: the row's number)"
        )
        action.add_argument(
            "--labels-file",
            metavar="TABLE",
            help="the classes of a folder's files (without it: its sub-folders' names)",
        )
        cli.add_reading(action)
    make.add_argument("--label-column", default="label", metavar="NAME", help="the column with the class")
    cli.add_labels(make)
    make.add_argument(
        "--split", metavar="TRAIN/DEV/TEST", help=f"fractions of the documents (without any: {splits.FRACTIONS})"
    )
    make.add_argument("--split-column", metavar="NAME", help="a column with train, dev or test, instead of --split")
    make.add_argument("--group-column", metavar="NAME", help="documents with the same value stay in one split")
    make.add_argument("--folds", type=int, metavar="K", help="also write K folds, each document in one test of them")
    make.add_argument("--seed", type=int, default=0, metavar="N", help="of what is drawn at random")
    make.add_argument("--overwrite", action="store_true", help="replace the files that exist already")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
