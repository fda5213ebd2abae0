"""Make a file of documents to try hierdoc on: `python -m hierdoc.datasets library-docs --out library.csv`."""

from __future__ import annotations

import argparse
import csv
import dataclasses
import io
import os
import warnings
from collections.abc import Sequence
from pathlib import Path

from hierdoc import cli
from hierdoc.errors import HierdocError, HierdocFailure
from hierdoc.progress import say
from hierdoc.stages import files

StrPath = str | os.PathLike[str]


def make_library_docs(
    out: StrPath, documents_per_class: int = 60, seed: int = 0, held_out: StrPath | None = None, overwrite: bool = False
) -> str:
    """Write the docstrings of installed libraries, in columns id, text, label; return the line that says what was made.

    `held_out` is a second file, for one document per class that is not in the first.

    Raises:
        HierdocError: a file cannot be made where it is asked for; a library is missing, or too small for `held_out`.
    """
    paths = _check_new([Path(out)] if held_out is None else [Path(out), Path(held_out)], overwrite)
    from hierdoc.corpus.library_docs import held_out_documents, library_documents, scan_libraries

    say("reading the docstrings of eight installed libraries (about 20 seconds)")
    samples = [library_documents(documents_per_class, seed)]
    samples += [] if held_out is None else [held_out_documents(documents_per_class, seed)]
    counts = sorted(scan_libraries().left_out.items())
    say("files that made no document: " + ", ".join(f"{count:,} {reason}" for reason, count in counts))
    rows = [[dataclasses.astuple(document) for document in sample] for sample in samples]
    return "; ".join(_write(path, ("id", "text", "label"), part) for path, part in zip(paths, rows, strict=True))


def make_20newsgroups(out: StrPath, data_home: StrPath | None = None, overwrite: bool = False) -> str:
    """Write 20 Newsgroups in columns id, text (with headers), label, split; return the line that says what was made.

    The split is the official one, by date; the id is the post's path, such as train/alt.atheism/49960. scikit-learn
    fetches the posts and keeps them in `data_home`.

    Raises:
        HierdocError: the file cannot be made where it is asked for.
        HierdocFailure: the posts are not there and cannot be downloaded.
    """
    (path,) = _check_new([Path(out)], overwrite)
    from sklearn.datasets import fetch_20newsgroups

    rows = []
    for split in ("train", "test"):
        try:
            with warnings.catch_warnings(action="ignore"):  # scikit-learn's, that it tries again
                posts = fetch_20newsgroups(subset=split, data_home=data_home, shuffle=False)
        except OSError as error:
            raise HierdocFailure(f"20 Newsgroups could not be downloaded: {' '.join(str(error).split())}") from error
        ids = ["/".join([split, *Path(name).parts[-2:]]) for name in posts.filenames]
        labels = [posts.target_names[target] for target in posts.target]
        rows += sorted(zip(ids, posts.data, labels, [split] * len(ids), strict=True))
    return _write(path, ("id", "text", "label", "split"), rows)


def _check_new(paths: list[Path], overwrite: bool) -> list[Path]:
    for path in paths:
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise HierdocError(f"{path}: the name must end in .csv or .parquet")
        if not path.parent.is_dir():
            raise HierdocError(f"{path}: there is no folder {path.parent}")
        if path.exists() and not (overwrite and path.is_file()):
            raise HierdocError(f"{path} exists already (--overwrite replaces a file)")
    if len({path.resolve() for path in paths}) < len(paths):
        raise HierdocError(f"`held_out` must be another file than `out`, but both are {paths[0]}")
    return paths


def _write(path: Path, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    with files.atomic(path) as partial:
        if path.suffix.lower() == ".parquet":
            from pyarrow import parquet, table

            parquet.write_table(table(list(map(list, zip(*rows, strict=True))), names=columns), partial)
        else:
            text = io.StringIO(newline="")  # all is quoted: Python 3.11 leaves a text with a lone "\r" bare
            csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([columns, *rows])
            partial.write_bytes(text.getvalue().encode("utf-8"))
    words = sum(len(row[1].split()) for row in rows) / len(rows)
    return f"{path}: {len(rows):,} documents, {len({row[2] for row in rows})} classes, {words:,.0f} words on average"


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser, with one subcommand for each data set."""
    example = "python -m hierdoc.datasets library-docs --out library.csv"
    parser = cli.make_parser("datasets", "Make a file of documents to try hierdoc on.", example)
    kinds = parser.add_subparsers(required=True, metavar="DATASET")
    docs, news = "docstrings of eight installed libraries", "18,846 Usenet posts of 20 groups, with the official split"
    library = kinds.add_parser(
        "library-docs", help=docs, description=f"Write the {docs}, labelled by library.", allow_abbrev=False
    )
    posts = kinds.add_parser("20newsgroups", help=news, description=f"Write the {news}.", allow_abbrev=False)
    for dataset, function in ((library, make_library_docs), (posts, make_20newsgroups)):
        dataset.set_defaults(function=function, describe=str)
        dataset.formatter_class, dataset.epilog = parser.formatter_class, f"example:\n  {dataset.prog} --out data.csv"
        dataset.add_argument("--out", required=True, metavar="FILE", help="the file to write: .csv or .parquet")
        dataset.add_argument("--overwrite", action="store_true", help="replace a file that exists already")
    library.add_argument("--documents-per-class", type=int, default=60, metavar="N", help="at most, as far as they go")
    library.add_argument("--seed", type=int, default=0, metavar="N", help="of the documents that are drawn")
    library.add_argument("--held-out", metavar="FILE", help="also write one document per class that is not in --out")
    posts.add_argument("--data-home", metavar="DIR", help="where scikit-learn keeps its downloads (14 MB)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
