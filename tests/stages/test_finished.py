"""A finished stage is read back as it was written, or refused with what is wrong with it and what makes it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from hierdoc.stages.finished import MANIFEST, FinishedStage, command_for, read_stage
from hierdoc.stages.store import begin
from tests.stages.stages_by_hand import PARAMETERS, make, refusal


def test_a_finished_stage_is_read_back_with_its_files_and_facts(tmp_path: Path):
    made = make(tmp_path / "run")
    stage = read_stage(tmp_path / "run", "chunk")
    assert stage == made and stage.path == tmp_path / "run" / "chunk"
    assert sorted(path.name for path in stage.path.iterdir()) == [
        "a-00000.parquet",
        "b.json",
        "manifest.json",
        "timings.json",
    ]
    manifest = json.loads((stage.path / "manifest.json").read_text(encoding="utf-8"))
    assert stage.manifest == manifest
    assert manifest["files"] == {
        "a-00000.parquet": {"sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", "bytes": 3},
        "b.json": {"sha256": hashlib.sha256(b"{}").hexdigest(), "bytes": 2},
    }
    assert (manifest["stage"], manifest["schema_version"], manifest["parents"]) == ("chunk", 2, {})
    assert stage.parameters == PARAMETERS and stage.details == {"labels": ["é", "b"]}
    assert stage.fingerprint == manifest["fingerprint"] and len(stage.fingerprint) == 64
    assert {"python", "numpy", "pyarrow"} <= manifest["versions"].keys()
    timings = json.loads((stage.path / "timings.json").read_text())
    assert timings["chunks_per_second"] == 3.5 and timings["seconds"] >= 0 and timings["peak_memory_mib"] > 1


def test_files_are_listed_by_prefix_in_order_of_name(tmp_path: Path):
    stage = begin(tmp_path, "embed", {}, {})
    for name in ("v-00002", "v-00000", "w-1", "v-00001"):
        (stage.path / name).write_bytes(b"")
    finished = stage.finish({})
    assert finished.files("v-") == [tmp_path / "embed" / f"v-0000{n}" for n in range(3)]
    assert finished.files("w") == [tmp_path / "embed" / "w-1"] and finished.files("none") == []


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("chunk", "python -m hierdoc.chunk DATA {run}"),
        ("finetune", "python -m hierdoc.finetune {run}"),
        ("embed", "python -m hierdoc.embed {run}"),
        ("heads/lstm", "python -m hierdoc.train_lstm {run}"),
        ("tokens", "python -m hierdoc.embed {run} --level token"),
        ("evaluate/lstm", "python -m hierdoc.evaluate {run} --head lstm"),
        ("evaluate/lstm-dev", "python -m hierdoc.evaluate {run} --head lstm --split dev"),
        ("heads/mean", "python -m hierdoc.train_head {run} --head mean"),
        ("evaluate/mean-dev", "python -m hierdoc.evaluate {run} --baseline mean --split dev"),
        ("evaluate/own", "python -m hierdoc.experiment FOLDER"),
        ("evaluate/own-dev", "python -m hierdoc.experiment FOLDER"),
    ],
)
def test_a_missing_or_unfinished_stage_gives_the_command_that_makes_it(name: str, command: str, tmp_path: Path):
    command = command.format(run=tmp_path)
    assert refusal(read_stage, tmp_path, name) == f"{tmp_path / name}: this stage is missing; make it with: {command}"
    begin(tmp_path, name, {}, {})
    assert (
        refusal(read_stage, tmp_path, name) == f"{tmp_path / name}: this stage is not finished; make it with: {command}"
    )


def test_what_has_a_head_in_the_run_is_evaluated_as_one(tmp_path: Path):
    (tmp_path / "heads/mean").mkdir(parents=True)
    assert command_for(tmp_path, "evaluate/mean") == f"python -m hierdoc.evaluate {tmp_path} --head mean"
    assert command_for(tmp_path, "evaluate/vote") == f"python -m hierdoc.evaluate {tmp_path} --baseline vote"


def test_the_command_that_is_named_can_be_copied_when_the_run_has_a_space_in_its_name(tmp_path: Path):
    (tmp_path / "my run").mkdir()
    wanted = f"make it with: python -m hierdoc.embed '{tmp_path / 'my run'}'"
    assert refusal(read_stage, tmp_path / "my run", "embed").endswith(wanted)


@pytest.mark.parametrize("name", ["heads/lstm", "heads/another", "evaluate/lstm", "embed", "tokens"])
def test_the_command_that_is_named_exists(name: str):
    from hierdoc.cli import COMMANDS

    assert command_for("runs/x", name).split()[2].removeprefix("hierdoc.") in COMMANDS


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"abd"), "has changed since it was written"),
        (lambda path: path.write_bytes(b"ab"), "has changed since it was written"),
        (lambda path: path.write_bytes(b""), "has changed since it was written"),
        (lambda path: path.write_bytes(b"abc\n"), "has changed since it was written"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["flipped", "truncated", "emptied", "longer", "missing"],
)
def test_a_damaged_file_is_named_with_the_command_that_makes_it_again(damage, message: str, tmp_path: Path):
    path = make(tmp_path).path / "a-00000.parquet"
    damage(path)
    expected = f"{path}: {message}; make it again with: python -m hierdoc.chunk DATA {tmp_path} --overwrite"
    assert refusal(read_stage, tmp_path, "chunk") == expected
    assert refusal(begin, tmp_path, "chunk", PARAMETERS, {}) == expected


def with_schema(run: Path, version: int, name: str = "chunk") -> Path:
    """The directory of a finished stage whose manifest claims another schema version."""
    path = make(run, name).path / "manifest.json"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('"schema_version": 2', f'"schema_version": {version}'), encoding="utf-8")
    return path.parent


def test_a_newer_schema_is_refused_with_the_advice_to_update(tmp_path: Path):
    path = with_schema(tmp_path, 3)
    expected = f"{path}: written by a newer hierdoc (schema version 3, this one reads 2); update hierdoc"
    assert refusal(read_stage, tmp_path, "chunk") == refusal(begin, tmp_path, "chunk", PARAMETERS, {}) == expected


@pytest.mark.parametrize("name", ["chunk", "embed"])
def test_an_older_schema_is_refused_with_the_command_to_begin_again(name: str, tmp_path: Path):
    path = with_schema(tmp_path, 1, name)
    assert refusal(read_stage, tmp_path, name) == (
        f"{path}: written by an older hierdoc (schema version 1, this one reads 2); begin again with: "
        f"python -m hierdoc.chunk DATA {tmp_path} --overwrite, then the stages after it"
    )
    assert not isinstance(begin(tmp_path, name, PARAMETERS, {}, overwrite=True), FinishedStage)


@pytest.mark.parametrize("content", [b"", b"{", b'{"stage": "chunk",', b"\xff\xfe"])
def test_a_broken_manifest_is_named(content: bytes, tmp_path: Path):
    path = make(tmp_path).path / "manifest.json"
    path.write_bytes(content)
    assert refusal(read_stage, tmp_path, "chunk").startswith(f"{path}: is not JSON")


def test_an_edited_manifest_is_refused(tmp_path: Path):
    make(tmp_path)
    manifest = json.loads((tmp_path / "chunk" / MANIFEST).read_text())
    manifest["details"] = {"labels": ["b", "a"]}
    (tmp_path / "chunk" / MANIFEST).write_text(json.dumps(manifest))
    assert "manifest.json: has changed since it was written; make it again with" in refusal(
        read_stage, tmp_path, "chunk"
    )
    (tmp_path / "chunk" / MANIFEST).write_text("[]")
    assert "manifest.json: must be a JSON object" in refusal(read_stage, tmp_path, "chunk")


def test_a_run_that_is_not_there_or_a_file_is_told_as_such(tmp_path: Path):
    assert refusal(read_stage, tmp_path / "nope", "chunk") == (
        f"{tmp_path / 'nope'}: no such run directory; one begins with: python -m hierdoc.chunk DATA {tmp_path / 'nope'}"
    )
    (tmp_path / "data.csv").write_text("a,b\n")
    said = refusal(read_stage, tmp_path / "data.csv", "heads/lstm")
    assert said == f"{tmp_path / 'data.csv'}: the run directory must not be a file"
