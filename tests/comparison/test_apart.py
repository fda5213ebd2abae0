"""Work in processes of its own, side by side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hierdoc.comparison import apart
from hierdoc.errors import HierdocFailure

ROOT = Path(__file__).parents[2]


def note_cores(note: str) -> None:
    Path(note).write_text(" ".join(map(str, sorted(os.sched_getaffinity(0)))))


def fail(what: str) -> None:
    raise ValueError(what)


def test_a_call_has_a_process_of_its_own_with_all_cores(tmp_path: Path):
    apart.call(note_cores, note=str(tmp_path / "cores"))
    assert (tmp_path / "cores").read_text() == " ".join(map(str, sorted(os.sched_getaffinity(0))))
    with pytest.raises(ValueError, match="told here"):
        apart.call(fail, what="told here")


def die(run: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_is_killed_is_told_in_one_line():
    with pytest.raises(
        HierdocFailure, match="^die of runs/a: its process was killed; perhaps the memory was full, or a script calls "
    ):
        apart.call(die, run="runs/a")


def test_what_runs_side_by_side_has_cores_of_its_own(tmp_path: Path):
    both = threading.Barrier(2, timeout=60)  # neither gets past it alone

    def task(name: str) -> Iterator[None]:
        both.wait()
        apart.call(note_cores, note=str(tmp_path / name))
        yield

    apart.run_side_by_side([task("a"), task("b")], at_once=2)
    found = [(tmp_path / name).read_text().split() for name in ("a", "b")]
    cores = {str(core) for core in os.sched_getaffinity(0)}
    assert {*found[0], *found[1]} == cores
    if len(cores) > 1:
        assert not {*found[0]} & {*found[1]}


@pytest.mark.parametrize(
    ("cores", "count", "shares"),
    [
        ({0, 1}, 2, [[0], [1]]),
        ({4, 5, 6, 7, 9}, 2, [[4, 6, 9], [5, 7]]),
        ({3}, 2, [[3], [3]]),
        ({0, 1}, 3, [[0], [1], [0]]),
    ],
)
def test_the_shares_are_disjoint_where_there_are_cores_enough(cores, count, shares, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: cores)
    assert apart.shares_of_cores(count) == shares


@pytest.mark.parametrize("at_once", [1, 2])
def test_every_task_goes_to_its_end(at_once: int):
    done = []

    def task(number: int) -> Iterator[None]:
        for step in range(3):
            done.append((number, step))
            yield

    apart.run_side_by_side([task(number) for number in range(5)], at_once)
    assert sorted(done) == [(number, step) for number in range(5) for step in range(3)]


def test_a_failure_is_told_and_stops_what_runs_beside_it_and_what_has_not_begun():
    done = []

    def failing() -> Iterator[None]:
        while not done:  # the other is under way
            time.sleep(0.01)
        yield
        raise ValueError("told here")

    def endless() -> Iterator[None]:
        while True:
            done.append("step")
            time.sleep(0.01)
            yield

    def never() -> Iterator[None]:
        done.append("never")
        yield

    with pytest.raises(ValueError, match="told here"):
        apart.run_side_by_side([failing(), endless(), never()], at_once=2)
    assert "never" not in done


def test_a_call_ends_with_the_process_that_asked_for_it(tmp_path: Path):
    script, note = tmp_path / "asks.py", tmp_path / "pid"
    script.write_text(
        "import os, sys, time\n"
        "from pathlib import Path\n"
        "def work(note):\n"
        "    Path(note).write_text(str(os.getpid()))\n"
        "    time.sleep(120)\n"
        "if __name__ == '__main__':\n"
        "    from hierdoc.comparison import apart\n"
        "    apart.call(work, note=sys.argv[1])\n",
        encoding="utf-8",
    )
    asking = subprocess.Popen([sys.executable, script, note], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert comes_true(lambda: note.exists() and note.read_text())
    working = int(note.read_text())
    asking.kill()
    asking.wait()
    status = Path(f"/proc/{working}/status")
    assert comes_true(lambda: not status.exists() or "State:\tZ" in status.read_text())


def comes_true(condition: Callable[[], object], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return bool(condition())
