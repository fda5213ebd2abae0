"""A stage is finished whole or not at all, and goes on where it stopped."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hierdoc.errors import HierdocFailure
from hierdoc.stages import files, provenance, store
from hierdoc.stages.finished import STARTED, FinishedStage, read_stage
from hierdoc.stages.store import OpenStage, begin
from tests.stages.stages_by_hand import PARAMETERS, make, refusal


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_parameters_again_change_nothing_and_it_is_said(tmp_path: Path, capsys):
    made = make(tmp_path)
    before = state_of(tmp_path)
    parameters = json.loads(json.dumps(PARAMETERS))
    stage = begin(tmp_path, "chunk", dict(reversed(parameters.items())), {})
    assert stage == made and state_of(tmp_path) == before
    assert capsys.readouterr().err == f"{tmp_path / 'chunk'}: already finished with these parameters; nothing to do\n"


def test_parameters_are_compared_as_json_values(tmp_path: Path):
    first = begin(tmp_path, "chunk", {"split": (0.8, 0.2)}, {})
    first.finish({})
    assert isinstance(begin(tmp_path, "chunk", {"split": [0.8, 0.2]}, {}), FinishedStage)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"chunk_size": 100}, "already finished with `chunk_size` 200, not 100; {again}"),
        ({"columns": {"text": "body", "id": None}}, 'already finished with `columns.text` "text", not "body"; {again}'),
        ({"young": 1}, "already finished with `young` null, not 1; {again}"),
        ({"overlap": None}, "already finished with `overlap` 0, not null; {again}"),
    ],
)  # fmt: skip
def test_other_parameters_are_refused_by_name(changes: dict, message: str, tmp_path: Path):
    make(tmp_path)
    before = state_of(tmp_path)
    again = f"python -m hierdoc.chunk DATA {tmp_path} --overwrite, with its other arguments, makes it again"
    said = refusal(begin, tmp_path, "chunk", {**PARAMETERS, **changes}, {})
    assert said == f"{tmp_path / 'chunk'}: {message.format(again=again)}"
    assert state_of(tmp_path) == before


def test_a_parameter_that_is_no_longer_given_is_refused_by_name(tmp_path: Path):
    make(tmp_path, gone=3)
    assert "`gone` 3, not null" in refusal(begin, tmp_path, "chunk", PARAMETERS, {})


def test_overwrite_begins_anew_without_the_old_files(tmp_path: Path):
    make(tmp_path)
    stage = begin(tmp_path, "chunk", {"chunk_size": 100}, {}, overwrite=True)
    assert isinstance(stage, OpenStage)
    assert [path.name for path in stage.path.iterdir()] == ["started.json"]
    assert stage.finish({}).manifest["files"] == {}


def test_overwrite_of_a_stage_that_is_not_there_just_begins(tmp_path: Path):
    assert isinstance(begin(tmp_path / "new" / "run", "heads/lstm", {}, {}, overwrite=True), OpenStage)


def test_an_unfinished_stage_goes_on_from_its_pieces(tmp_path: Path, capsys):
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    (stage.path / "vectors-00000.parquet").write_bytes(b"piece")
    again = begin(tmp_path, "embed", PARAMETERS, {})
    assert isinstance(again, OpenStage)
    assert (again.path / "vectors-00000.parquet").read_bytes() == b"piece"
    assert (
        capsys.readouterr().err
        == f"{tmp_path / 'embed'}: an earlier run did not finish this stage; this one goes on from what that has kept\n"
    )
    assert list(again.finish({}).manifest["files"]) == ["vectors-00000.parquet"]


@pytest.mark.parametrize("changed", ["package_versions", "code_sha256"])
def test_unfinished_work_of_another_version_of_the_code_is_removed(changed: str, tmp_path: Path, monkeypatch, capsys):
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    (stage.path / "vectors-00000.parquet").write_bytes(b"piece")
    monkeypatch.setattr(provenance, changed, lambda: "other")
    again = begin(tmp_path, "embed", PARAMETERS, {})
    assert [path.name for path in again.path.iterdir()] == ["started.json"]
    wanted = f"{tmp_path / 'embed'}: unfinished work made by another version of the code is removed\n"
    assert capsys.readouterr().err == wanted


def test_the_hash_of_the_code_is_that_of_the_package_wherever_it_lies(tmp_path: Path):
    root = Path(store.__file__).parents[1]
    shutil.copytree(root, tmp_path / "hierdoc", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from hierdoc.stages import provenance; print(provenance.code_sha256())"

    def in_copy() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        return done.stdout.strip()

    assert in_copy() == provenance.code_sha256()
    with (tmp_path / "hierdoc/chunking/windows.py").open("a") as file:
        file.write("# other\n")
    assert len(in_copy()) == 64 and in_copy() != provenance.code_sha256()


def test_seconds_are_summed_and_memory_is_the_most_over_interrupted_runs(tmp_path: Path, monkeypatch):
    now, cpu, memory = [100.0], [30.0], [50.0]
    monkeypatch.setattr(store.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(provenance, "cpu_seconds", lambda: cpu[0])
    monkeypatch.setattr(provenance, "peak_memory_mib", lambda: memory[0])
    monkeypatch.setattr(provenance, "num_cores", lambda: 3)
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    now[0] += 7
    cpu[0] += 13
    stage.note_time()
    now[0] += 1000  # what comes after is lost with the process
    cpu[0], memory[0] = 5.0, 20.0  # another process's
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    now[0] += 2
    cpu[0] += 3
    stage.finish({}, {"rate": 1.5})
    timings = json.loads((stage.path / "timings.json").read_text())
    assert timings == {
        "seconds": 9.0, "cpu_seconds": 16.0, "peak_memory_mib": 50.0, "num_processes": 2, "num_cores": 3, "rate": 1.5,
    }  # fmt: skip


@pytest.mark.parametrize("content", ["", "{", "[]", '{"seconds": "long"}'])
def test_damaged_timings_do_not_keep_a_stage_from_going_on(content: str, tmp_path: Path, capsys):
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    (stage.path / "vectors-00000.parquet").write_bytes(b"piece")
    (stage.path / "timings.json").write_text(content)
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    assert "timings.json: " in capsys.readouterr().err
    assert list(stage.finish({}).manifest["files"]) == ["vectors-00000.parquet"]
    assert json.loads((stage.path / "timings.json").read_text())["num_processes"] == 1


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_unfinished_work_that_nobody_knows_of_is_removed_aloud(content: str, tmp_path: Path, capsys):
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    (stage.path / "vectors-00000.parquet").write_bytes(b"piece")
    (stage.path / "started.json").write_text(content)
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    assert [path.name for path in stage.path.iterdir()] == ["started.json"]
    error = capsys.readouterr().err
    assert error.startswith(f"{stage.path / 'started.json'}: ") and error.endswith("is removed\n")


def test_a_finished_stage_keeps_no_checkpoint_even_when_it_was_stopped_while_clearing_up(tmp_path: Path):
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    (stage.path / store.CHECKPOINT).write_bytes(b"standing")
    started = (stage.path / "started.json").read_bytes()
    finished = stage.finish({})
    assert "checkpoint.npz" not in finished.manifest["files"]
    assert sorted(path.name for path in stage.path.iterdir()) == ["manifest.json", "timings.json"]
    (stage.path / store.CHECKPOINT).write_bytes(b"standing")
    (stage.path / "started.json").write_bytes(started)
    assert begin(tmp_path, "embed", PARAMETERS, {}).fingerprint == finished.fingerprint
    assert sorted(path.name for path in stage.path.iterdir()) == ["manifest.json", "timings.json"]


def test_a_stage_that_was_stopped_while_it_began_can_begin(tmp_path: Path):
    folder = tmp_path / "embed"
    folder.mkdir()
    (folder / "started.json.partial").write_bytes(b"{")  # and other half-made files
    (folder / "vectors-00000.parquet.partial").write_bytes(b"half")
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    (stage.path / "vectors-00000.parquet").write_bytes(b"whole")
    assert list(stage.finish({}).manifest["files"]) == ["vectors-00000.parquet"]
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["manifest.json", "timings.json", "vectors-00000.parquet"]


def test_a_resumed_stage_has_the_fingerprint_of_an_uninterrupted_one(tmp_path: Path):
    begin(tmp_path / "one", "chunk", PARAMETERS, {})
    assert make(tmp_path / "one").fingerprint == make(tmp_path / "two").fingerprint


@pytest.mark.parametrize("other", ["parameters", "parents"])
def test_unfinished_work_with_other_parameters_or_parents_is_removed(other: str, tmp_path: Path, capsys):
    first, second = make(tmp_path / "x"), make(tmp_path / "y", content=b"other")
    stage = begin(tmp_path, "embed", PARAMETERS, {"chunk": first})
    (stage.path / "vectors-00000.parquet").write_bytes(b"piece")
    parameters = {**PARAMETERS, "overlap": 1} if other == "parameters" else PARAMETERS
    again = begin(tmp_path, "embed", parameters, {"chunk": second if other == "parents" else first})
    assert [path.name for path in again.path.iterdir()] == ["started.json"]
    assert "unfinished work with other parameters is removed" in capsys.readouterr().err


def test_files_of_another_origin_are_refused_and_kept(tmp_path: Path):
    (tmp_path / "chunk").mkdir()
    (tmp_path / "chunk" / "thesis.doc").write_bytes(b"mine")
    message = refusal(begin, tmp_path, "chunk", PARAMETERS, {})
    assert message.startswith(f"{tmp_path / 'chunk'}: holds files that are not of a stage")
    assert message == refusal(begin, tmp_path, "chunk", PARAMETERS, {}, overwrite=True)
    assert [path.name for path in (tmp_path / "chunk").iterdir()] == ["thesis.doc"]


def test_an_empty_directory_is_taken(tmp_path: Path):
    (tmp_path / "chunk").mkdir()
    assert isinstance(begin(tmp_path, "chunk", PARAMETERS, {}), OpenStage)


def test_a_run_that_is_a_file_is_refused(tmp_path: Path):
    run = tmp_path / "data.csv"
    run.write_text("id,text\n")
    assert refusal(begin, run, "chunk", {}, {}) == f"{run}: the run directory must not be a file"
    assert refusal(begin, run, "chunk", {}, {}, overwrite=True) == f"{run}: the run directory must not be a file"
    assert run.read_text() == "id,text\n"


def test_a_run_whose_name_is_not_unicode_is_refused_before_anything_is_made(tmp_path: Path):
    run = Path(os.fsdecode(os.fsencode(tmp_path / "run") + b"\xff"))
    wanted = f"{str(run)!r}: must be Unicode, but has other bytes in its name"
    assert refusal(begin, run, "chunk", {}, {}) == refusal(read_stage, run, "chunk") == wanted
    assert list(tmp_path.iterdir()) == []


def test_a_stage_made_from_another_parent_is_refused(tmp_path: Path):
    old = make(tmp_path)
    make(tmp_path, "embed", parents={"chunk": old})
    new = make(tmp_path, content=b"other", overwrite=True)
    assert new.fingerprint != old.fingerprint
    message = refusal(begin, tmp_path, "embed", PARAMETERS, {"chunk": new})
    assert (
        message
        == f"{tmp_path / 'embed'}: was made from another chunk; python -m hierdoc.embed {tmp_path} --overwrite, with its other arguments, makes it again"
    )
    assert isinstance(begin(tmp_path, "embed", PARAMETERS, {"chunk": new}, overwrite=True), OpenStage)


def test_parents_that_do_not_belong_together_are_refused(tmp_path: Path):
    old = make(tmp_path)
    finetune = make(tmp_path, "finetune", parents={"chunk": old})
    assert isinstance(begin(tmp_path, "embed", {}, {"chunk": old, "finetune": finetune}), OpenStage)
    new = make(tmp_path, content=b"other", overwrite=True)
    message = refusal(begin, tmp_path, "other", {}, {"chunk": new, "finetune": finetune})
    assert message == (
        f"{tmp_path / 'finetune'}: was made from another chunk than the one in {tmp_path} now; make finetune again with --overwrite"
    )
    assert not (tmp_path / "other").exists()


def test_a_parent_made_again_with_the_same_content_is_the_same_parent(tmp_path: Path):
    embed = make(tmp_path, "embed", parents={"chunk": make(tmp_path)})
    again = make(tmp_path, overwrite=True)
    assert begin(tmp_path, "embed", PARAMETERS, {"chunk": again}) == embed


def test_the_fingerprint_changes_with_content_parameters_details_parents_and_stage_only(tmp_path: Path):
    first = make(tmp_path / "1")
    assert make(tmp_path / "2").fingerprint == first.fingerprint, "neither place nor time count"
    stage = begin(tmp_path / "3", "chunk", PARAMETERS, {})
    (stage.path / "a-00000.parquet").write_bytes(b"abc")
    (stage.path / "b.json").write_bytes(b"{}")
    others = [
        make(tmp_path / "4", content=b"abd"),
        make(tmp_path / "5", overlap=1),
        make(tmp_path / "6", name="embed"),
        make(tmp_path / "7", parents={"x": first}),
        stage.finish({"labels": ["b", "é"]}),
    ]
    assert len({stage.fingerprint for stage in [first, *others]}) == 6


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stage = begin(tmp_path, "chunk", PARAMETERS, {})
    (stage.path / "piece").write_bytes(b"x")
    written = store.write_json

    def stop_before_the_manifest(path: Path, value: object) -> None:
        if path.name == "manifest.json":
            assert (path.parent / "timings.json").exists() and (path.parent / "started.json").exists()
            raise KeyboardInterrupt
        written(path, value)

    monkeypatch.setattr(store, "write_json", stop_before_the_manifest)
    with pytest.raises(KeyboardInterrupt):
        stage.finish({})
    monkeypatch.undo()
    assert "is not finished" in refusal(read_stage, tmp_path, "chunk")
    again = begin(tmp_path, "chunk", PARAMETERS, {})
    assert isinstance(again, OpenStage) and (again.path / "piece").read_bytes() == b"x"
    assert list(again.finish({}).manifest["files"]) == ["piece"]


def test_a_crash_while_the_manifest_is_written_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stage = begin(tmp_path, "chunk", PARAMETERS, {})

    def crash(source: Path, target: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(store.os, "replace", crash)
    with pytest.raises(OSError, match="no space left"):
        stage.finish({})
    monkeypatch.undo()
    assert [path.name for path in stage.path.iterdir()] == ["started.json"]
    assert "is not finished" in refusal(read_stage, tmp_path, "chunk")


def test_a_crash_just_after_the_manifest_leaves_a_finished_stage(tmp_path: Path):
    path = make(tmp_path).path
    (path / "started.json").write_text("{}")
    assert isinstance(read_stage(tmp_path, "chunk"), FinishedStage)
    assert isinstance(begin(tmp_path, "chunk", PARAMETERS, {}), FinishedStage)


def test_what_an_interrupted_removal_leaves_is_not_taken_for_a_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = make(tmp_path).path
    (path / "folder").mkdir()

    def interrupted(folder: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(store.shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path, "chunk", PARAMETERS, {}, overwrite=True)
    monkeypatch.undo()
    assert "is not finished" in refusal(read_stage, tmp_path, "chunk")
    stage = begin(tmp_path, "chunk", PARAMETERS, {})
    assert [entry.name for entry in path.iterdir()] == ["started.json"], "no piece of the old stage is taken over"
    assert isinstance(stage, OpenStage)


@pytest.mark.parametrize("number", [1, 2, 3])  # the manifest is gone then
def test_a_removal_that_was_stopped_at_any_file_goes_on(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make(tmp_path)
    unlink, count = Path.unlink, [0]

    def stopped(path: Path, missing_ok: bool = False) -> None:
        if not path.name.endswith(".partial"):
            count[0] += 1
            if count[0] > number:
                raise KeyboardInterrupt
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stopped)
    with pytest.raises(KeyboardInterrupt):
        begin(tmp_path, "chunk", PARAMETERS, {}, overwrite=True)
    monkeypatch.undo()
    assert "is not finished" in refusal(read_stage, tmp_path, "chunk")
    assert [entry.name for entry in begin(tmp_path, "chunk", PARAMETERS, {}).path.iterdir()] == ["started.json"]


def test_a_removal_that_was_stopped_before_it_began_leaves_the_stage_or_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = make(tmp_path)

    def full(*given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "write_json", full)
    with pytest.raises(OSError):
        begin(tmp_path, "chunk", PARAMETERS, {}, overwrite=True)
    monkeypatch.undo()
    assert read_stage(tmp_path, "chunk").fingerprint == made.fingerprint
    assert begin(tmp_path, "chunk", PARAMETERS, {}).fingerprint == made.fingerprint
    assert make(tmp_path, overwrite=True, content=b"other").fingerprint != made.fingerprint


def test_a_stage_whose_directory_is_a_link_is_made_again_where_the_link_leads(tmp_path: Path):
    (tmp_path / "large_disk").mkdir()
    (tmp_path / "chunk").symlink_to(tmp_path / "large_disk", target_is_directory=True)
    make(tmp_path)
    again = make(tmp_path, overwrite=True, content=b"other")
    assert read_stage(tmp_path, "chunk").fingerprint == again.fingerprint
    assert (tmp_path / "chunk").is_symlink()
    assert (tmp_path / "large_disk" / "a-00000.parquet").read_bytes() == b"other"


def test_partial_files_of_a_killed_run_are_no_part_of_the_stage(tmp_path: Path):
    stage = begin(tmp_path, "chunk", PARAMETERS, {})
    (stage.path / "a.parquet.7.partial").write_bytes(b"half")
    stage = begin(tmp_path, "chunk", PARAMETERS, {})
    assert [path.name for path in stage.path.iterdir()] == ["started.json"], "kills do not fill the disk"
    (stage.path / "a.parquet.8.partial").write_bytes(b"half")
    (stage.path / "a.parquet").write_bytes(b"whole")
    assert list(stage.finish({}).manifest["files"]) == ["a.parquet"]


def test_atomic_writes_all_or_leaves_what_was_there(tmp_path: Path):
    path = tmp_path / "file"
    with files.atomic(path) as partial:
        partial.write_bytes(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    with pytest.raises(ZeroDivisionError), files.atomic(path) as partial:
        partial.write_bytes(b"two")
        1 / 0
    assert path.read_bytes() == b"one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_two_processes_that_write_one_file_leave_one_of_the_two_whole(tmp_path: Path):
    path = tmp_path / "predictions.csv"
    code = """
