"""python -m hierdoc.embed: turn every chunk into its vector and the chunk softmax's probabilities.

python -m hierdoc.embed runs/complaints
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hierdoc import cli
from hierdoc.chunking.tokenizers import read_vocab
from hierdoc.errors import HierdocError
from hierdoc.progress import bar, say, warn
from hierdoc.stages import files, store, tables
from hierdoc.stages.finished import FinishedStage, read_stage
from hierdoc.stages.overlap import Behind, ahead

if TYPE_CHECKING:
    import pyarrow as pa


LEVELS = ("chunk", "token")
CHUNKS_PER_PART = 256  # whose tokens' vectors are in memory at once


def embed_chunks(
    run: str | PathLike[str],
    engine: str = "auto",
    precision: str = "auto",
    level: str = "chunk",
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/embed: the vector and the class probabilities of every chunk of every split.

    With the level "token" it is RUN/tokens instead: the last layer's vector of every token but [CLS] and [SEP] (see
    `hierdoc.stages.tables.tokens_schema`), which no later stage reads.

    While one shard is encoded the next is read and the last written, and so three are in memory; a shard that an
    interrupted run has written is kept.

    Args:
        run: a run directory with finished chunk and finetune stages.
        engine: auto, or one of `hierdoc.engines.ENGINES`; auto is the fastest that is installed.
        precision: auto, float32, bfloat16 (where the CPU has it; auto takes it then), or int8 (needs nncf), which is
            calibrated on training chunks and given up for auto where it loses more than 0.3 points of dev's chunk accuracy.
        level: chunk or token.
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the other; the engine or the precision is not to be had.
    """
    import pyarrow as pa

    if level not in LEVELS:
        raise HierdocError(f"`level` must be one of {', '.join(LEVELS)}, but is {level!r} instead")
    if level == "token":
        return _embed_tokens(run, engine, precision, overwrite)
    from hierdoc.engines import ENGINES, resolve_engine, why
    from hierdoc.objectives import objective_of
    from hierdoc.sequences.reading import has_label_lists

    chunk, finetune = read_stage(run, "chunk"), read_stage(run, "finetune")
    asked = engine, precision
    engine, precision = resolve_engine(engine, precision)
    parameters = {"engine": engine, "precision": precision}
    stage = store.begin(run, "embed", parameters, {"chunk": chunk, "finetune": finetune}, overwrite)
    if isinstance(stage, FinishedStage):
        return stage
    from hierdoc.encoders.finetuned import load_chunk_head, load_encoder
    from hierdoc.engines.encoding import encode_chunks

    config, arrays = load_encoder(finetune.path)
    objective = objective_of(has_label_lists(chunk))
    head, about = load_chunk_head(finetune.path), {}
    if precision == "int8":
        loaded, precision, about = _load_int8(stage.path, config, arrays, chunk, head)
    else:
        loaded = ENGINES[engine](config, arrays, precision, chunk.parameters["chunk_size"])
    say(f"embed: {why(*asked, engine, precision)}")
    num_classes = len(chunk.details["labels"])
    schema = tables.vectors_schema(loaded.dim, num_classes)
    num_encoded, seconds = 0, 0.0

    def write(shard: Path, table: pa.Table) -> None:
        tables.write_table(shard, table)
        stage.note_time()

    with bar("embed", "chunks", chunk.details["num_chunks"]) as progress, Behind() as behind:
        for shard, table in ahead(_shards(chunk, stage.path)):
            if _is_whole(shard, table, schema):
                progress.update(len(table))
                continue
            rows = tables.ragged_of(table["token_ids"])
            started = time.monotonic()
            vectors = encode_chunks(loaded, rows, progress)
            seconds += time.monotonic() - started
            columns = [
                table["doc_id"].combine_chunks(),
                table["chunk_index"].combine_chunks(),
                tables.fixed_lists(vectors),
                tables.fixed_lists(objective.chunk_probs(vectors, head)),
            ]
            behind.do(write, shard, pa.Table.from_arrays(columns, schema=schema))
            num_encoded += len(rows)
    rate = {"chunks_per_second": round(num_encoded / seconds, 2)} if seconds else {}
    return stage.finish(
        {
            "dim": loaded.dim,
            "num_chunks": chunk.details["num_chunks"],
            "engine": engine,
            "precision": precision,
            **about,
        },
        rate,
    )


