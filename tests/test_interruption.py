"""Law 6: whatever stops a stage, wherever it stops, the next run goes on to the same bytes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import flip_a_bit

from hierdoc.errors import HierdocError
from hierdoc.stages.finished import TIMINGS, read_stage

# Stops a command by a signal just before or just after it renames its n-th file to its final name, which is where every
# checkpoint, shard, weights file and manifest passes. Training writes a checkpoint after each step. At the end it
# says how many files were renamed.
STOPPED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what runs in the background may have been told to ignore it
how, when, number, words = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4:]
from hierdoc.learning import checkpoints
checkpoints.FEWEST_SECONDS, checkpoints.MOST_SHARE = 0, float("inf")
replace, count = os.replace, 0
def counted(source, target):
    global count
    count += 1
    if count == number and when == "before":
        os.kill(os.getpid(), how)
    replace(source, target)
    if count == number and when == "after":
        os.kill(os.getpid(), how)
os.replace = counted
from hierdoc.cli import main
code = main(words)
print("renamed", count)
sys.exit(code)
"""

# Lets no file grow beyond a number of bytes: writing fails then as on a full disk.
FULL = """
import resource, sys
limit, words = int(sys.argv[1]), sys.argv[2:]
from hierdoc.learning import checkpoints
checkpoints.FEWEST_SECONDS, checkpoints.MOST_SHARE = 0, float("inf")
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
from hierdoc.cli import main
sys.exit(main(words))
"""

ARGUMENTS = {
    "finetune": [
        "--epochs",
        "2",
        "--learning-rate",
        "1e-2",
        "--precision",
        "float32",
        "--deterministic",
        "--gradient-accumulation",
        "2",
        "--max-grad-norm",
        "1",
    ],
    "embed": ["--precision", "float32"],
    "train_lstm": ["--epochs", "3", "--deterministic"],
    "evaluate": [],
}
FOLDERS = {"finetune": "finetune", "embed": "embed", "train_lstm": "heads/lstm", "evaluate": "evaluate/lstm"}


