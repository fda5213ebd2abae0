"""What is read ahead and written behind: the same things in the same order, at the same time as the work, and every error."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hierdoc.stages.overlap import Behind, ahead


def test_ahead_yields_all_items_in_their_order():
    assert list(ahead(range(100))) == list(range(100))
    assert list(ahead([])) == [] and list(ahead([None, None])) == [None, None]


def test_ahead_makes_one_item_while_another_is_worked_on_and_no_more():
    made = [threading.Event() for _ in range(4)]

    def items() -> Iterator[int]:
        for number, event in enumerate(made):
            event.set()
            yield number

    coming = ahead(items())
    assert next(coming) == 0
    assert made[1].wait(20)
    assert not made[2].wait(0.05)
    coming.close()
    assert not made[2].is_set()


def test_what_making_an_item_raises_comes_in_its_place():
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("row 2")

    seen = []
    with pytest.raises(ValueError, match="row 2"):
        for item in ahead(items()):
            seen.append(item)
    assert seen == [1]


def test_behind_does_things_in_their_order_beside_the_work_and_all_of_them():
    free, done = threading.Event(), []

    def slow(number: int) -> None:
        assert free.wait(20)
        done.append(number)

    with Behind() as behind:
        behind.do(slow, 1)
        assert done == []  # and yet here we are
        free.set()
        behind.do(slow, 2)
        assert done == [1]
        behind.do(slow, 3)
    assert done == [1, 2, 3]


def test_what_is_raised_behind_is_raised_at_the_next_step_or_the_end():
    def fail() -> None:
        raise OSError("disk full")

    after = []
    with pytest.raises(OSError, match="disk full"), Behind() as behind:
        behind.do(fail)
        behind.do(after.append, 1)
    assert after == []
    with pytest.raises(OSError, match="disk full"), Behind() as behind:
        behind.do(fail)
    with pytest.raises(KeyError), Behind() as behind:  # what went wrong first is told
        behind.do(fail)
        raise KeyError
