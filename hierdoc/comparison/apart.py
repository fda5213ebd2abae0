"""Work in processes of its own: its memory told apart and given back, on cores that nobody shares, and never orphaned."""

from __future__ import annotations

import concurrent.futures.process
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hierdoc.errors import HierdocFailure

_OF_THREAD = threading.local()  # .cores: where the processes that this thread starts may run
_END = object()


def call(function: Callable[..., Any], **arguments: Any) -> None:
    """Call `function` in a process of its own, on this thread's cores (see `run_side_by_side`), and wait for its end.

    Raises:
        HierdocFailure: the process was killed.
        Exception: what the function raises.
    """
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        cores = getattr(_OF_THREAD, "cores", None)
        try:
            pool.submit(_call, os.getpid(), cores, function, arguments).result()
        except concurrent.futures.process.BrokenProcessPool:
            of_what = f"{function.__name__} of {arguments['run']}" if "run" in arguments else function.__name__
            raise HierdocFailure(
                f'{of_what}: its process was killed; perhaps the memory was full, or a script calls this without `if __name__ == "__main__":`'
            ) from None


def run_side_by_side(tasks: Sequence[Iterable[object]], at_once: int) -> None:
    """Go through every iterable of `tasks` to its end, so many of them at once, each in a thread with a share of the cores.

    The first that raises stops the others at their next item. With one at once there is no thread, and nothing is shared out.

    Raises:
        Exception: what an iterable raises.
    """
    if at_once == 1:
        for task in tasks:
            for _ in task:
                pass
        return
    stopped = threading.Event()

    shares = shares_of_cores(at_once)

    def go_through(task: Iterable[object]) -> None:
        _OF_THREAD.cores = cores = shares.pop()
        steps = iter(task)
        try:
            while not stopped.is_set() and next(steps, _END) is not _END:
                pass
        except BaseException:
            stopped.set()
            raise
        finally:
            shares.append(cores)

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        try:
            for future in concurrent.futures.as_completed([pool.submit(go_through, task) for task in tasks]):
                future.result()
        finally:
            stopped.set()


def shares_of_cores(count: int) -> list[list[int]]:
    """Return `count` lists of this process' cores: disjoint where there are as many, else each is in several lists."""
    cores = sorted(os.sched_getaffinity(0))
    return [cores[number % len(cores) :: count] for number in range(count)]


def _call(parent: int, cores: Sequence[int] | None, function: Callable[..., Any], arguments: dict[str, Any]) -> None:
    if cores is not None:
        os.sched_setaffinity(0, cores)  # before TensorFlow is loaded, which makes a thread for each core it may use
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    function(**arguments)


def _end_with(parent: int) -> None:
    """End this process when its parent has ended: nobody would be told what came of the work. The next run goes on."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
