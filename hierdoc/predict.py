"""python -m hierdoc.predict: label new documents.

python -m hierdoc.predict runs/complaints new.csv --out predictions.csv
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from hierdoc import cli
from hierdoc.chunking.tokenizers import MOST_UNKNOWN
from hierdoc.corpus.documents import Columns, iterate_documents
from hierdoc.corpus.finding import check_column_arguments, find_sources
from hierdoc.corpus.rows import has_column
from hierdoc.corpus.sources import Data, Sources
from hierdoc.errors import HierdocError
from hierdoc.heads import find_head
from hierdoc.progress import bar, say, warn
from hierdoc.reporting.tables import preview
from hierdoc.stages import files
from hierdoc.stages.finished import FinishedStage, read_stage
from hierdoc.stages.overlap import ahead

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

CHARS_PER_BATCH = 1_000_000  # documents are read, encoded and written in batches of about so much text
PREVIEW = 8  # so many documents are shown on stderr
SUFFIXES = (".csv", ".jsonl", ".parquet")


def predict_documents(
    run: str | PathLike[str],
    data: Data,
    out: str | PathLike[str] | None = None,
    head: str | None = None,
    thresholds: str | PathLike[str] | None = None,
    text_column: str | None = None,
    id_column: str | None = None,
    format: str | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
) -> pd.DataFrame | Path:
    """Return the labels and probabilities of new documents, in their order, or write them to `out` and return its path.

    Needs RUN/finetune and RUN/heads/<head> only. The columns are doc_id, label, probability, num_chunks and
    probability:<label> for each class; probabilities are float32 and the same as evaluate's for the same text. Where documents
    have any number of labels, `labels` stands for label and probability: a list, or in CSV one text, cut as the training data's were.

    Args:
        run: a run directory.
        data: CSV, TSV, JSONL or Parquet files, "-" for stdin, or a DataFrame, where one row is one document; or a folder
            or files of text, where one file is, and its path the id.
        out: a .csv, .jsonl or .parquet file, written whole or not at all.
        head: which trained head; by default the one there is.
        thresholds: a JSON file such as RUN/heads/<head>/thresholds.json, {"thresholds": {label: probability}}, whose labels are
            given from these probabilities on instead.
        text_column, id_column: the columns' names; by default those of the training data.
        format: csv, tsv, jsonl, parquet or txt, of stdin (csv by default) and of files whose suffix names none.
        encoding: of all that is text.
        overwrite: replace `out` where it exists.

    Raises:
        HierdocError: the data are not as they must be; a stage is missing or has changed; `out` exists.
    """
    head = find_head(run, head)
    stages = read_stage(run, "finetune"), read_stage(run, f"heads/{head}")  # a wrong path is told before stdin is read
    _, trained = stages
    from hierdoc.encoders.finetuned import load_config

    if thresholds is not None:
        from hierdoc.heads.document_probs import answers_of, load_head_config

        answers_of(trained.path, load_head_config(trained.path), thresholds)  # and so is a wrong threshold
    sources = find_sources(data, None, format, encoding)
    check_column_arguments(sources, text_column=text_column, id_column=id_column)
    if out is not None:
        out = Path(out)
        _check_out(out, sources, overwrite)
    config = load_config(stages[0].path)
    columns = Columns(text=text_column or config["columns"]["text"], id=id_column or config["columns"]["id"])
    separator = config.get("label_separator") or ""
    batches = _predictions(stages, sources, columns, id_column is not None, thresholds)
    if out is None:
        return _frame(batches, separator)
    with files.atomic(out) as partial:
        _WRITERS[out.suffix.lower()](batches, partial, separator)
    return out


def _check_out(out: Path, sources: Sources, overwrite: bool) -> None:
    if out.suffix.lower() not in SUFFIXES:
        raise HierdocError(f"`out` must end in {', '.join(SUFFIXES)}, but is {str(out)!r} instead")
    files.check_unicode(out)
    if out.is_dir():
        raise HierdocError(f"{out}: must be a file, but is a directory instead")
    if not out.parent.is_dir():
        raise HierdocError(f"{out.parent}: no such directory")
    if sources.hold(out):
        raise HierdocError(f"{out}: is {'inside the folder' if sources.folder else 'one of the files'} to read")
    if out.exists() and not overwrite:
        raise HierdocError(f"{out}: exists; --overwrite replaces it")


def _predictions(
    stages: tuple[FinishedStage, FinishedStage],
    sources: Sources,
    columns: Columns,
    ids_were_asked_for: bool,
    thresholds: str | PathLike[str] | None,
) -> Iterator[pa.Table]:
    tables = [source for source in sources.files if source.format != "txt"]
    if not ids_were_asked_for and columns.id is not None and tables:
        if not any(has_column(table, sources.encoding, columns.id) for table in tables):
            say(f"no column {columns.id!r} in the data: documents are numbered from 1")
            columns = Columns(text=columns.text)
    documents = iterate_documents(sources, columns)
    first = _next_batch(documents)  # nor a wrong column after it
    from hierdoc.heads.predictor import Predictor

    predictor = Predictor(*stages, thresholds)
    batches = itertools.chain([first], iter(lambda: _next_batch(documents), []))
    cut = (predictor.cut(*zip(*batch)) for batch in batches)
    with bar("predict", "chunks", 0) as progress:
        for number, texts in enumerate(ahead(cut)):
            predictions = predictor.predict(texts, progress)
            if number == 0:
                say(preview(predictions.slice(0, PREVIEW)))
            yield predictions
    _say_what_was_counted(predictor.counted)


def _next_batch(documents: Iterator[tuple[str, str | None, str, str, str]]) -> list[tuple[str, str]]:
    batch, num_chars = [], 0
    for doc_id, text, *_ in documents:
        batch.append((doc_id, text or ""))
        num_chars += len(batch[-1][1])
        if num_chars >= CHARS_PER_BATCH:
            break
    return batch


def _say_what_was_counted(counted: dict[str, int]) -> None:
    if counted["empty"]:
        warn(f"{counted['empty']} of {counted['documents']} documents have no text")
    if counted["dropped"]:
        warn(
            f"max-chunks of the training dropped {counted['dropped']} of {counted['dropped'] + counted['chunks']} chunks"
        )
    if counted["unknown"] > MOST_UNKNOWN * counted["tokens"]:
        warn(
            f"{counted['unknown'] / counted['tokens']:.1%} of the tokens are [UNK]: is this the language of the training data?"
        )


def _frame(batches: Iterator[pa.Table], separator: str) -> pd.DataFrame:
    import pyarrow as pa

    frame = pa.concat_tables(batches).to_pandas()
    if "labels" in frame:
        frame["labels"] = frame["labels"].map(list)
        frame.attrs["label_separator"] = separator
    return frame


def _write_csv(batches: Iterator[pa.Table], path: Path, separator: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        _csv_lines(batches, file, separator)


def _csv_lines(batches: Iterator[pa.Table], file: TextIO, separator: str) -> None:
    writer = csv.writer(
        file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC
    )  # minimal quoting leaves a lone \r bare
    for number, batch in enumerate(batches):
        if number == 0:
            writer.writerow(batch.schema.names)
        writer.writerows(zip(*(_csv_cells(column, separator) for column in batch.columns)))


def _csv_cells(column: pa.ChunkedArray, separator: str) -> list[Any]:
    if str(column.type) == "float":
        return list(column.to_numpy())  # a NumPy float32 is written as the shortest text that reads back the same
    cells = column.to_pylist()
    return [separator.join(cell) if isinstance(cell, list) else cell for cell in cells]


def _write_jsonl(batches: Iterator[pa.Table], path: Path, separator: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        for batch in batches:
            for row in batch.to_pylist():
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _write_parquet(batches: Iterator[pa.Table], path: Path, separator: str) -> None:
    import pyarrow.parquet as pq

    first = next(batches)
    with pq.ParquetWriter(path, first.schema, compression="zstd") as writer:
        writer.write_table(first)
        for batch in batches:
            writer.write_table(batch)


_WRITERS: dict[str, Callable[[Iterator[Any], Path, str], None]] = {
    ".csv": _write_csv,
    ".jsonl": _write_jsonl,
    ".parquet": _write_parquet,
}


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "predict",
        "Label new documents; writes CSV to stdout, or to --out.",
        "python -m hierdoc.predict runs/complaints new.csv --out predictions.csv",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    parser.add_argument("data", nargs="+", metavar="DATA", help=cli.DATA_HELP)
    parser.add_argument("--out", metavar="FILE", help=f"a file that ends in {', '.join(SUFFIXES)}")
    parser.add_argument("--head", metavar="NAME", help="which trained head (default: the one there is)")
    parser.add_argument(
        "--thresholds",
        metavar="FILE",
        help="JSON, as heads/NAME/thresholds.json: give labels from these probabilities on",
    )
    parser.add_argument("--text-column", metavar="NAME", help="(default: as in the training data)")
    parser.add_argument("--id-column", metavar="NAME", help="(default: as in the training data)")
    cli.add_reading(parser)
    parser.add_argument("--overwrite", action="store_true", help="replace --out where it exists")
    parser.set_defaults(function=predict_documents, describe=describe)
    return parser


def describe(result: pd.DataFrame | Path) -> str:
    """Return the predictions as CSV, or the path they were written to."""
    if isinstance(result, Path):
        return f"{result}: written"
    import pyarrow as pa

    text = io.StringIO()
    table = pa.Table.from_pandas(result, preserve_index=False)
    _csv_lines(iter([table]), text, result.attrs.get("label_separator", ""))
    return text.getvalue().removesuffix("\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
