"""Stage directories that are finished (see store.py): read only when whole, else refused with the command that makes them."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierdoc.errors import HierdocError
from hierdoc.stages.files import check_unicode, read_object, sha256_of

SCHEMA_VERSION = 2
OWN = "own"  # what answers by somebody's own code are called
MANIFEST, STARTED, TIMINGS = "manifest.json", "started.json", "timings.json"


@dataclass(frozen=True)
class FinishedStage:
    """A stage directory whose files are all there, byte for byte.

    Attributes:
        path: the directory.
        manifest: `stage`, `schema_version`, `parameters`, `parents` (their fingerprints), `files` (sha256, bytes),
            `details` (what the stage found out), `versions`, `fingerprint`.
    """

    path: Path
    manifest: dict[str, Any]

    @property
    def fingerprint(self) -> str:
        return self.manifest["fingerprint"]

    @property
    def parameters(self) -> dict[str, Any]:
        return self.manifest["parameters"]

    @property
    def details(self) -> dict[str, Any]:
        return self.manifest["details"]

    def files(self, prefix: str) -> list[Path]:
        """Return the stage's files whose names start with `prefix`, by name."""
        return [self.path / name for name in sorted(self.manifest["files"]) if name.startswith(prefix)]


def is_begun(path: Path) -> bool:
    """Return whether a directory is a stage's, finished or not."""
    return (path / MANIFEST).exists() or (path / STARTED).exists()


def is_finished(run: str | os.PathLike[str], name: str) -> bool:
    """Return whether the stage `name` of `run` has a manifest, of whatever parameters.

    Raises:
        HierdocError: `run` is a file, or not Unicode.
    """
    check_run(Path(run))
    return (Path(run) / name / MANIFEST).exists()


def read_stage(run: str | os.PathLike[str], name: str) -> FinishedStage:
    """Return a finished stage after checking each of its files against the manifest.

    Args:
        run: the run directory.
        name: the stage's directory under it.

    Raises:
        HierdocError: `run` is not Unicode, a file or not there; the stage is missing or unfinished, was written by an older or newer hierdoc, or a file is missing or has
            changed. The message gives the command that makes it.
    """
    check_run(Path(run))
    if not Path(run).exists():
        raise HierdocError(f"{run}: no such run directory; one begins with: {command_for(run, 'chunk')}")
    path = Path(run) / name
    make = command_for(run, name)
    if not (path / MANIFEST).exists():
        state = "is not finished" if (path / STARTED).exists() else "is missing"
        raise HierdocError(f"{path}: this stage {state}; make it with: {make}")
    manifest = read_object(path / MANIFEST)
    if "schema_version" not in manifest:
        raise HierdocError(f"{path / MANIFEST}: is not a manifest; make it again with: {make} --overwrite")
    if manifest["schema_version"] != SCHEMA_VERSION:
        raise HierdocError(f"{path}: {_other_schema(manifest['schema_version'], run)}")
    content = {key: value for key, value in manifest.items() if key not in ("fingerprint", "versions")}
    if manifest.get("fingerprint") != fingerprint_of(content):
        raise HierdocError(
            f"{path / MANIFEST}: has changed since it was written; make it again with: {make} --overwrite"
        )
    for file, facts in manifest["files"].items():
        if not (path / file).exists() or sha256_of(path / file) != facts["sha256"]:
            trouble = "has changed since it was written" if (path / file).exists() else "is missing"
            raise HierdocError(f"{path / file}: {trouble}; make it again with: {make} --overwrite")
    return FinishedStage(path, manifest)


def check_common_ancestry(run: Path, parents: Mapping[str, FinishedStage]) -> None:
    """Check that each parent was made from the other parents as they are now.

    Raises:
        HierdocError: one of them was not.
    """
    for name, stage in parents.items():
        for ancestor, fingerprint in stage.manifest["parents"].items():
            if ancestor in parents and parents[ancestor].fingerprint != fingerprint:
                raise HierdocError(
                    f"{stage.path}: was made from another {ancestor} than the one in {run} now; make {name} again with --overwrite"
                )


def command_for(run: str | os.PathLike[str], name: str) -> str:
    """Return the command line that makes the stage `name` of `run`; what answers without a head of `run` is a baseline."""
    room, _, rest = name.partition("/")
    answerer = rest.removesuffix("-dev") if room == "evaluate" else rest
    if room == "evaluate" and answerer == OWN:
        return "python -m hierdoc.experiment FOLDER"
    command = "train_lstm" if name == "heads/lstm" else "train_head" if room == "heads" else room
    words = ["python", "-m", f"hierdoc.{command}", *(["DATA"] if room == "chunk" else []), str(run)]
    if room == "tokens":
        words[2:] = ["hierdoc.embed", str(run), "--level", "token"]
    if answerer and name != "heads/lstm":
        is_head = room == "heads" or answerer == "lstm" or Path(run, "heads", answerer).exists()
        words += ["--head" if is_head else "--baseline", answerer]
    words += ["--split", "dev"] if answerer != rest else []
    return shlex.join(words)


def fingerprint_of(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a manifest's content: of all of it but `fingerprint` and `versions`."""
    text = json.dumps(content, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def check_run(run: Path) -> None:
    """Check that a run directory can be at `run`, whether or not there is one yet.

    Raises:
        HierdocError: `run` is a file, or not Unicode.
    """
    check_unicode(run)
    if run.exists() and not run.is_dir():
        raise HierdocError(f"{run}: the run directory must not be a file")


def _other_schema(version: Any, run: str | os.PathLike[str]) -> str:
    if isinstance(version, int) and version < SCHEMA_VERSION:
        begin_again = f"{command_for(run, 'chunk')} --overwrite"
        return (
            f"written by an older hierdoc (schema version {version}, this one reads {SCHEMA_VERSION}); begin again with: "
            f"{begin_again}, then the stages after it"
        )
    return f"written by a newer hierdoc (schema version {version}, this one reads {SCHEMA_VERSION}); update hierdoc"