def _embed_tokens(run: str | PathLike[str], engine: str, precision: str, overwrite: bool) -> FinishedStage:
    """Write RUN/tokens; see `embed_chunks`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from hierdoc.encoders.finetuned import load_encoder
    from hierdoc.encoders.poolings import TOKENS
    from hierdoc.engines import ENGINES, resolve_engine
    from hierdoc.engines.encoding import encode_tokens

    chunk, finetune = read_stage(run, "chunk"), read_stage(run, "finetune")
    if precision == "int8":
        raise HierdocError(
            "`precision` int8 is measured on chunks' vectors alone; tokens' are computed in float32 or bfloat16"
        )
    engine, precision = resolve_engine(engine, precision)
    parameters = {"engine": engine, "precision": precision}
    stage = store.begin(run, "tokens", parameters, {"chunk": chunk, "finetune": finetune}, overwrite)
    if isinstance(stage, FinishedStage):
        return stage
    config, arrays = load_encoder(finetune.path)
    loaded = ENGINES[engine]({**config, "pooling": TOKENS}, arrays, precision, chunk.parameters["chunk_size"])
    dim = config["hidden_size"]
    schema, vocab = tables.tokens_schema(dim), read_vocab(finetune.path / "vocab.txt")
    with bar("tokens", "chunks", chunk.details["num_chunks"]) as progress:
        for source, table in _shards(chunk, stage.path):
            shard = source.with_name(source.name.replace("vectors-", "tokens-"))
            if _holds_tokens(shard, table):
                progress.update(len(table))
                continue
            with (
                files.atomic(shard) as partial,
                pq.ParquetWriter(partial, schema, compression="zstd", write_page_checksum=True) as writer,
            ):
                for at in range(0, len(table), CHUNKS_PER_PART):
                    part = table.slice(at, CHUNKS_PER_PART)
                    rows = tables.ragged_of(part["token_ids"])
                    vectors = [found[1:-1] for found in encode_tokens(loaded, rows, progress)]
                    counts = [len(found) for found in vectors]
                    columns = [
                        part["doc_id"].combine_chunks().take(pa.array(np.repeat(np.arange(len(rows)), counts))),
                        pa.array(np.repeat(part["chunk_index"].to_numpy(), counts), pa.int32()),
                        pa.array(np.concatenate([np.arange(count) for count in counts]), pa.int32()),
                        pa.array([vocab[token] for row in rows for token in row[1:-1].tolist()], pa.string()),
                        tables.fixed_lists(np.concatenate(vectors)),
                    ]
                    writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            stage.note_time()
    found = {"dim": dim, "num_chunks": chunk.details["num_chunks"], "engine": engine, "precision": precision}
    return stage.finish({**found, "level": "token"})


def check_arguments(engine: str = "auto", precision: str = "auto") -> None:
    """Check what `embed_chunks` is to compute by.

    Raises:
        HierdocError: there is no such engine or precision here.
    """
    from hierdoc.engines import resolve_engine

    resolve_engine(engine, precision)


def _holds_tokens(shard: Path, chunks: pa.Table) -> bool:
    """Return whether an earlier run has written the vectors of these chunks' tokens, read through to the end."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not shard.exists():
        return False
    try:
        with pq.ParquetFile(shard, page_checksum_verification=True) as file:
            num_rows = sum(batch.num_rows for batch in file.iter_batches(10_000))
    except (pa.ArrowInvalid, OSError):
        return False
    return num_rows == pc.sum(pc.list_value_length(chunks["token_ids"])).as_py() - 2 * len(chunks)


def _shards(chunk: FinishedStage, folder: Path) -> Iterator[tuple[Path, pa.Table]]:
    """Yield (the path of a shard of vectors, the chunks that are to be in it)."""
    for source in chunk.files("chunks-"):
        shard = folder / source.name.replace("chunks-", "vectors-")
        yield shard, tables.read_tables([source], ["doc_id", "chunk_index", "token_ids"])


