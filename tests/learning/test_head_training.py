"""What a head sees while it is trained, and what it does not see when it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierdoc import HierdocError, train_lstm_head
from hierdoc.encoders import compat
from hierdoc.heads import HEADS
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.head import train_head
from hierdoc.learning.history import History
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import LabelledDocuments

DIM = 400


def documents(num: int) -> LabelledDocuments:
    """Documents of three chunks whose vectors are all ones."""
    vectors, probs = np.ones((3 * num, DIM), np.float32), np.full((3 * num, 2), 0.5, np.float32)
    ids = [f"d{at}" for at in range(num)]
    label_ids = np.arange(num, dtype=np.int32) % 2
    return LabelledDocuments(
        DocumentVectors(ids, vectors, probs, np.arange(0, 3 * num + 1, 3)), [str(at) for at in label_ids], label_ids
    )


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5])
def test_input_dropout_sets_that_share_of_the_numbers_to_0_in_training_alone(
    share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    tf = compat.load_tensorflow()
    seen = []

    def build_spy(dim: int, num_classes: int) -> Any:
        inputs = tf.keras.Input((None, dim)), tf.keras.Input((None,), dtype="bool")

        def look(pair: Any) -> Any:
            tf.numpy_function(lambda vectors, mask: seen.append(vectors[mask]), pair, [])
            return tf.reduce_mean(pair[0], axis=1)

        return tf.keras.Model(inputs, tf.keras.layers.Dense(num_classes)(tf.keras.layers.Lambda(look)(list(inputs))))

    monkeypatch.setitem(HEADS, "spy", build_spy)
    parameters = {"head": "spy", "epochs": 2, "learning_rate": 1e-3, "input_dropout": share, "seed": 0}
    history, checkpoints = History(tmp_path / "history.jsonl"), Checkpoints(tmp_path)
    train_head(documents(32), documents(32), DIM, 2, parameters, history, checkpoints)
    in_training, on_dev = [seen[0], seen[2]], [seen[1], seen[3]]
    for vectors in in_training:
        assert np.mean(vectors == 0) == pytest.approx(share, abs=0.01)
        assert set(np.round(np.unique(vectors[vectors != 0]), 4)) == {np.float32(round(1 / (1 - share), 4))}
    assert (in_training[0] == in_training[1]).all() == (share == 0)  # drawn anew at each step
    for vectors in on_dev:
        assert (vectors == 1).all()


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_share_that_is_none_is_refused(share: float, tiny_run: Path):
    with pytest.raises(HierdocError, match="`input_dropout` must be from 0 to below 1, but is"):
        train_lstm_head(tiny_run, input_dropout=share)
