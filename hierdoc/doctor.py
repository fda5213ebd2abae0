"""python -m hierdoc.doctor: say why a model sits at chance, with the evidence and the mend.

python -m hierdoc.doctor runs/complaints
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from json import dumps
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from hierdoc import cli
from hierdoc.errors import HierdocError
from hierdoc.stages.files import check_unicode

if TYPE_CHECKING:
    from hierdoc.diagnosis.diagnosing import Diagnosis


def examine(path: str | PathLike[str]) -> Diagnosis:
    """Return what the doctor finds in a run, in a trace, or in a folder of traces; nothing is written.

    A run is examined as far as its stages go; an unfinished training by its history, and by its trace where it left one.

    Args:
        path: a run directory, a folder with trace.json, or a folder that holds such folders.

    Raises:
        HierdocError: there is neither; a file is damaged; the run has no finished chunk stage.
    """
    from hierdoc.diagnosis.diagnosing import diagnose
    from hierdoc.diagnosis.reading_runs import is_run, read_run
    from hierdoc.diagnosis.reading_traces import holds_traces, read_set

    check_unicode(path)
    folder = Path(path)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise HierdocError(f"{folder}: must be a run directory or a folder with a trace, but {what}")
    if is_run(folder):
        return diagnose(str(folder), read_run(folder))
    if holds_traces(folder):
        return diagnose(str(folder), read_set(folder))
    raise HierdocError(f"{folder}: holds neither a stage of a run nor a trace (trace.json)")


def tell(path: str | PathLike[str], json: bool = False) -> str:
    """Return what `examine` finds as text of 80 columns, or as JSON.

    Raises:
        HierdocError: as `examine`.
    """
    from hierdoc.diagnosis.diagnosing import as_json
    from hierdoc.reporting.diagnoses import diagnosis_text

    found = as_json(examine(path))
    return dumps(found, indent=1, ensure_ascii=False, allow_nan=False) if json else diagnosis_text(found)


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "doctor",
        "Say why a model sits at chance, with the evidence and the mend.",
        "python -m hierdoc.doctor runs/complaints",
    )
    parser.add_argument("path", metavar="RUN|TRACE", help="a run directory, a trace, or a folder of traces")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(function=tell, describe=str)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes. What is found does not change them."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