def python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run code in a process of its own."""
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=300)


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a stage but its timings."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != TIMINGS}


@pytest.fixture(scope="module")
def chunked(tmp_path_factory: pytest.TempPathFactory, tiny_csv: Path, tiny_encoder: str) -> Path:
    """A run directory with a chunk stage of several shards."""
    from hierdoc import chunk_documents
    from hierdoc.chunking import chunks

    run = tmp_path_factory.mktemp("interruption") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks, "TOKENS_PER_SHARD", 500)
        chunk_documents(tiny_csv, run, id_column="id", split_column="split", encoder=tiny_encoder, chunk_size=10)
    assert len(read_stage(run, "chunk").files("chunks-")) >= 3
    return run


@pytest.fixture(scope="module")
def whole(chunked: Path) -> Path:
    """The same with all stages, none of them interrupted."""
    for stage, arguments in ARGUMENTS.items():
        done = python(
            "import sys; from hierdoc.cli import main; sys.exit(main(sys.argv[1:]))", stage, chunked, *arguments
        )
        assert done.returncode == 0, done.stderr
    return chunked


def up_to(whole: Path, stage: str, run: Path) -> Path:
    """Copy what comes before `stage` into a run directory of its own."""
    for folder in ["chunk", *FOLDERS.values()]:
        if folder == FOLDERS[stage]:
            return run
        shutil.copytree(whole / folder, run / folder)
    raise ValueError(stage)


@pytest.mark.parametrize("stage", list(ARGUMENTS))
def test_killed_again_and_again_a_stage_comes_to_the_same_bytes(stage: str, whole: Path, tmp_path: Path):
    run, folder = up_to(whole, stage, tmp_path / "run"), FOLDERS[stage]
    stride = {"finetune": 17, "train_lstm": 8, "embed": 3, "evaluate": 1}[stage]
    kills = 0
    while True:
        when, number = ("before", "after")[kills % 2], stride + kills
        done = python(STOPPED, int(signal.SIGKILL), when, number, stage, run, *ARGUMENTS[stage])
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        kills += 1
        assert kills < 12, "no progress from one run to the next"
    assert kills >= 2
    assert content(run / folder) == content(whole / folder)
    timings = json.loads((run / folder / TIMINGS).read_text())
    assert timings["num_processes"] <= kills + 1


@pytest.mark.parametrize("stage", ["finetune", "embed"])
def test_ctrl_c_ends_with_130_and_one_line_and_the_next_run_goes_on(stage: str, whole: Path, tmp_path: Path):
    run, folder = up_to(whole, stage, tmp_path / "run"), FOLDERS[stage]
    done = python(STOPPED, int(signal.SIGINT), "after", 6, stage, run, *ARGUMENTS[stage])
    assert done.returncode == 130
    assert (
        done.stderr.splitlines()[-1]
        == "interrupted; the same command, without --overwrite, goes on from what it has kept"
    )
    assert "Traceback" not in done.stderr and not (run / folder / "manifest.json").exists()
    done = python(STOPPED, int(signal.SIGKILL), "never", 0, stage, run, *ARGUMENTS[stage])
    assert (
        done.returncode == 0
        and "an earlier run did not finish this stage; this one goes on from what that has kept" in done.stderr
    )
    # of the six files the first is started.json, and then each of a training's steps has a checkpoint and its timings
    assert ("finetune: goes on from step 3, in epoch 1" in done.stderr) is (stage == "finetune")
    assert content(run / folder) == content(whole / folder)


@pytest.mark.parametrize("stage", list(ARGUMENTS))
def test_a_full_disk_ends_with_1_and_nothing_half_made_is_taken_for_finished(stage: str, whole: Path, tmp_path: Path):
    run, folder = up_to(whole, stage, tmp_path / "run"), FOLDERS[stage]
    done = python(FULL, 1500, stage, run, *ARGUMENTS[stage])
    assert done.returncode == 1, done.stderr
    assert "too large" in done.stderr.splitlines()[-1] and done.stderr.splitlines()[-1].startswith("failed: ")
    assert "Traceback" not in done.stderr and not (run / folder / "manifest.json").exists()
    with pytest.raises(HierdocError, match="is not finished; make it with"):
        read_stage(run, folder)
    done = python(STOPPED, int(signal.SIGKILL), "never", 0, stage, run, *ARGUMENTS[stage])
    assert done.returncode == 0, done.stderr
    assert content(run / folder) == content(whole / folder)


def data_command(
    command: str, whole: Path, tiny_csv: Path, tiny_encoder: str, folder: Path
) -> tuple[list[object], Path]:
    """Return the words of a command that reads documents, and what it makes."""
    if command == "chunk":
        words = [tiny_csv, folder / "run", "--id-column", "id", "--split-column", "split", "--encoder", tiny_encoder]
        return ["chunk", *words, "--chunk-size", "10"], folder / "run/chunk"
    if command == "predict":
        return ["predict", whole, tiny_csv, "--out", folder / "out.csv"], folder / "out.csv"
    return ["splits", "make", tiny_csv, folder / "splits", "--id-column", "id"], folder / "splits"


@pytest.mark.parametrize("command", ["chunk", "predict", "splits"])
@pytest.mark.parametrize("trouble", ["full disk", "ctrl-c"])
def test_what_is_made_of_documents_is_there_whole_or_not_at_all(
    command: str, trouble: str, whole: Path, tiny_csv: Path, tiny_encoder: str, tmp_path: Path
):
    words, made = data_command(command, whole, tiny_csv, tiny_encoder, tmp_path)
    if trouble == "full disk":
        done = python(FULL, 1000, *words)
        assert done.returncode == 1 and "too large" in done.stderr.splitlines()[-1], done.stderr
    else:
        done = python(STOPPED, int(signal.SIGINT), "before", 1, *words)
        assert done.returncode == 130 and done.stderr.splitlines()[-1].startswith("interrupted"), done.stderr
    assert "Traceback" not in done.stderr
    if command == "predict":
        assert list(tmp_path.iterdir()) == []
    else:
        assert not (made / {"chunk": "manifest.json", "splits": "split.json"}[command]).exists()
    done = python(STOPPED, int(signal.SIGKILL), "never", 0, *words)
    assert done.returncode == 0, done.stderr
    again, fresh = data_command(command, whole, tiny_csv, tiny_encoder, tmp_path / "fresh")
    (tmp_path / "fresh").mkdir()
    assert python(STOPPED, int(signal.SIGKILL), "never", 0, *again).returncode == 0
    if command == "predict":
        assert made.read_bytes() == fresh.read_bytes()
    else:
        assert content(made) == content(fresh)


def test_a_kept_shard_of_vectors_with_a_flipped_bit_is_computed_again(whole: Path, tmp_path: Path):
    run = up_to(whole, "embed", tmp_path / "run")
    python(STOPPED, int(signal.SIGKILL), "after", 4, "embed", run, *ARGUMENTS["embed"])
    shard = run / "embed/vectors-00000.parquet"
    good = shard.read_bytes()
    flip_a_bit(shard, "vector.list.element")
    assert shard.read_bytes() != good
    done = python(STOPPED, int(signal.SIGKILL), "never", 0, "embed", run, *ARGUMENTS["embed"])
    assert done.returncode == 0, done.stderr
    assert shard.read_bytes() == good and content(run / "embed") == content(whole / "embed")
