"""The order in which fine-tuning sees chunks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from hierdoc.learning.chunk_batches import make_batches, num_updates, plan_epoch
from hierdoc.sequences.reading import TrainingChunks

DOCUMENT_OF = np.repeat(np.arange(60), np.arange(60) % 9 + 1)  # 60 documents of 1 to 9 chunks, in order
LENGTHS = np.random.default_rng(0).integers(2, 201, len(DOCUMENT_OF))
BUCKETS = (25, 50, 100, 150, 200)


def chunks_of(rows: list[np.ndarray], label_ids: list[int], doc_ids: list[str], index: list[int]) -> TrainingChunks:
    """Chunks by their token ids, labels, documents and places in them."""
    names = sorted(set(doc_ids))
    numbers = np.array([names.index(doc_id) for doc_id in doc_ids])
    return TrainingChunks(
        rows, np.array([len(row) for row in rows]), numbers, np.int32(label_ids), np.int32(index), names
    )


def as_lists(plan: list[tuple[int, np.ndarray]]) -> list[tuple[int, list[int]]]:
    return [(length, members.tolist()) for length, members in plan]


def chosen(plan: list[tuple[int, np.ndarray]]) -> list[int]:
    return [index for _, members in plan for index in members.tolist()]


def test_every_chunk_is_seen_once_an_epoch():
    for epoch in range(3):
        assert sorted(chosen(plan_epoch(DOCUMENT_OF, LENGTHS, 200, None, 0, epoch))) == list(range(len(DOCUMENT_OF)))


@pytest.mark.parametrize(("per_document", "size"), [(None, 16), (2, 16), (None, 3), (2, 3), (None, 1000)])
def test_a_step_holds_so_many_chunks_of_one_bucket_and_one_step_of_each_bucket_may_hold_fewer(
    per_document: int | None, size: int
):
    plan = plan_epoch(DOCUMENT_OF, LENGTHS, 200, per_document, 0, 0, *([] if size == 16 else [size]))
    short = Counter()
    for length, members in plan:
        below = max(bucket for bucket in (0, *BUCKETS) if bucket < length)
        assert length in BUCKETS and (LENGTHS[members] <= length).all() and (LENGTHS[members] > below).all()
        assert 1 <= len(members) <= size
        short[length] += len(members) < size
    assert max(short.values()) <= 1 and len(short) == 5


def test_the_same_seed_and_epoch_make_the_same_plan_and_others_make_others():
    first = as_lists(plan_epoch(DOCUMENT_OF, LENGTHS, 200, 2, 0, 0))
    assert as_lists(plan_epoch(DOCUMENT_OF, LENGTHS, 200, 2, 0, 0)) == first
    for seed, epoch in ((0, 1), (1, 0), (1, 1)):
        assert as_lists(plan_epoch(DOCUMENT_OF, LENGTHS, 200, 2, seed, epoch)) != first


def test_chunks_are_shuffled_and_so_are_the_steps():
    lengths = np.full(640, 20)
    lengths[320:] = 190
    plan = plan_epoch(np.arange(640), lengths, 200, None, 0, 0)
    in_order = chosen(plan)
    assert in_order != sorted(in_order)
    first_steps = [length for length, _ in plan[:20]]
    assert {25, 200} == set(first_steps)  # not all short chunks first: 20 of 40 steps
    # neighbours in the table are rarely neighbours in a step
    assert sum(abs(a - b) == 1 for a, b in zip(in_order, in_order[1:], strict=False)) < 32


def test_each_document_gives_k_chunks_without_repetition_or_all_it_has():
    for per_document in (1, 3, 100):
        taken = chosen(plan_epoch(DOCUMENT_OF, LENGTHS, 200, per_document, 0, 0))
        assert len(set(taken)) == len(taken)
        counts = Counter(DOCUMENT_OF[taken].tolist())
        assert counts == {document: min(per_document, document % 9 + 1) for document in range(60)}


def test_which_chunks_of_a_document_are_drawn_is_uniform_over_its_chunks_and_changes_by_epoch():
    document_of, lengths = np.repeat(np.arange(50), 10), np.full(500, 20)
    counts = np.zeros(10)
    for epoch in range(40):
        taken = np.array(chosen(plan_epoch(document_of, lengths, 200, 2, 0, epoch)))
        counts += np.bincount(taken % 10, minlength=10)
    assert counts.sum() == 4000
    # 400 are expected in each place, with a deviation of sqrt(4000 * 0.1 * 0.9) = 19; drawing is without replacement,
    # which makes it smaller still
    assert np.abs(counts - 400).max() < 5 * 19
    first = set(chosen(plan_epoch(document_of, lengths, 200, 2, 0, 0)))
    assert first != set(chosen(plan_epoch(document_of, lengths, 200, 2, 0, 1)))


def test_the_documents_rows_need_not_stand_together():
    order = np.random.default_rng(3).permutation(len(DOCUMENT_OF))
    taken = chosen(plan_epoch(DOCUMENT_OF[order], LENGTHS[order], 200, 3, 0, 0))
    counts = Counter(DOCUMENT_OF[order][taken].tolist())
    assert counts == {document: min(3, document % 9 + 1) for document in range(60)}


@pytest.mark.parametrize("size", [16, 5])
def test_a_batch_is_padded_to_as_many_rows_with_labels_and_weights_of_the_real_ones(size: int):
    rows = [np.array([2, 5, 3]), np.array([2, 3]), np.array([2, 6, 7, 8, 3])]
    class_weights = np.float32([0.5, 2.0, 1.25])
    (make,) = make_batches(
        [(6, np.array([2, 0]))],
        chunks_of(rows, [1, 0, 2], ["b", "a", "a"], [0, 0, 1]),
        class_weights,
        **({} if size == 16 else {"batch_size": size}),
    )
    batch = make()
    token_ids, mask = batch.inputs
    assert token_ids.shape == mask.shape == (size, 6)
    assert token_ids[:2].tolist() == [[2, 6, 7, 8, 3, 0], [2, 5, 3, 0, 0, 0]]
    assert mask.sum(axis=1).tolist() == [5, 3] + [1] * (size - 2) and mask[:, 0].all()
    assert batch.label_ids.dtype == np.int32 and batch.label_ids.tolist() == [2, 1] + [0] * (size - 2)
    assert batch.weights.dtype == np.float32 and batch.weights.tolist() == [1.25, 2.0] + [0] * (size - 2)
    assert batch.num_examples == 2
    assert batch.doc_ids == ["a", "b"] and [index.tolist() for index in batch.chunk_index] == [[1], [0]]


def test_each_step_of_the_plan_has_its_own_batch_made_when_it_is_called():
    rows = [np.array([2, at, 3]) for at in range(5, 10)]
    chunks = chunks_of(rows, [0, 1, 0, 1, 0], list("abcde"), [0] * 5)
    makes = make_batches([(3, np.array([4])), (3, np.array([0, 1]))], chunks, np.float32([1, 1]))
    rows[4] = np.array([2, 99, 3])
    assert [make().inputs[0][0].tolist() for make in makes] == [[2, 99, 3], [2, 5, 3]]


@pytest.mark.parametrize(("accumulation", "wanted"), [(1, [1, 1, 1, 1, 1]), (2, [0, 1, 0, 1, 1]), (9, [0, 0, 0, 0, 1])])
def test_the_weights_change_after_so_many_steps_and_after_the_last(accumulation: int, wanted: list[int]):
    chunks = chunks_of([np.array([2, 3])] * 5, [0] * 5, ["a"] * 5, list(range(5)))
    plan = [(2, np.array([at])) for at in range(5)]
    makes = make_batches(plan, chunks, np.float32([1]), accumulation)
    assert [make().updates for make in makes] == wanted
    assert num_updates(5, accumulation) == sum(wanted)