def _load_int8(
    folder: Path, config: dict[str, Any], arrays: dict[str, Any], chunk: FinishedStage, head: dict[str, Any]
) -> tuple[Any, str, dict[str, Any]]:
    """Return the int8 engine, made in `folder`, or another where int8 loses too much; the precision; and what was found."""
    from hierdoc.answers.thresholds import best_threshold
    from hierdoc.encoders.poolings import vector_size
    from hierdoc.engines import ENGINES, int8, resolve_engine
    from hierdoc.engines.encoding import encode_chunks
    from hierdoc.objectives import objective_of
    from hierdoc.sequences.reading import has_label_lists, read_chunks

    chunk_size = chunk.parameters["chunk_size"]
    train, dev = (read_chunks(chunk, split) for split in ("train", "dev"))
    if not dev.rows:
        raise HierdocError(f"{chunk.path}: has no dev documents, and int8 is tried on dev")
    rows = int8.drawn(train.rows)
    say(f"embed: calibrating int8 on {len(rows)} training chunks")
    int8.quantize(config, arrays, rows, folder)
    engine = int8.load_int8_engine(folder, vector_size(config), chunk_size)
    objective = objective_of(has_label_lists(chunk))
    float32 = ENGINES["openvino"](config, arrays, "float32", chunk_size)
    threshold = 0.5
    if objective.multi_label:  # the one that makes float32's micro-F1 highest
        probs = objective.chunk_probs(encode_chunks(float32, dev.rows), head)
        threshold, _ = best_threshold(probs.reshape(-1), dev.label_ids.reshape(-1))
    with bar("int8 on dev", "chunks", 2 * len(dev.rows)) as progress:
        found = int8.compare(
            engine,
            float32,
            dev.rows,
            dev.label_ids,
            lambda vectors: objective.answers(objective.chunk_probs(vectors, head), threshold),
            progress,
        )
    about = {
        "int8_dev_chunk_accuracy": found.accuracy,
        "float32_dev_chunk_accuracy": found.float32_accuracy,
        "int8_disagreement": found.disagreement,
        "num_calibration_chunks": len(rows),
    }
    said = (
        f"int8 answers right for {found.accuracy:.4f} of dev's chunks, float32 for {found.float32_accuracy:.4f}, "
        f"and {found.disagreement:.2%} are called otherwise"
    )
    if found.is_good:
        say(f"embed: {said}")
        return engine, "int8", about
    _, precision = resolve_engine("openvino", "auto")
    warn(f"{said}: it loses more than {int8.MOST_LOST}, computing in {precision} instead")
    for name in reversed(int8.FILES):  # without the last it counts as not written
        (folder / name).unlink()
    return ENGINES["openvino"](config, arrays, precision, chunk_size), precision, about


def _is_whole(shard: Path, chunks: pa.Table, schema: pa.Schema) -> bool:
    """Return whether an earlier run has written this shard, for just these chunks."""
    if not shard.exists():
        return False
    import pyarrow as pa

    try:
        kept = tables.read_tables([shard])
    except (pa.ArrowInvalid, OSError):
        return False
    names = ["doc_id", "chunk_index"]
    return kept.schema.equals(schema) and kept.select(names).equals(chunks.select(names))


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "embed",
        "Turn every chunk into its vector and class probabilities.",
        "python -m hierdoc.embed runs/complaints",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    cli.add_engine(parser)
    parser.add_argument(
        "--level",
        default="chunk",
        metavar="NAME",
        help="chunk, or token: the last layer's vector of every token, into RUN/tokens",
    )
    parser.add_argument(
        "--precision",
        default="auto",
        metavar="NAME",
        help="auto, float32, bfloat16 or int8; auto is bfloat16 where the CPU has it",
    )
    cli.add_overwrite(parser)
    parser.set_defaults(function=embed_chunks, describe=describe)
    return parser


def describe(stage: FinishedStage) -> str:
    """Return the line that says what was made."""
    found = stage.details
    if found.get("level") == "token":
        return f"{stage.path}: vectors of {found['dim']} numbers of the tokens of {found['num_chunks']} chunks, computed by {found['engine']} in {found['precision']}"
    return f"{stage.path}: {found['num_chunks']} vectors of {found['dim']} numbers, computed by {found['engine']} in {found['precision']}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
