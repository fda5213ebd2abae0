"""Where long work stands, in one file that is replaced whole, so that it goes on from there after an interruption."""

from __future__ import annotations

import json
import time
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.progress import warn
from hierdoc.stages.files import atomic
from hierdoc.stages.store import CHECKPOINT, SCRATCH

FEWEST_SECONDS = 60.0  # between two checkpoints
MOST_SHARE = 0.02  # of the time may go into writing them


class Checkpoints:
    """The checkpoint of one stage: facts (JSON values) and named arrays, as NumPy's .npz without pickle.

    The file carries checksums; one that can't be read is told of, and the work begins anew.

    Attributes:
        scratch: a file beside it for what is worth keeping over an interruption, and no longer than the work lasts.
    """

    def __init__(self, folder: Path, saved: Callable[[], None] = lambda: None):
        """Keep the checkpoint in `folder`; `saved` is called after each one that was written."""
        self._path, self.scratch = folder / CHECKPOINT, folder / SCRATCH
        self._saved = saved
        self._last, self._cost = time.monotonic(), 0.0

    @property
    def exist(self) -> bool:
        """Whether an interrupted work has left one, which may be damaged."""
        return self._path.exists()

    def load(self) -> tuple[dict[str, Any], dict[str, np.ndarray]] | None:
        """Return (facts, arrays) of the last checkpoint, or None where there is none that can be read."""
        if not self.exist:
            return None
        try:
            with np.load(self._path, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            standing = json.loads(str(arrays.pop("standing")))
            if sorted(arrays) != standing["arrays"]:
                raise ValueError("arrays are missing")
            return standing["facts"], arrays
        # the last two: a flipped bit asks for a password or for another version of zip
        except (
            zipfile.BadZipFile,
            OSError,
            ValueError,
            KeyError,
            EOFError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            warn(f"{self._path}: can't be read ({error}); the work begins anew")
            return None

    def is_due(self) -> bool:
        """Return whether enough time has gone by since the last checkpoint."""
        return time.monotonic() - self._last >= max(FEWEST_SECONDS, self._cost / MOST_SHARE)

    def save(self, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
        """Replace the checkpoint, whole or not at all."""
        started = time.monotonic()
        with atomic(self._path) as partial, partial.open("wb") as file:
            standing = {"facts": dict(facts), "arrays": sorted(arrays)}
            np.savez(file, standing=np.array(json.dumps(standing)), **arrays)
        self._saved()
        self._last = time.monotonic()
        self._cost = self._last - started
