"""Anyone's batches, in the forms in which people's generators yield them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hierdoc.errors import HierdocError
from hierdoc.tracing.batches import learned_rows, make_batch, read_labels, split_inputs

IDS = np.array([[101, 7, 0, 8, 102, 0], [0, 0, 101, 9, 102, 0], [0, 0, 0, 0, 0, 0]])


@pytest.mark.parametrize(
    ("labels", "wanted"),
    [
        ([1, 10, 0], [1, 10, 0]),  # kept as they are, in range or not
        (np.float32([[1], [10], [2.6]]), [1, 10, 3]),
        (np.array([[0, 1, 0], [0, 0, 0.9], [0, 0, 0]]), [1, 2, -1]),
        (np.array([np.nan, 3.0, np.inf]), [-1, 3, -1]),
        (np.array([True, False, True]), [1, 0, 1]),
        ({"label": np.array([4, 5, 6])}, [4, 5, 6]),
    ],
)
def test_labels_are_what_training_saw(labels: Any, wanted: list[int]):
    read = read_labels(labels)
    assert read.tolist() == wanted and read.dtype == np.int32


def test_padding_of_token_ids_is_at_either_end_and_not_between():
    batch = make_batch(IDS, None, [0, 1, 2])
    assert batch.real.astype(int).tolist() == [[1, 1, 1, 1, 1, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 0, 0, 0]]
    assert batch.padded_length == 6 and not batch.mask_given and batch.values.dtype == np.int32


def test_token_ids_may_be_padded_with_another_id_and_come_as_floats():
    batch = make_batch(np.where(IDS == 0, 1, IDS).astype(np.float64), None, [0, 1, 2], pad_id=1)
    assert batch.real.sum(axis=1).tolist() == [5, 3, 0]
    assert batch.values.dtype == np.int32


def test_a_mask_says_what_is_real_whatever_stands_there():
    mask = np.array([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1]])
    batch = make_batch(IDS, mask, [0, 1, 2])
    assert batch.real.sum(axis=1).tolist() == [6, 2, 1] and batch.mask_given


def test_a_row_of_vectors_is_padding_when_all_of_it_is_the_pad_value():
    vectors = np.full((2, 3, 2), -99.0)
    vectors[0, 0], vectors[0, 1] = (1, 2), (-99, 3)
    vectors[1, 2] = (4, 5)
    assert make_batch(vectors, None, [0, 1], pad_value=-99.0).real.tolist() == [
        [True, True, False],
        [False, False, True],
    ]


def test_rows_of_one_number_at_an_end_are_padding_where_nobody_said_what_padding_is():
    vectors = np.full((4, 3, 2), -99.0)
    vectors[0, 0], vectors[0, 1] = (1, 2), (-99, 3)
    vectors[1, 2] = (4, 5)
    vectors[2, 0], vectors[2, 2] = (6, 7), (8, 9)  # what is between is no padding
    assert make_batch(vectors, None, [0, 1, 2, 3]).real.tolist() == [
        [True, True, False],
        [False, False, True],
        [True, True, True],
        [True, True, True],  # there is nothing else: the vectors are what is wrong
    ]
    assert make_batch(vectors, None, [0, 1, 2, 3], pad_value=0.0).real.all()  # somebody said


def test_one_vector_for_each_example_is_a_document_of_one_chunk():
    batch = make_batch(np.array([[0.5, 1.0], [2.0, 3.0]]), None, [0, 1])
    assert batch.values.shape == (2, 1, 2) and batch.real.all()


@pytest.mark.parametrize(
    ("inputs", "has_mask"),
    [
        (IDS, False),
        ([IDS, IDS != 0], True),
        ((IDS, (IDS != 0).astype(np.int64)), True),
        ([IDS, np.zeros_like(IDS)], False),  # token types
        ([IDS, np.zeros_like(IDS), IDS != 0], True),
        ({"attention_mask": IDS != 0, "token_type_ids": IDS * 0, "input_ids": IDS}, True),
        ({"token_type_ids": IDS * 0, "input_ids": IDS}, False),
    ],
)
def test_what_a_model_reads_is_told_from_its_mask(inputs: Any, has_mask: bool):
    main, mask = split_inputs(inputs)
    assert main is IDS and (mask is not None) == has_mask
    assert mask is None or (np.asarray(mask) == (IDS != 0)).all()


def test_rows_of_sample_weight_0_are_not_learned_from():
    assert learned_rows(np.array([1.0, 0.0, 0.5]), 3).tolist() == [0, 2]
    assert learned_rows(np.ones(3), 3) is None and learned_rows(None, 3) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"labels": [0, 1]}, "`labels` must be of 3 examples as x is, but is of 2 instead"),
        ({"doc_ids": ["a"]}, "`doc_ids` must be of 3 examples as x is, but is of 1 instead"),
        ({"mask": np.ones((3, 2))}, "the mask must have shape (3, 6) as x, but has (3, 2) instead"),
        ({"inputs": np.ones((3, 2, 2, 2))}, "x must be token ids (B, T) or vectors (B, S, D), but is float64"),
        ({"inputs": np.array([["a"], ["b"], ["c"]])}, "x must be token ids (B, T) or vectors (B, S, D), but is <U1"),
        ({"labels": np.zeros((3, 2, 2))}, "labels must have shape (B,), (B, 1) or (B, C), but have (3, 2, 2) instead"),
    ],
)
def test_a_batch_that_does_not_fit_together_is_refused(arguments: dict[str, Any], said: str):
    with pytest.raises(HierdocError) as refused:
        make_batch(**{"inputs": IDS, "mask": None, "labels": [0, 1, 2], **arguments})
    assert str(refused.value).startswith(said)
