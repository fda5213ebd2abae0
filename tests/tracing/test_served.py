"""Which batch a step is of, in the orders in which Keras asks."""

from __future__ import annotations

import threading

from hierdoc.tracing.served import Served


def ahead(served: Served, *batches: str) -> None:
    """Ask for batches as TensorFlow does, in another thread."""
    thread = threading.Thread(target=lambda: [served.add(batch) for batch in batches])
    thread.start()
    thread.join()


def test_steps_take_batches_in_order_and_prefetched_ones_wait():
    served = Served()
    served.add("a")
    served.begin_training()
    ahead(served, "b", "c")
    assert [served.take(), served.take()] == ["a", "b"]
    ahead(served, "d")
    assert [served.take(), served.take()] == ["c", "d"]


def test_what_an_earlier_fit_has_asked_for_and_not_used_is_lost():
    served = Served()
    served.add("a")
    served.begin_training()
    ahead(served, "b", "c")
    assert served.take() == "a"
    served.end_training()
    ahead(served, "d")  # a thread of the first fit's that was still at it
    served.add("e")
    served.begin_training()
    ahead(served, "f")
    assert [served.take(), served.take()] == ["e", "f"]


def test_keras_3_gives_its_first_two_again_in_each_epoch_after_the_generators_end():
    served = Served()
    served.add("a")
    served.add("b")
    served.begin_training()
    served.begin_epoch()
    ahead(served, "c")
    assert [served.take() for _ in range(3)] == ["a", "b", "c"]
    for _ in range(2):
        served.begin_epoch()
        assert [served.take() for _ in range(3)] == ["a", "b", None]


def test_without_a_watched_generator_nobody_knows():
    served = Served()
    served.begin_training()
    assert served.take() is None
