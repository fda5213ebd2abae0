"""Documents' vectors as right-padded sequences with a mask."""

from __future__ import annotations

import numpy as np

from hierdoc.sequences import batches
from hierdoc.sequences.batches import batches_in_order, make_batch, padded_chunks, plan_epoch, rows_for
from hierdoc.sequences.grouping import DocumentVectors


def documents_of(num_chunks: list[int]) -> DocumentVectors:
    """Documents whose vectors are (document's number + 1, chunk's number + 1), so that no real vector is all zeros."""
    vectors = [[document + 1, chunk + 1] for document, count in enumerate(num_chunks) for chunk in range(count)]
    starts = np.cumsum([0, *num_chunks])
    return DocumentVectors(
        [f"{number:04d}" for number in range(len(num_chunks))],
        np.float32(vectors),
        np.zeros((len(vectors), 1), np.float32),
        starts,
    )


def test_a_batch_is_padded_on_the_right_and_spare_rows_hold_one_chunk_of_zeros():
    batch = make_batch(documents_of([2, 1, 3, 5]), np.array([2, 0]), num_rows=4)
    assert batch.vectors.dtype == np.float32 and batch.mask.dtype == bool
    assert batch.members.tolist() == [2, 0]
    assert batch.vectors.tolist() == [
        [[3, 1], [3, 2], [3, 3]],
        [[1, 1], [1, 2], [0, 0]],
        [[0, 0], [0, 0], [0, 0]],
        [[0, 0], [0, 0], [0, 0]],
    ]
    assert batch.mask.astype(int).tolist() == [[1, 1, 1], [1, 1, 0], [1, 0, 0], [1, 0, 0]]


def test_a_batch_has_32_rows_unless_asked_for_others():
    batch = make_batch(documents_of([1, 1]), np.array([1]))
    assert batch.vectors.shape == (32, 1, 2) and batch.mask.sum() == 32


def test_an_epoch_sees_each_document_once_in_batches_of_32_and_reshuffles():
    num_chunks = np.random.default_rng(0).integers(1, 30, 1000)
    plans = [plan_epoch(num_chunks, np.random.default_rng(seed)) for seed in (0, 0, 1)]
    for plan in plans:
        assert sorted(np.concatenate(plan).tolist()) == list(range(1000))
        assert sorted(map(len, plan))[-31:] == [32] * 31 and sum(map(len, plan)) == 1000
    as_lists = [[members.tolist() for members in plan] for plan in plans]
    assert as_lists[0] == as_lists[1] != as_lists[2]
    assert {frozenset(members) for members in as_lists[0]} != {frozenset(members) for members in as_lists[2]}


def test_documents_of_one_batch_have_similar_lengths_and_batches_come_in_no_order_of_length():
    num_chunks = np.random.default_rng(0).integers(1, 200, 512)
    plan = plan_epoch(num_chunks, np.random.default_rng(0))
    spans = [int(np.ptp(num_chunks[members])) for members in plan]
    assert max(spans) < 40  # a 16th of 512 sorted documents of 1 to 199 chunks: about 12; unsorted: about 190
    means = [float(num_chunks[members].mean()) for members in plan]
    assert means != sorted(means) and means != sorted(means, reverse=True)


def test_every_document_comes_once_shortest_first():
    num_chunks = np.random.default_rng(0).integers(1, 9, 70).tolist()
    documents = documents_of(num_chunks)
    batches = list(batches_in_order(documents))
    assert [batch.vectors.shape[1] for batch in batches] == [1, 2, 3, 4, 6, 8]
    members = [member for batch in batches for member in batch.members.tolist()]
    assert sorted(members) == list(range(70))
    assert [num_chunks[member] for member in members] == sorted(num_chunks)
    for batch in batches:
        assert batch.vectors.shape[0] == 32
        for row, member in enumerate(batch.members.tolist()):
            length = num_chunks[member]
            assert batch.vectors[row, :length].tolist() == [[member + 1, chunk + 1] for chunk in range(length)]
            assert batch.mask[row].tolist() == [True] * length + [False] * (batch.mask.shape[1] - length)
            assert (batch.vectors[row, length:] == 0).all()


