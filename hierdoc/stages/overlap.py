"""Reading before and writing behind the work: each in a thread of its own, so that no core waits for a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Yield `items`; while one of them is worked on, the next is made in another thread.

    What making an item raises is raised where the item would come.
    """
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, iterator, end)
        while (item := coming.result()) is not end:
            coming = pool.submit(next, iterator, end)
            yield item


class Behind:
    """Does one thing after the other in another thread; used as `with Behind() as behind:`, which ends when all is done."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._doing: Future[Any] | None = None

    def __enter__(self) -> Behind:
        return self

    def __exit__(self, *raised: object) -> None:
        try:
            if raised[0] is None:
                self.wait()
        finally:
            self._pool.shutdown()

    def do(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Let `function(*arguments)` be done, once what was asked for before is; raises what that raised."""
        self.wait()
        self._doing = self._pool.submit(function, *arguments)

    def wait(self) -> None:
        """Wait for what was asked for; raises what it raised."""
        if self._doing is not None:
            doing, self._doing = self._doing, None
            doing.result()
