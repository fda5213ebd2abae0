"""history.jsonl: one line an epoch."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class History:
    """The epochs of a training so far, in memory and in a file.

    The file holds what is the same whenever the training is repeated; seconds and rates stay out of it.
    """

    def __init__(self, path: Path):
        self._path = path
        self.epochs: list[dict[str, Any]] = []
        self.restore([])

    def restore(self, epochs: Sequence[dict[str, Any]]) -> None:
        """Hold `epochs` and nothing else, in memory and in the file."""
        self._path.write_text("", encoding="utf-8")
        self.epochs = []
        for epoch in epochs:
            self.add(epoch)

    def add(self, epoch: dict[str, Any]) -> None:
        """Append one epoch."""
        self.epochs.append(epoch)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(epoch) + "\n")