import sys
from pathlib import Path
from hierdoc.stages.files import atomic
with atomic(Path(sys.argv[1])) as partial, partial.open("w") as file:
    file.write("the other's first half, "), file.flush(), print("begun", flush=True), sys.stdin.read()
    file.write("the other's second half")
"""
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "begun\n"
    with files.atomic(path) as partial:
        partial.write_text("all of mine")
    assert path.read_text() == "all of mine"
    other.communicate()
    assert other.returncode == 0 and path.read_text() == "the other's first half, the other's second half"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [float("nan"), [1.0, float("inf")]])
def test_numbers_that_json_has_not_are_refused(value: object, tmp_path: Path):
    path = tmp_path / "x.json"
    with pytest.raises(ValueError, match="JSON"):
        files.write_json(path, {"loss": value})
    assert list(tmp_path.iterdir()) == []


def test_json_is_readable_utf8(tmp_path: Path):
    files.write_json(tmp_path / "x.json", {"label": "Größe 中"})
    text = (tmp_path / "x.json").read_bytes().decode("utf-8")
    assert "Größe 中" in text and text.endswith("}\n") and json.loads(text) == {"label": "Größe 中"}


def test_the_peak_memory_is_in_mebibytes():
    assert 10 < provenance.peak_memory_mib() < 1_000_000
    used = provenance.cpu_seconds()
    while provenance.cpu_seconds() < used + 0.05:
        sum(range(10_000))


def test_the_peak_memory_is_not_that_of_the_process_that_started_this_one():
    held = np.ones(2**26)  # 512 MiB
    code = "from hierdoc.stages.provenance import peak_memory_mib; print(peak_memory_mib())"
    found = float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert 5 < found < provenance.peak_memory_mib() - 300
    assert held.all() and provenance.peak_memory_mib() > 512


def test_a_folder_that_appears_in_an_open_stage_is_not_of_it(tmp_path: Path):
    stage = begin(tmp_path, "chunk", PARAMETERS, {})
    (stage.path / ".ipynb_checkpoints").mkdir()
    assert list(stage.finish({}).manifest["files"]) == []


def test_a_second_process_is_told_who_writes_the_stage(tmp_path: Path):
    begin(tmp_path, "chunk", PARAMETERS, {})
    code = "import sys; from hierdoc.stages.store import begin; begin(sys.argv[1], 'chunk', {}, {}, overwrite=True)"
    stage = begin(tmp_path, "embed", PARAMETERS, {})
    for name in ("chunk", "embed"):
        done = subprocess.run(
            [sys.executable, "-c", code.replace("'chunk'", repr(name)), str(tmp_path)], capture_output=True, text=True
        )
        wanted = f"{tmp_path / name}: process {os.getpid()} is writing this stage; wait for it, or stop it"
        assert (wanted in done.stderr) == (name == "embed"), done.stderr
    assert (stage.path / STARTED).exists()


def test_a_stage_that_was_removed_and_begun_again_is_not_finished_by_the_first_process(tmp_path: Path):
    stage = begin(tmp_path / "run", "embed", PARAMETERS, {})
    shutil.rmtree(tmp_path / "run")
    again = begin(tmp_path / "run", "embed", {**PARAMETERS, "overlap": 1}, {})
    (again.path / "vectors-00000.parquet").write_bytes(b"of the second")
    with pytest.raises(HierdocFailure, match="embed: was removed, and another process has begun it again"):
        stage.finish({})
    assert again.finish({}).parameters["overlap"] == 1


def test_weights_can_be_read_by_those_who_may_read_the_rest(tmp_path: Path):
    from hierdoc.stages.weights import save_weights

    save_weights(tmp_path / "weights.safetensors", {"a": np.zeros(1, np.float32)})
    (tmp_path / "other").write_text("")
    assert (tmp_path / "weights.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_a_null_that_was_not_there_is_another_value_and_own_code_is_made_again_by_its_experiment(tmp_path: Path):
    begin(tmp_path, "evaluate/own", {"arguments": {}}, {}).finish({})
    said = refusal(begin, tmp_path, "evaluate/own", {"arguments": {"depth": None}}, {})
    assert said.endswith("already finished with `arguments.depth` null, not null; remove it, and it is made again")
