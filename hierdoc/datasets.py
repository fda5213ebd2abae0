"""Make a file of documents to try hierdoc on.

    python -m hierdoc.datasets library-docs --out library.csv --held-out unseen.csv
    python -m hierdoc.datasets 20newsgroups --out 20newsgroups.csv
"""

from __future__ import annotations

import argparse
import csv
import http.client
import io
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hierdoc import cli
from hierdoc.errors import HierdocError, HierdocFailure
from hierdoc.progress import say

StrPath = str | os.PathLike[str]


@dataclass(frozen=True)
class WrittenDocuments:
    """A file of documents, and what is in it; `num_words` counts white-space words in all of it."""

    path: Path
    num_documents: int
    num_classes: int
    num_words: int


def make_library_docs(
    out: StrPath, documents_per_class: int = 60, seed: int = 0, held_out: StrPath | None = None, overwrite: bool = False
) -> list[WrittenDocuments]:
    """Write the docstrings of installed libraries (see `hierdoc.corpus.library_docs`), with columns id, text, label.

    Args:
        held_out: a second file, for one document per class that is not in the first.

    Raises:
        HierdocError: a file cannot be made where it is asked for; a library is missing, or too small for `held_out`.
    """
    paths = _new_files([out] if held_out is None else [out, held_out], overwrite)
    from hierdoc.corpus.library_docs import held_out_documents, library_documents, scan_libraries

    say("reading the docstrings of eight installed libraries (about 20 seconds)")
    samples = [library_documents(documents_per_class, seed)]
    if held_out is not None:
        samples.append(held_out_documents(documents_per_class, seed))
    counts = scan_libraries().left_out
    say("files left out: " + ", ".join(f"{count:,} {reason}" for reason, count in sorted(counts.items())))
    columns = ("id", "text", "label")
    return [
        _write(path, columns, [(document.doc_id, document.text, document.label) for document in sample])
        for path, sample in zip(paths, samples, strict=True)
    ]


def make_20newsgroups(
    out: StrPath, data_home: StrPath | None = None, overwrite: bool = False
) -> list[WrittenDocuments]:
    """Write the posts of 20 Newsgroups with their headers, with columns id, text, label, split; scikit-learn fetches them.

    The split is the official one, by date: 11,314 posts for train and 7,532 for test. The id is the post's path, such
    as train/alt.atheism/49960.

    Args:
        data_home: where scikit-learn keeps its downloads, instead of its own choice.

    Raises:
        HierdocError: the file cannot be made where it is asked for.
        HierdocFailure: the posts are not there and cannot be downloaded.
    """
    (path,) = _new_files([out], overwrite)
    from sklearn.datasets import fetch_20newsgroups

    rows = []
    for split in ("train", "test"):
        try:
            posts = fetch_20newsgroups(subset=split, data_home=data_home, shuffle=False, remove=())
        except (OSError, EOFError, tarfile.TarError, http.client.HTTPException) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise HierdocFailure(f"20 Newsgroups could not be downloaded: {reason}") from error
        ids = ["/".join([split, *Path(name).parts[-2:]]) for name in posts.filenames]
        labels = [posts.target_names[target] for target in posts.target]
        rows += sorted(zip(ids, posts.data, labels, [split] * len(ids), strict=True))
    return [_write(path, ("id", "text", "label", "split"), rows)]


def _new_files(names: Sequence[StrPath], overwrite: bool) -> list[Path]:
    """Return the paths, before any work is done, if files can be made there."""
    paths = [Path(name) for name in names]
    for path in paths:
        if path.suffix.lower() not in (".csv", ".parquet"):
            raise HierdocError(f"{path}: the name must end in .csv or .parquet")
        if not path.parent.is_dir():
            raise HierdocError(f"{path}: there is no folder {path.parent}")
        if path.is_dir() or (path.exists() and not overwrite):
            raise HierdocError(f"{path} exists already" + ("" if path.is_dir() else "; --overwrite replaces it"))
    if len({path.resolve() for path in paths}) < len(paths):
        raise HierdocError(f"`out` and `held_out` must be two files, but both are {paths[0]}")
    return paths


def _write(path: Path, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> WrittenDocuments:
    """Write all rows or nothing: under another name first, which is renamed when the bytes are on the disk."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("wb") as file:
            if path.suffix.lower() == ".parquet":
                import pyarrow as pa
                import pyarrow.parquet as pq

                pq.write_table(pa.table(dict(zip(columns, map(list, zip(*rows)), strict=True))), file)
            else:
                text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
                # Everything is quoted: Python 3.11 leaves a lone "\r" bare, which no reader takes for text.
                csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([columns, *rows])
                text.detach()
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return WrittenDocuments(path, len(rows), len({row[2] for row in rows}), sum(len(row[1].split()) for row in rows))


def describe(made: Sequence[WrittenDocuments]) -> str:
    """Return the line that says what was made."""
    return "; ".join(
        f"{file.path}: {file.num_documents:,} documents, {file.num_classes} classes, "
        f"{file.num_words / max(1, file.num_documents):,.0f} words on average"
        for file in made
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the command's parser, with one subcommand per data set."""
    parser = cli.make_parser(
        "datasets", "Make a file of documents to try hierdoc on.", "python -m hierdoc.datasets library-docs --out library.csv"
    )
    kinds = parser.add_subparsers(required=True, metavar="DATASET")
    library = _add_dataset(kinds, "library-docs", "the docstrings of eight installed libraries, by library", "library.csv")
    library.add_argument("--documents-per-class", type=int, default=60, metavar="N", help="at most; small libraries have fewer")
    library.add_argument("--seed", type=int, default=0, metavar="N", help="of which documents are drawn")
    library.add_argument("--held-out", metavar="FILE", help="a second file, for one document per class that the first has not")
    library.set_defaults(function=make_library_docs, describe=describe)
    posts = _add_dataset(kinds, "20newsgroups", "18,846 Usenet posts in 20 groups, with the official split", "20newsgroups.csv")
    posts.add_argument("--data-home", metavar="DIR", help="where scikit-learn keeps its downloads (14 MB)")
    posts.set_defaults(function=make_20newsgroups, describe=describe)
    return parser


def _add_dataset(kinds: argparse._SubParsersAction, name: str, text: str, out: str) -> argparse.ArgumentParser:
    example = f"python -m hierdoc.datasets {name} --out {out}"
    like = cli.make_parser(f"datasets {name}", f"Write {text}.", example)
    parser = kinds.add_parser(
        name, help=text, description=like.description, epilog=like.epilog, formatter_class=like.formatter_class,
        allow_abbrev=False,
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="what to write: .csv or .parquet")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist already")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
