"""Stage directories under a run directory: written piece by piece, and finished by a manifest.

A stage directory is finished when it holds `manifest.json`, which is written last, by atomic rename. Until then
`started.json` says what is being made, so that the same command goes on from the pieces that are there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierdoc.errors import HierdocError, HierdocFailure
from hierdoc.progress import say, warn
from hierdoc.stages import provenance
from hierdoc.stages.files import PARTIAL, lock, read_object, sha256_of, write_json
from hierdoc.stages.finished import (
    MANIFEST,
    OWN,
    SCHEMA_VERSION,
    STARTED,
    TIMINGS,
    FinishedStage,
    check_common_ancestry,
    check_run,
    command_for,
    fingerprint_of,
    is_begun,
    read_stage,
)

CHECKPOINT = "checkpoint.npz"
_NONE = object()  # where there is no value, not even null
SCRATCH = "scratch.bin"  # what is worth keeping over an interruption, and no longer


class OpenStage:
    """A stage directory that is being written.

    Attributes:
        path: the directory.
    """

    def __init__(self, path: Path, name: str, parameters: dict[str, Any], parents: dict[str, str], held: Any):
        self.path, self.name = path, name
        self._parameters, self._parents = parameters, parents
        self._lock = held
        self._began, self._began_cpu = time.monotonic(), provenance.cpu_seconds()
        self._earlier = _earlier_timings(path / TIMINGS)

    def note_time(self, timings: Mapping[str, float] | None = None) -> None:
        """Write timings.json as it is by now: together with earlier, interrupted runs, as far as their work was kept.

        Raises:
            HierdocFailure: the directory is another process's by now.
        """
        self._check_ours()
        cpu_seconds = provenance.cpu_seconds() - self._began_cpu
        own = {
            "seconds": round(self._earlier.get("seconds", 0) + time.monotonic() - self._began, 3),
            "cpu_seconds": round(self._earlier.get("cpu_seconds", 0) + cpu_seconds, 3),
            "peak_memory_mib": round(max(self._earlier.get("peak_memory_mib", 0), provenance.peak_memory_mib()), 1),
            "num_processes": self._earlier.get("num_processes", 0) + 1,
            "num_cores": provenance.num_cores(),
        }
        write_json(self.path / TIMINGS, {**own, **(timings or {})})

    def _check_ours(self) -> None:
        lock_file = Path(self._lock.name)
        if lock_file.exists() and not os.path.samestat(lock_file.stat(), os.fstat(self._lock.fileno())):
            raise HierdocFailure(f"{self.path}: was removed, and another process has begun it again")

    def finish(self, details: Mapping[str, Any], timings: Mapping[str, float] | None = None) -> FinishedStage:
        """Hash the files, write timings.json and, last, the manifest; return the finished stage.

        Raises:
            HierdocFailure: as `note_time`.
        """
        own_files = (MANIFEST, STARTED, TIMINGS, CHECKPOINT, SCRATCH)
        names = sorted(
            entry.name
            for entry in self.path.iterdir()
            if entry.is_file() and entry.name not in own_files and entry.suffix != PARTIAL
        )
        manifest: dict[str, Any] = {
            "stage": self.name,
            "schema_version": SCHEMA_VERSION,
            "parameters": self._parameters,
            "parents": self._parents,
            "files": {
                name: {"sha256": sha256_of(self.path / name), "bytes": (self.path / name).stat().st_size}
                for name in names
            },
            "details": dict(details),
        }
        manifest["fingerprint"] = fingerprint_of(manifest)
        manifest["versions"] = provenance.versions_and_commit()
        self.note_time(timings)
        write_json(self.path / MANIFEST, manifest)
        _clear_up(self.path)
        self._lock.close()
        return FinishedStage(self.path, manifest)


def begin(
    run: str | os.PathLike[str],
    name: str,
    parameters: Mapping[str, Any],
    parents: Mapping[str, FinishedStage],
    overwrite: bool = False,
    earlier: Mapping[str, Any] | None = None,
) -> OpenStage | FinishedStage:
    """Return the stage to write; or, when it is finished with the same parameters and parents, the finished stage.

    Args:
        run: the run directory; made when it is missing.
        name: the stage's directory under it, such as "embed" or "heads/lstm".
        parameters: all that decides the stage's content, as JSON values.
        parents: the finished stages that it is made from.
        overwrite: remove what is there and begin anew.
        earlier: parameters that earlier versions did not have, with the values that do what those did.

    Raises:
        HierdocError: `run` is a file, or not Unicode; the stage is finished with other parameters or from other parents; the directory
            holds files of another origin; two parents come from different runs of their common parent.
    """
    run = Path(run)
    check_run(run)
    wanted = json.loads(json.dumps(dict(parameters)))
    fingerprints = {parent: stage.fingerprint for parent, stage in parents.items()}
    check_common_ancestry(run, parents)
    path = run / name
    ours = _check_ours(path)
    if not overwrite and (path / MANIFEST).exists():
        return _finished_before(run, name, wanted, fingerprints, earlier or {})
    with contextlib.ExitStack() as until_handed_over:
        held = until_handed_over.enter_context(lock(path))
        if overwrite and ours:
            _remove(path)
        if (path / MANIFEST).exists():  # another process has finished it before the lock was free
            return _finished_before(run, name, wanted, fingerprints, earlier or {})
        _keep_or_remove(path, started := _what_is_made(wanted, fingerprints))
        path.mkdir(parents=True, exist_ok=True)
        _remove_partials(path)
        write_json(path / STARTED, started)
        stage = OpenStage(path, name, wanted, fingerprints, held)
        until_handed_over.pop_all()
        return stage


def discard(run: str | os.PathLike[str], name: str) -> bool:
    """Remove the stage `name` of `run`, finished or not, if it is there; return whether it was.

    Raises:
        HierdocFailure: another process is writing it.
    """
    path = Path(run) / name
    is_there = is_begun(path)
    if is_there:
        with lock(path):
            _remove(path)
    return is_there


def copy(stage: FinishedStage, run: str | os.PathLike[str]) -> None:
    """Copy a finished stage into another run directory, whole or not at all, in the place of one that was not finished.

    Raises:
        HierdocError: as `begin`.
    """
    check_run(Path(run))
    path = Path(run) / stage.manifest["stage"]
    _check_ours(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}{PARTIAL}")
    with lock(path):
        shutil.rmtree(partial, ignore_errors=True)  # what a killed process has left
        shutil.copytree(stage.path, partial)
        if (path / STARTED).exists():
            _remove(path)
        if path.exists():
            path.rmdir()
        partial.rename(path)


def _check_ours(path: Path) -> bool:
    """Check that a stage may be written into a directory, which is not there, empty, or a stage's; return whether it is that."""
    if path.exists() and not path.is_dir():
        raise HierdocError(f"{path}: must be a directory for the stage, but is a file instead")
    ours = is_begun(path)
    if path.exists() and not ours and any(entry.suffix != PARTIAL for entry in path.iterdir()):
        raise HierdocError(f"{path}: holds files that are not of a stage; move them or choose another run directory")
    return ours


