"""Chunks of many lengths in batches of few shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hierdoc.engines.token_batches import BatchShapes, any_shape, bucket_lengths, few_shapes, pad_tokens, padded_lengths

SHAPES = [few_shapes, any_shape]


@pytest.mark.parametrize(
    ("chunk_size", "wanted"),
    [
        (200, [25, 50, 100, 150, 200]),
        (10, [2, 3, 5, 8, 10]),  # eighths rounded up: 1.25, 2.5, 5, 7.5, 10
        (512, [64, 128, 256, 384, 512]),
        (3, [2, 3]),  # no bucket is shorter than [CLS][SEP]
    ],
)
def test_few_padded_lengths_are_eighths_of_the_chunk_size(chunk_size: int, wanted: list[int]):
    assert bucket_lengths(chunk_size).tolist() == few_shapes(chunk_size).lengths.tolist() == wanted


def test_a_chunk_goes_into_the_shortest_length_that_holds_it():
    lengths = np.array([2, 25, 26, 50, 51, 150, 151, 200])
    assert padded_lengths(lengths, bucket_lengths(200)).tolist() == [25, 25, 50, 50, 100, 150, 200, 200]


@pytest.mark.parametrize("shapes_of", SHAPES)
@pytest.mark.parametrize("chunk_size", [3, 10, 200, 512])
def test_the_plan_covers_each_chunk_once_in_a_batch_that_holds_it(shapes_of: Any, chunk_size: int):
    lengths = np.random.default_rng(0).integers(2, chunk_size + 1, 777)
    shapes = shapes_of(chunk_size)
    plan = shapes.plan(lengths)
    assert sorted(np.concatenate([members for _, _, members in plan]).tolist()) == list(range(777))
    for length, num_rows, members in plan:
        assert 1 <= len(members) <= num_rows <= shapes.rows_of(length)
        assert (padded_lengths(lengths[members], shapes.lengths) == length).all() and (lengths[members] <= length).all()


def test_few_shapes_have_one_number_of_rows_for_a_length_whatever_stands_in_them():
    few = {length: rows for length, rows, _ in few_shapes(200).plan(np.array([20, 40, 90, 120, 200]))}
    many = few_shapes(200).plan(np.random.default_rng(0).integers(2, 201, 900))
    assert few == {25: 128, 50: 64, 100: 32, 150: 16, 200: 16}  # 3,200 tokens in each, or 2,400
    assert {(length, rows) for length, rows, _ in many} == set(few.items())


def test_few_shapes_fill_whole_registers_so_that_no_row_is_what_is_left_over():
    for chunk_size in range(3, 513):
        for length, num_rows, _ in few_shapes(chunk_size).plan(bucket_lengths(chunk_size)):
            assert num_rows % 16 == 0  # AVX-512 has 16 float32 numbers in a register
            assert 1600 < length * num_rows <= 3200 or num_rows == 16


def test_where_any_shape_will_do_nothing_is_padded_and_a_batch_has_up_to_800_tokens():
    lengths = np.random.default_rng(0).integers(2, 201, 5000)
    plan = any_shape(200).plan(lengths)
    for length, num_rows, members in plan:
        assert num_rows == len(members) and (lengths[members] == length).all() and length * num_rows <= 800
    assert max(num_rows for length, num_rows, _ in plan if length == 200) == 4


@pytest.mark.parametrize("shapes_of", SHAPES)
def test_batches_come_longest_first_so_that_memory_runs_out_at_once_or_never(shapes_of: Any):
    lengths = [length for length, _, _ in shapes_of(200).plan(np.array([10, 200, 30, 120, 60, 200]))]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] == 200


@pytest.mark.parametrize(("lanes", "full", "wanted"), [(16, True, [(4000, 16)]), (1, False, [(4000, 1), (4000, 1)])])
def test_chunks_longer_than_a_batchs_tokens_still_get_their_rows(lanes: int, full: bool, wanted: list[tuple[int, int]]):
    shapes = BatchShapes(np.array([4000]), 3200, lanes, full)
    assert [(length, rows) for length, rows, _ in shapes.plan(np.array([4000, 4000]))] == wanted


@pytest.mark.parametrize("shapes_of", SHAPES)
def test_no_chunks_need_no_batches(shapes_of: Any):
    assert shapes_of(200).plan(np.zeros(0, np.int64)) == []


def test_rows_are_padded_on_the_right_and_spare_rows_have_one_real_token():
    token_ids, mask = pad_tokens([np.array([2, 7, 3]), np.array([2, 3])], 4, 5)
    assert token_ids.dtype == np.int32 and mask.dtype == bool
    assert token_ids.tolist() == [[2, 7, 3, 0, 0], [2, 3, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    assert mask.astype(int).tolist() == [[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 0, 0, 0, 0]]


def test_a_real_token_of_id_0_is_not_taken_for_padding():
    _, mask = pad_tokens([np.array([2, 0, 3])], 1, 4)
    assert mask.tolist() == [[True, True, True, False]]
