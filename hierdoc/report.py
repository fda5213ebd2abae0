"""python -m hierdoc.report: write an experiment's report from its results.

python -m hierdoc.report experiments/010-heads
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from hierdoc import cli
from hierdoc.errors import HierdocError


def write_report(
    folder: str | PathLike[str], with_text: bool = False, runs: str | PathLike[str] = "build/runs"
) -> list[Path]:
    """Write FOLDER/report.html and FOLDER/report.md from FOLDER/results and config.yaml alone; return their paths.

    Every figure is computed from the saved predictions; a result that says otherwise is refused.

    Args:
        folder: the experiment's.
        with_text: show the beginnings of documents; they are read from `runs`, and the pages are named
            report-with-text instead, for they are not to leave the machine.
        runs: where `run_experiment` has made the stages.

    Raises:
        HierdocError: the configuration or a result is damaged; results do not fit together; the texts are not there.
    """
    from hierdoc.comparison.summary import read_summaries
    from hierdoc.reporting.contents import report_sections
    from hierdoc.reporting.pages import html, markdown
    from hierdoc.stages import files

    folder = Path(folder)
    experiment, summaries = read_summaries(folder)
    texts = (
        {summary.name: _texts(summary.featured.results[0], Path(runs)) for summary in summaries} if with_text else {}
    )
    sections = report_sections(summaries, texts)
    title = folder.resolve().name
    name = "report-with-text" if with_text else "report"
    written = []
    for suffix, make in ((".html", html), (".md", markdown)):
        path = folder / f"{name}{suffix}"
        with files.atomic(path) as partial:
            partial.write_text(make(title, experiment.question, sections), encoding="utf-8")
        written.append(path)
    return written


def _texts(result: Any, runs: Path) -> dict[tuple[int, str], str]:
    """Return {(part, doc_id): text} of the test documents of a result, from the chunk stages that it was made from."""
    from hierdoc.sequences.reading import read_texts
    from hierdoc.stages.finished import read_stage

    found = {}
    for number, part in enumerate(result.facts["parts"]):
        place = runs / result.facts["dataset"] / Path(part["split"]).stem
        for run in sorted(path.parent.parent for path in place.glob("chunk-*/chunk/manifest.json")):
            stage = read_stage(run, "chunk")
            if stage.fingerprint == part["fingerprints"]["chunk"]:
                read = read_texts(stage, "test")
                found |= {(number, doc_id): text for doc_id, text in zip(read.doc_ids, read.texts, strict=True)}
                break
        else:
            raise HierdocError(
                f"{place}: holds no chunk stage that {result.path.name} was made from; name it with --runs"
            )
    return found


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "report",
        "Write an experiment's report.html and report.md from its results.",
        "python -m hierdoc.report experiments/010-heads",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the experiment's, with config.yaml and results")
    parser.add_argument(
        "--with-text",
        action="store_true",
        help="show the beginnings of wrongly labelled documents, in report-with-text.html and .md: not to be passed on",
    )
    parser.add_argument("--runs", default="build/runs", metavar="DIR", help="where the stages are, for --with-text")
    parser.set_defaults(function=write_report, describe=describe)
    return parser


def describe(written: Sequence[Path]) -> str:
    """Return the line that says what was made."""
    return f"{' and '.join(str(path) for path in written)}: written"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
