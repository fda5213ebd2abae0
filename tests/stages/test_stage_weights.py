"""Weights come back bit for bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hierdoc.errors import HierdocError
from hierdoc.stages.weights import load_weights, save_weights


def test_weights_come_back_and_their_order_does_not_count(tmp_path: Path):
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3) / 7
    arrays = {"b/kernel": kernel.T, "a/bias": np.asarray([-0.0, 1e-40], np.float32), "c": np.zeros((0, 2), np.float32)}
    save_weights(tmp_path / "one", arrays)
    save_weights(tmp_path / "two", dict(reversed(arrays.items())))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    loaded = load_weights(tmp_path / "one")
    assert set(loaded) == set(arrays)
    for name, array in arrays.items():
        assert loaded[name].shape == array.shape and loaded[name].tobytes() == np.ascontiguousarray(array).tobytes()


def test_a_single_number_keeps_its_shape(tmp_path: Path):
    save_weights(tmp_path / "one", {"scale": np.asarray(3, np.float32)})
    assert load_weights(tmp_path / "one")["scale"].shape == ()


@pytest.mark.parametrize("content", [None, b"", b"junk", b"\xff" * 100])
def test_a_file_that_is_no_safetensors_is_refused(content: bytes | None, tmp_path: Path):
    path = tmp_path / "encoder.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(HierdocError) as error:
        load_weights(path)
    assert str(error.value).startswith(f"{path}: can't be read as safetensors") and "\n" not in str(error.value)
