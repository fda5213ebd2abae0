"""What a person sees while work goes on: messages and progress bars, on stderr."""

from __future__ import annotations

import sys

from tqdm import tqdm


def say(message: str) -> None:
    """Write one line to stderr, above a progress bar if one is showing."""
    tqdm.write(message, file=sys.stderr)
    sys.stderr.flush()


def warn(message: str) -> None:
    """Write one line to stderr that says something may not be as the person expects."""
    say(f"warning: {message}")


def bar(description: str, unit: str, total: int, done: int = 0) -> tqdm:
    """Return a progress bar with total, rate and ETA, in `unit`s; it shows on a terminal only.

    `done` of them were done by an earlier run and count for no rate.
    """
    return tqdm(
        total=total,
        initial=done,
        desc=description,
        unit=f" {unit}",
        disable=None,
        file=sys.stderr,
        dynamic_ncols=True,
        smoothing=0.05,
        leave=False,
    )
