"""A checkpoint is there whole or not at all, and not too often."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from hierdoc.learning import checkpoints
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.stages.store import CHECKPOINT

FACTS = {"epochs": [{"epoch": 1, "loss": 0.1 + 0.2}], "num_steps": 3, "seconds": 1e-17, "name": "é"}
ARRAYS = {"a": np.float32([[1.5, -0.0], [np.inf, 1e-40]]), "b": np.int64(2**40), "empty": np.zeros((0, 3), np.float32)}


def test_what_is_saved_comes_back_to_the_last_bit(tmp_path: Path):
    Checkpoints(tmp_path).save(FACTS, ARRAYS)
    facts, arrays = Checkpoints(tmp_path).load()
    assert facts == FACTS
    assert arrays.keys() == ARRAYS.keys()
    for name, array in arrays.items():
        assert array.dtype == ARRAYS[name].dtype and array.shape == ARRAYS[name].shape
        assert array.tobytes() == ARRAYS[name].tobytes()
    assert [entry.name for entry in tmp_path.iterdir()] == [CHECKPOINT]


def test_the_later_checkpoint_replaces_the_earlier_one(tmp_path: Path):
    keeper = Checkpoints(tmp_path)
    keeper.save({"n": 1}, {"a": np.zeros(3)})
    keeper.save({"n": 2}, {})
    assert keeper.load() == ({"n": 2}, {})


def test_without_a_file_there_is_nothing_to_load(tmp_path: Path):
    assert Checkpoints(tmp_path).load() is None


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "text"])
def test_a_damaged_checkpoint_is_told_of_and_not_used(tmp_path: Path, damage: str, capsys):
    Checkpoints(tmp_path).save(FACTS, {"a": np.arange(1000.0)})
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    middle = whole.index(np.arange(500.0, 501).tobytes())  # inside the array
    path.write_bytes(
        {
            "cut": whole[: len(whole) // 2],
            "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
            "empty": b"",
            "text": b"not a checkpoint",
        }[damage]
    )
    assert Checkpoints(tmp_path).load() is None
    error = capsys.readouterr().err
    assert error.startswith(f"warning: {path}: can't be read (") and error.endswith("; the work begins anew\n")


def test_any_flipped_bit_of_the_directory_is_told_of_or_changes_nothing(tmp_path: Path, capsys):
    Checkpoints(tmp_path).save(FACTS, {"a": np.arange(6.0), "b": np.arange(3)})
    path = tmp_path / CHECKPOINT
    whole = path.read_bytes()
    for place in range(whole.index(b"PK\1\2"), len(whole)):  # what lies before it is under checksums
        for bit in range(8):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1 :])
            loaded = Checkpoints(tmp_path).load()
            assert loaded is None or (loaded[0] == FACTS and loaded[1].keys() == {"a", "b"})


def test_an_interrupted_save_leaves_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    keeper = Checkpoints(tmp_path)
    keeper.save({"n": 1}, {})

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError):
        keeper.save({"n": 2}, {})
    assert Checkpoints(tmp_path).load() == ({"n": 1}, {})
    assert [entry.name for entry in tmp_path.iterdir()] == [CHECKPOINT]


def test_a_checkpoint_is_due_after_a_minute_or_fifty_times_what_the_last_one_took(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now = [1000.0]
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: now[0])
    saved = []
    keeper = Checkpoints(tmp_path, lambda: (saved.append(now[0]), now.__setitem__(0, now[0] + 4)))
    now[0] += 59.9
    assert not keeper.is_due()
    now[0] += 0.2
    assert keeper.is_due()
    keeper.save({}, {})  # takes 4 seconds
    assert len(saved) == 1
    now[0] += 199.9
    assert not keeper.is_due()
    now[0] += 0.2
    assert keeper.is_due()
