"""What the layers that are not trained make of chunks, kept in a file."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from learning.test_encoder_training import FULL, PARAMETERS, chunks_of
from reference.numpy_bert import random_arrays

from hierdoc import finetune
from hierdoc.encoders.bert import BertEncoder
from hierdoc.errors import HierdocError
from hierdoc.learning import frozen, loop
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.encoder import train_encoder
from hierdoc.learning.frozen import FrozenOutputs
from hierdoc.learning.history import History
from hierdoc.stages import files


@pytest.fixture()
def encoder() -> BertEncoder:
    made = BertEncoder(FULL)
    made.assign(random_arrays(FULL, 0), "the test")
    return made


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_what_is_kept_is_what_the_layers_make_and_the_rest_is_zero(
    encoder: BertEncoder, tmp_path: Path, precision: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(frozen, "CHUNKS_PER_PART", 3)
    rows = chunks_of([0, 1, 2, 0, 1, 2, 0], 0).rows
    outputs = FrozenOutputs(tmp_path / "f", encoder, 1, rows, np.array([1, 2, 3, 5, 6]), precision, 10)
    tokens = sum(len(rows[place]) for place in (1, 2, 3, 5, 6))
    assert (tmp_path / "f").stat().st_size == 64 + tokens * 8 * (4 if precision == "float32" else 2)
    found = outputs.padded(np.array([5, 2]), 4, 10)
    assert found.shape == (4, 10, 8) and found.dtype == np.float32
    for place, member in enumerate([5, 2]):
        row = rows[member]
        wanted = encoder.hidden_of(row[None], np.ones((1, len(row)), bool), 1).numpy()[0]
        tolerance = 1e-5 if precision == "float32" else 0.05
        np.testing.assert_allclose(found[place, : len(row)], wanted, rtol=0, atol=tolerance)
        assert not found[place, len(row) :].any()
    assert not found[2:].any()


@pytest.mark.parametrize("kept", [0, 1, 4, 6, 7])
def test_an_interrupted_file_is_gone_on_from_and_has_the_same_bytes(
    encoder: BertEncoder, tmp_path: Path, kept: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(frozen, "CHUNKS_PER_PART", 2)
    rows = chunks_of([0, 1, 2, 0, 1, 2, 0], 0).rows
    FrozenOutputs(tmp_path / "whole", encoder, 1, rows, np.arange(7), "float32", 10)
    whole = (tmp_path / "whole").read_bytes()
    tokens = sum(map(len, rows[:kept]))
    begun = whole[: 64 + tokens * 8 * 4] + (b"half" if kept < 7 else b"")  # and something behind the last chunk
    (tmp_path / "begun").write_bytes(begun)
    encoded = []
    plain = frozen.pad_tokens
    monkeypatch.setattr(frozen, "pad_tokens", lambda part, *rest: encoded.extend(part) or plain(part, *rest))
    FrozenOutputs(tmp_path / "begun", encoder, 1, rows, np.arange(7), "float32", 10)
    assert (tmp_path / "begun").read_bytes() == whole
    assert len(encoded) == {0: 7, 1: 7, 4: 3, 6: 1, 7: 0}[kept]


def test_what_has_changed_in_the_file_since_it_was_written_is_made_again(
    encoder: BertEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(frozen, "CHUNKS_PER_PART", 2)
    rows = chunks_of([0, 1, 2, 0, 1, 2, 0], 0).rows
    FrozenOutputs(tmp_path / "f", encoder, 1, rows, np.arange(7), "float32", 10)
    whole = (tmp_path / "f").read_bytes()
    for place in (0, 8, 64, len(whole) - 1):  # a checksum of the first part and of the third, and numbers
        changed = bytearray(whole)
        changed[place] ^= 1
        (tmp_path / "f").write_bytes(changed)
        FrozenOutputs(tmp_path / "f", encoder, 1, rows, np.arange(7), "float32", 10)
        assert (tmp_path / "f").read_bytes() == whole
    (tmp_path / "f").write_bytes(b"\0" * len(whole))  # as a file system may leave what was not synced
    FrozenOutputs(tmp_path / "f", encoder, 1, rows, np.arange(7), "float32", 10)
    assert (tmp_path / "f").read_bytes() == whole


def test_a_disk_without_room_is_told_before_anything_is_written(
    encoder: BertEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: usage(2**40, 2**40 - 100, 100))
    with pytest.raises(HierdocError, match="takes 0.0 GiB, and 0.0 are free"):
        FrozenOutputs(tmp_path / "f", encoder, 1, chunks_of([0, 1], 0).rows, np.arange(2), "float32", 10)
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("trainable_layers", [0, 1, 2])
def test_training_behind_kept_outputs_is_training_with_frozen_layers_that_drop_nothing(
    tmp_path: Path, trainable_layers: int, monkeypatch: pytest.MonkeyPatch
):
    """The same weights come out when each step computes the frozen layers anew."""

    def trained(folder: Path, anew: bool) -> dict[str, Any]:
        encoder = BertEncoder(FULL)
        encoder.assign(random_arrays(FULL, 0), "the test")
        if anew:
            num_frozen = FULL["num_hidden_layers"] - trainable_layers

            def make(forward: Any, *arguments: Any, **named: Any) -> Any:
                def from_tokens(token_ids: Any, mask: Any, hidden: Any, dropout_seed: Any) -> Any:
                    return forward(
                        token_ids, mask, encoder.hidden_of(token_ids, mask, num_frozen), dropout_seed=dropout_seed
                    )

                return plain(from_tokens, *arguments, **named)

            monkeypatch.setattr(loop, "make_trained", make)
        folder.mkdir()
        parameters = {
            **PARAMETERS, "epochs": 2, "learning_rate": 1e-2, "freeze_embeddings": False, "trainable_layers": trainable_layers,
            "chunks_per_document": None, "seed": 0, "layer_decay": 1.0,
        }  # fmt: skip
        train, dev = chunks_of([0, 1] * 20, 0), chunks_of([0, 1] * 4, 1)
        head, _, _ = train_encoder(
            encoder, train, dev, 2, 10, parameters, History(folder / "h.jsonl"), Checkpoints(folder)
        )
        return {**encoder.arrays(), **head}

    plain = loop.make_trained
    kept, anew = trained(tmp_path / "kept", False), trained(tmp_path / "anew", True)
    for name, array in kept.items():
        np.testing.assert_allclose(array, anew[name], rtol=0, atol=2e-5, err_msg=name)
    begun = random_arrays(FULL, 0)
    moved = {name.split(".")[2] for name in begun if (begun[name] != kept[name]).any()}
    assert moved == {"0": set(), "1": {"1"}, "2": {"0", "1"}}[str(trainable_layers)]


@pytest.mark.parametrize(
    ("hidden_size", "of_last_layers", "rate"),
    [(768, False, 2e-5), (1024, True, 2e-5), (384, False, 5e-5), (384, True, 2e-4)],
)
def test_the_rate_is_higher_where_a_small_encoders_last_layers_are_trained(
    hidden_size: int, of_last_layers: bool, rate: float
):
    assert finetune._default_rate(hidden_size, of_last_layers) == rate


def test_the_default_rate_is_the_stages(tiny_run: Path, tmp_path: Path):
    for layers, rate in ((None, 5e-5), (1, 2e-4)):
        run = tmp_path / str(layers)
        shutil.copytree(tiny_run / "chunk", run / "chunk")
        stage = finetune.finetune_encoder(run, epochs=1, trainable_layers=layers, precision="float32")
        assert stage.parameters["learning_rate"] == rate