def test_the_longer_a_document_the_fewer_rows_its_batch_has():
    lengths = [1, 32, 511, 512, 513, 1024, 1025, 2048, 2049, 4096, 4097, 8192, 8193, 16384, 16385, 60000, 10**6]
    assert rows_for(np.array(lengths)).tolist() == [32, 32, 32, 32, 16, 16, 8, 8, 4, 4, 2, 2, 1, 1, 1, 1, 1]
    assert rows_for(np.zeros(0, np.int64)).tolist() == []


def naive_epoch(num_chunks: np.ndarray, rng: np.random.Generator) -> list[list[int]]:
    """The plan as it was when all batches had 32 rows."""
    order = rng.permutation(len(num_chunks))
    plan = []
    for at in range(0, len(order), 512):
        members = sorted(order[at : at + 512].tolist(), key=lambda member: num_chunks[member])
        plan += [members[start : start + 32] for start in range(0, len(members), 32)]
    return [plan[at] for at in rng.permutation(len(plan))]


def test_documents_of_up_to_512_chunks_are_batched_as_ever():
    for seed in range(5):
        num_chunks = np.random.default_rng(seed).integers(1, 513, 1300)
        plan = plan_epoch(num_chunks, np.random.default_rng(seed))
        assert [members.tolist() for members in plan] == naive_epoch(num_chunks, np.random.default_rng(seed))


def test_a_documents_own_length_decides_how_long_its_batch_is():
    lengths = [1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 17, 24, 25, 33, 48, 49, 385, 512, 513, 769]
    wanted = [1, 2, 3, 4, 6, 6, 8, 12, 12, 16, 24, 24, 32, 48, 48, 64, 512, 512, 768, 1024]
    assert padded_chunks(np.array(lengths)).tolist() == wanted
    whole = {}
    for members in ([3, 500, 1, 512, 2, 5, 6, 5], [500, 6], [5, 5, 1]):
        for batch in batches_in_order(documents_of(members)):
            for member in batch.members.tolist():
                shape = whole.setdefault(members[member], batch.vectors.shape)
                assert batch.vectors.shape == shape
    assert whole[500] == (32, 512, 2) and whole[5] == (32, 6, 2)


def test_long_documents_stand_in_batches_of_their_own_length_class(monkeypatch):
    monkeypatch.setattr(batches, "MANY_CHUNKS", 4)
    num_chunks = np.random.default_rng(0).integers(1, 300, 700)
    documents = documents_of(num_chunks.tolist())
    in_order = list(batches_in_order(documents))
    for made in (
        in_order,
        [make_batch(documents, members) for members in plan_epoch(num_chunks, np.random.default_rng(0))],
    ):
        assert sorted(member for batch in made for member in batch.members.tolist()) == list(range(700))
        for batch in made:
            assert set(rows_for(num_chunks[batch.members]).tolist()) == {len(batch.mask)} and len(batch.members)
            longest = num_chunks[batch.members].max()
            assert batch.vectors.shape[1] in (longest, padded_chunks(longest[None])[0])
            assert batch.vectors.shape[0] * batch.vectors.shape[1] <= 384
    assert {len(batch.mask) for batch in in_order} == {1, 2, 4, 8, 16, 32}
    members = [member for batch in in_order for member in batch.members.tolist()]
    assert [num_chunks[member] for member in members] == sorted(num_chunks)


def test_no_documents_are_no_batches():
    empty = DocumentVectors([], np.zeros((0, 2), np.float32), np.zeros((0, 1), np.float32), np.zeros(1, np.int64))
    assert list(batches_in_order(empty)) == [] and plan_epoch(np.zeros(0, np.int64), np.random.default_rng(0)) == []
