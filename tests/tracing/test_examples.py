"""Each distinct example is kept once, by its content."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from hierdoc.tracing.batches import Batch, make_batch
from hierdoc.tracing.examples import Examples
from hierdoc.tracing.hashing import checksum_rows, hash_rows

DOCS = [np.random.default_rng(n).standard_normal((n % 3 + 1, 4)).astype(np.float32) for n in range(7)]
LABELS = [3, 1, 2, 3, 1, 2, 10]


def padded(members: list[int], length: int = 0, labels: list[int] | None = None, **named) -> Batch:
    """A batch of `DOCS`, padded with -99."""
    x = np.full((len(members), max(length, *(len(DOCS[at]) for at in members)), 4), -99.0)
    for row, at in enumerate(members):
        x[row, : len(DOCS[at])] = DOCS[at]
    return make_batch(x, None, labels or [LABELS[at] for at in members], pad_value=-99.0, **named)


def blake2b(row: np.ndarray) -> int:
    """docs/trace.md's hash of a vector, spelled out."""
    return int.from_bytes(hashlib.blake2b(row.astype("<f4").tobytes(), digest_size=8).digest(), "little")


def test_an_example_seen_again_in_other_company_and_padding_is_the_same():
    examples = Examples(with_sketches=True)
    assert examples.numbers_of(padded([0, 1, 2])).tolist() == [0, 1, 2]
    assert examples.numbers_of(padded([2, 0])).tolist() == [2, 0]
    assert examples.numbers_of(padded([1, 3], length=9)).tolist() == [1, 3]
    rows = examples.table().to_pylist()
    assert [row["example"] for row in rows] == [0, 1, 2, 3]
    assert [row["label_id"] for row in rows] == LABELS[:4]
    assert [row["mask_sum"] for row in rows] == [1, 2, 3, 1]
    for row, vectors in zip(rows, DOCS):
        assert row["hashes"] == [blake2b(vector) for vector in vectors]
        assert len(row["sketches"]) == 16 * len(vectors)
        assert row["doc_id"] is None and row["chunk_index"] is None


def test_an_example_is_hashed_once_however_often_and_padded_it_comes(monkeypatch: pytest.MonkeyPatch):
    hashed: list[int] = []
    monkeypatch.setattr("hierdoc.tracing.examples.hash_rows", lambda rows: hashed.append(len(rows)) or hash_rows(rows))
    examples = Examples(with_sketches=False)
    for length in (3, 4, 9):
        examples.numbers_of(padded([0, 1, 2], length))
        examples.numbers_of(padded([2, 1], length))
    assert hashed == [1, 2, 3]


def test_another_label_number_or_document_is_another_example():
    examples = Examples(with_sketches=False)
    examples.numbers_of(padded([0, 1, 2]))
    assert examples.numbers_of(padded([0], labels=[5])).tolist() == [3]
    changed = padded([1])
    changed.values[0, 1, 3] += np.float32(1e-6)
    assert examples.numbers_of(changed).tolist() == [4]
    assert examples.numbers_of(padded([2], doc_ids=["c"])).tolist() == [5]
    assert examples.numbers_of(padded([2], doc_ids=["d"])).tolist() == [6]
    assert examples.numbers_of(padded([2], doc_ids=["d"], chunk_index=[[0, 1, 2]])).tolist() == [7]
    assert examples.numbers_of(padded([2], doc_ids=["d"], chunk_index=[[0, 2, 1]])).tolist() == [8]
    assert examples.numbers_of(padded([0, 1, 2])).tolist() == [0, 1, 2]
    assert examples.table()["sketches"].null_count == 9


def test_what_was_noted_with_its_document_is_found_again_without_it():
    examples = Examples(with_sketches=False)
    examples.numbers_of(padded([0, 1], doc_ids=["a", "b"], chunk_index=[[0], [0, 1]]))
    assert examples.numbers_of(padded([1, 0])).tolist() == [1, 0]
    assert examples.numbers_of(padded([1], doc_ids=["b"])).tolist() == [1]
    assert examples.numbers_of(padded([1], doc_ids=["c"])).tolist() == [2]


def test_rows_under_the_mask_do_not_make_another_example():
    examples = Examples(with_sketches=False)
    x = np.arange(12, dtype=np.float32).reshape(1, 3, 4)
    first = examples.numbers_of(make_batch(x, [[1, 0, 1]], [0]))
    x[0, 1] = 77
    assert examples.numbers_of(make_batch(x, [[1, 0, 1]], [0])).tolist() == first.tolist() == [0]
    assert examples.numbers_of(make_batch(x, [[1, 1, 0]], [0])).tolist() == [1]  # as many real rows, but others


def test_chunks_are_hashed_without_padding():
    examples = Examples(with_sketches=True)
    ids = np.array([[101, 7, 102, 0, 0], [0, 0, 101, 7, 102], [101, 7, 102, 102, 0], [0, 0, 0, 0, 0]])
    assert examples.numbers_of(make_batch(ids, None, [0, 0, 0, 0], chunk_index=[4, 4, 5, 6])).tolist() == [0, 0, 1, 2]
    rows = examples.table().to_pylist()
    assert [row["mask_sum"] for row in rows] == [3, 4, 0]
    # by hand: printf '\x65\0\0\0\x07\0\0\0\x66\0\0\0' | b2sum -l 64
    assert rows[0]["hashes"] == [int.from_bytes(bytes.fromhex("968ac1d4be88787e"), "little")]
    assert [row["chunk_index"] for row in rows] == [[4], [5], [6]] and rows[0]["sketches"] is None


@pytest.mark.parametrize("with_ids", [True, False])
def test_restored_examples_go_on_as_if_nothing_had_happened(with_ids: bool):
    def batches() -> list[Batch]:
        named = {"doc_ids": list("abc"), "chunk_index": [[0], [0, 1], [2, 1, 0]]} if with_ids else {}
        return [padded([0, 1, 2], **named), padded([2, 1, 0]), padded([3, 4, 6]), padded([5, 0, 6])]

    whole, begun, resumed = (Examples(with_sketches=True) for _ in range(3))
    wanted = [whole.numbers_of(batch).tolist() for batch in batches()]
    found = [begun.numbers_of(batch).tolist() for batch in batches()[:2]]
    resumed.restore(begun.table())
    found += [resumed.numbers_of(batch).tolist() for batch in batches()[2:]]
    assert found == wanted
    assert resumed.table().equals(whole.table())


def test_memory_of_checksums_is_bounded_when_what_is_under_the_mask_keeps_changing():
    examples = Examples(with_sketches=False)
    for number in range(3000):
        x = np.float32([[[1, 2], [number, 0]]])
        assert examples.numbers_of(make_batch(x, [[1, 0]], [0])).tolist() == [0]
    assert len(examples._known) < 1100


def test_a_checksum_is_the_same_with_zeros_behind_and_another_for_other_numbers_or_another_order():
    rows = np.random.default_rng(0).standard_normal((5, 3, 3)).astype(np.float32)  # 9 numbers: not whole words
    wanted = checksum_rows(rows).tolist()
    assert len(set(wanted)) == 5
    assert checksum_rows(np.pad(rows, ((0, 0), (0, 7), (0, 0)))).tolist() == wanted
    swapped = rows[:, [1, 0, 2]]
    negated = rows * np.float32(-1)
    doubled = rows * np.float32(2)
    for other in (swapped, negated, doubled, np.nextafter(rows, 9)):
        assert not set(checksum_rows(other).tolist()) & set(wanted)
    assert checksum_rows(rows[:0]).tolist() == []
