"""Run every case of config.yaml on the data sets that are named, or a small part of them on hierdoc's demo corpus.

    python experiments/020-stuck-at-chance/run.py --data 20ng=DIR/20ng/train.parquet \\
        --data complaints=DIR/complaints/complaints_all_lengths.parquet
    python experiments/020-stuck-at-chance/run.py --demo

What is finished is skipped, so the same command goes on where it was stopped. `--examine` trains nothing and lets the
doctor look again at every finished case.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cases import Bench
from demo import make_demo
from documents import read_table
from settings import Case, read_config, read_dataset

from hierdoc import cli
from hierdoc.encoders.pretrained import find_encoder
from hierdoc.errors import HierdocError
from hierdoc.progress import say

HERE = Path(__file__).parent
BUILD = HERE.parent.parent / "build" / HERE.name
CHUNKS_PER_SECOND, DOCUMENTS_PER_SECOND = 13, 150  # of 2 cores, for the first guess of what a case takes


def main(argv: Sequence[str] | None = None) -> int:
    """Run the cases; see `hierdoc.cli.run_command` for the exit codes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", action="append", default=[], metavar="NAME=FILE", help="a data set's documents")
    parser.add_argument(
        "--demo", action="store_true", help="a tiny encoder on the demo's corpus; results go to the build folder"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these causes or healthy runs only")
    parser.add_argument("--examine", action="store_true", help="train nothing, examine what is finished")
    parser.add_argument("--config", type=Path, default=HERE / "config.yaml", metavar="FILE")
    parser.add_argument("--build", type=Path, default=BUILD, metavar="DIR", help="models, vectors and traces")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="default: results/ beside this file; for --demo, in --build"
    )
    parser.set_defaults(function=run, describe=str)
    return cli.run_command(parser, argv)


def run(
    data: list[str], demo: bool, only: list[str] | None, examine: bool, config: Path, build: Path, results: Path | None
) -> str:
    """Run the cases that are asked for, and return the line that says what was made.

    Raises:
        HierdocError: a data set or a case has another name; the data are not those of the split file.
    """
    if demo == bool(data):
        raise HierdocError("give --data NAME=FILE, once or more often, or --demo")
    settings = read_config(config)
    results = results or (build / "results" if demo else HERE / "results")
    if demo:
        settings, data, only = *make_demo(settings, build), only or settings["demo"]["only"]
    benches = [open_bench(settings, entry, config.parent, build, results) for entry in data]
    work = [(bench, case) for bench in benches for case in in_order(bench, only)]
    if examine:
        done = [bench.examine_again(case) for bench, case in work if bench.is_done(case)]
    else:
        done = run_all([(bench, case) for bench, case in work if not bench.is_done(case)])
    return f"{results}: {len(done)} results written, {len(work)} in all"


def open_bench(config: dict[str, Any], entry: str, folder: Path, build: Path, results: Path) -> Bench:
    """Return what the cases of one data set, NAME=FILE, are run with.

    Raises:
        HierdocError: there is no such data set; the data are not those of its split file.
    """
    name, _, path = entry.partition("=")
    if name not in config["datasets"] or not path:
        names = ", ".join(config["datasets"])
        raise HierdocError(f"`data` must be NAME=FILE with a NAME of {names}, but is {entry!r} instead")
    dataset = read_dataset(config, name, folder)
    return Bench(dataset, read_table([path], dataset), find_encoder(dataset.encoder), build / name, results / name)


def in_order(bench: Bench, only: list[str] | None) -> list[Case]:
    """Return the cases asked for, those first whose chunk model is shared by most of them.

    Raises:
        HierdocError: none has such a name.
    """
    cases = bench.dataset.cases
    names = {case.name for case in cases}
    if only and (unknown := [name for name in only if name not in names]):
        raise HierdocError(f"`only` must be of {', '.join(sorted(names))}, but is {unknown[0]!r} instead")
    chosen = [case for case in cases if not only or case.name in only]
    models = [bench.models.fingerprint(case, case.chunks) for case in chosen]
    order = sorted(range(len(chosen)), key=lambda at: (-models.count(models[at]), models.index(models[at])))
    return [chosen[at] for at in order]


def run_all(work: list[tuple[Bench, Case]]) -> list[dict[str, Any]]:
    """Run cases one after the other, saying after each what came of it and how long the others will take."""
    done, started, guessed_done = [], time.monotonic(), 0.0
    for number, (bench, case) in enumerate(work, 1):
        guesses = guess_seconds(work[number - 1 :])
        result = bench.run(case)
        done.append(result)
        guessed_done += guesses[0]
        left = sum(guesses[1:]) * (time.monotonic() - started) / guessed_done
        found = ", ".join(f"{finding['code']} ({finding['weight']})" for finding in result["findings"]) or "nothing"
        say(
            f"[{number}/{len(work)}] {bench.dataset.name} {case.title}: accuracy {result['accuracy']:.2f}; "
            f"found {found}; about {left / 60:.0f} min left"
        )
    return done


def guess_seconds(work: list[tuple[Bench, Case]]) -> list[float]:
    """Return a rough guess of the seconds that each case takes, chunk models that are shared counted once."""
    seen, guesses = set(), []
    for bench, case in work:
        num_documents = len(case.documents.classes) * (case.documents.per_class or bench.documents_per_class)
        seconds = 4 + num_documents * case.head.epochs / DOCUMENTS_PER_SECOND
        for key, chunks in ((bench.models.fingerprint(case, case.chunks), True), (case.documents, False)):
            if (bench.dataset.name, key) not in seen and not (chunks and bench.models.is_made(case)):
                seconds += 10 + bench.chunks_per_document * num_documents * (case.chunks.epochs + 1) / CHUNKS_PER_SECOND
            seen.add((bench.dataset.name, key))
        guesses.append(seconds)
    return guesses


if __name__ == "__main__":
    sys.exit(main())
