"""Which of a generator's batches a training step is of, although Keras asks for batches ahead of its steps."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any


class Served:
    """Batches that a generator has yielded and no step has used yet.

    Keras 3 and tf-keras take a batch or two in the thread of `fit`, to see their shapes, and the others ahead of time in
    threads of TensorFlow's. What was taken ahead when an earlier `fit` ended is lost. Keras 3 puts the batches that it
    looked at in front of the others again in each epoch that ends with the generator's end.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Any]] = deque()
        self._looked_at: list[Any] = []
        self._again = 0

    def add(self, batch: Any) -> None:
        """Note a batch that the generator is about to yield."""
        self._waiting.append((threading.get_ident(), batch))

    def begin_training(self) -> None:
        """Keep what was looked at for this `fit`, and nothing that an earlier one has left."""
        here = threading.get_ident()
        self._looked_at = [batch for thread, batch in self._waiting if thread == here]
        self._waiting = deque((here, batch) for batch in self._looked_at)

    def begin_epoch(self) -> None:
        """Begin an epoch."""
        self._again = 0

    def end_training(self) -> None:
        """Forget what no step has used."""
        self._waiting.clear()

    def take(self) -> Any:
        """Return the batch of the step that has been taken, or None where nobody knows."""
        if self._waiting:
            return self._waiting.popleft()[1]
        if self._again < len(self._looked_at):
            self._again += 1
            return self._looked_at[self._again - 1]
        return None