def _earlier_timings(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    try:
        timings = read_object(path)
        if not all(isinstance(value, (int, float)) for value in timings.values()):
            raise HierdocError(f"{path}: must hold numbers, but does not")
    except HierdocError as error:
        warn(f"{error}; what earlier runs took is not counted")
        return {}
    return timings


def _finished_before(
    run: Path, name: str, parameters: dict[str, Any], parents: dict[str, str], earlier: Mapping[str, Any]
) -> FinishedStage:
    finished = read_stage(run, name)
    _check_same(finished, run, parameters, parents, earlier)
    _clear_up(finished.path)
    say(f"{finished.path}: already finished with these parameters; nothing to do")
    return finished


def _what_is_made(parameters: dict[str, Any], parents: dict[str, str]) -> dict[str, Any]:
    return {
        "parameters": parameters,
        "parents": parents,
        "schema_version": SCHEMA_VERSION,
        "versions": provenance.package_versions(),
        "code_sha256": provenance.code_sha256(),  # not the commit, which changes with files that are no code
    }


def _keep_or_remove(path: Path, started: dict[str, Any]) -> None:
    """Keep the unfinished work at `path` if it is of what is to be `started`, else remove it; say which."""
    if not (path / STARTED).exists():
        return
    try:
        before = read_object(path / STARTED)
    except HierdocError as error:
        say(f"{error}; nobody knows what the unfinished work is of, and it is removed")
        _remove(path)
        return
    if before == started:
        say(f"{path}: an earlier run did not finish this stage; this one goes on from what that has kept")
        return
    of_code = {"versions": None, "code_sha256": None}
    others = (
        "made by another version of the code"
        if {**before, **of_code} == {**started, **of_code}
        else "with other parameters"
    )
    say(f"{path}: unfinished work {others} is removed")
    _remove(path)


def _check_same(
    finished: FinishedStage, run: Path, wanted: dict[str, Any], parents: dict[str, str], earlier: Mapping[str, Any]
) -> None:
    stage = finished.manifest["stage"]
    again = f"{command_for(run, stage)} --overwrite, with its other arguments, makes it again"
    if stage.removesuffix("-dev") == f"evaluate/{OWN}":  # by an experiment, whose folder nobody knows here
        again = "remove it, and it is made again"
    found = {**earlier, **finished.parameters}
    for key in sorted(wanted.keys() | found.keys()):
        before, now = found.get(key), wanted.get(key)
        if before != now:
            if isinstance(before, dict) and isinstance(now, dict):
                part = next(name for name in sorted({*before, *now}) if before.get(name, _NONE) != now.get(name, _NONE))
                key, before, now = f"{key}.{part}", before.get(part), now.get(part)
            raise HierdocError(
                f"{finished.path}: already finished with `{key}` {_short(before)}, not {_short(now)}; {again}"
            )
    for parent, fingerprint in parents.items():
        if finished.manifest["parents"].get(parent) != fingerprint:
            raise HierdocError(f"{finished.path}: was made from another {parent}; {again}")


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"


def _clear_up(path: Path) -> None:
    """Remove what a finished stage has no use for: what an interruption has left, the checkpoint, what was begun."""
    _remove_partials(path)
    for name in (
        CHECKPOINT,
        SCRATCH,
        STARTED,
    ):  # in this order: without the last, the directory is no unfinished stage's
        (path / name).unlink(missing_ok=True)


def _remove_partials(path: Path) -> None:
    for partial in path.glob(f"*{PARTIAL}"):
        partial.unlink()


def _remove(path: Path) -> None:
    """Empty the stage's directory, which may be a link; until all else is gone, it says that it is a stage's."""
    if not path.is_dir():
        return
    write_json(path / STARTED, {"removing": True})
    (path / MANIFEST).unlink(missing_ok=True)
    for entry in path.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        elif entry.name != STARTED:
            entry.unlink()
    (path / STARTED).unlink()
