"""Whether padding is read, of models that take one length, by hand in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hierdoc.tracing.pad_rows import padding_by_its_embedding

rng = np.random.default_rng(0)
IDS = np.array([[5, 7, 9, 0, 0], [6, 5, 7, 9, 0], [9, 9, 6, 5, 7]], np.int32)
PLACES, KERNEL = rng.standard_normal((5, 4)), rng.standard_normal((4, 3))


class Table:
    """Stands for a variable."""

    def __init__(self, array: np.ndarray):
        self.array, self.shape, self.assigned = array, array.shape, 0

    def assign(self, array: np.ndarray) -> None:
        self.array, self.assigned = array.copy(), self.assigned + 1

    def __array__(self, *arguments: Any, **named: Any) -> np.ndarray:
        return self.array


def model(table: Table, places: Table, reads_padding: bool) -> Any:
    def predict(ids: np.ndarray) -> np.ndarray:
        if ids.shape[1] != 5:
            raise ValueError("this model takes 5 tokens")
        embedded = table.array[ids] + places.array[:5]
        real = np.ones(ids.shape) if reads_padding else (ids != 0) * 1.0
        return (embedded * real[..., None]).sum(axis=1) / real.sum(axis=1, keepdims=True) @ KERNEL

    return predict


@pytest.mark.parametrize("num_places", [5, 20])  # 20: as long as the table of tokens
@pytest.mark.parametrize("reads_padding", [True, False])
def test_padding_with_another_embedding_changes_what_reads_it(reads_padding: bool, num_places: int):
    table, places = Table(rng.standard_normal((20, 4))), Table(np.vstack([PLACES, np.zeros((num_places - 5, 4))]))
    before = table.array.copy(), places.array.copy()
    others = [places, Table(KERNEL), Table(np.zeros(4)), table]
    found = padding_by_its_embedding(model(table, places, reads_padding), IDS, others, 0)
    assert (found > 0.01) if reads_padding else (found == 0)
    assert (table.array == before[0]).all() and (places.array == before[1]).all() and table.assigned >= 6


def test_where_it_can_not_be_tried_nothing_is_said():
    table, places = Table(rng.standard_normal((20, 4))), Table(PLACES)
    predict = model(table, places, True)
    assert padding_by_its_embedding(predict, IDS[2:], [table], 0) is None  # no padding
    assert padding_by_its_embedding(predict, IDS, [places], 0) is None  # no table
    assert padding_by_its_embedding(predict, rng.standard_normal((3, 5)), [table], 0) is None  # vectors


def test_the_table_is_put_back_when_the_model_raises():
    table = Table(rng.standard_normal((20, 4)))
    before, asked = table.array.copy(), []

    def raises(ids: np.ndarray) -> np.ndarray:
        asked.append(ids)
        if len(asked) > 1:
            raise ValueError("once is enough")
        return np.zeros((3, 3))

    with pytest.raises(ValueError, match="once"):
        padding_by_its_embedding(raises, IDS, [table], 0)
    assert (table.array == before).all() and table.assigned == 2
