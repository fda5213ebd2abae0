"""hierdoc.trace.Recorder: writes what your own training saw and came to, for `python -m hierdoc.doctor`.

    from hierdoc.trace import Recorder

    recorder = Recorder("trace", kind="documents", num_classes=10, pad_value=-99.0)
    model.fit(recorder.watch(batches()), steps_per_epoch=100, epochs=10, callbacks=[recorder])

docs/trace.md describes what is noted and what is written.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from hierdoc.tracing import pad_rows, predictions, probing, weights
from hierdoc.tracing.keras_hooks import KerasHooks, StepLosses
from hierdoc.tracing.notes import MOST_SHARE, Notes
from hierdoc.tracing.record import dev_table_of


class Recorder(Notes, KerasHooks):
    """Writes a trace of a training: a Keras callback (tf-keras and Keras 3), and calls for any other loop.

    It holds hashes and 16 numbers for each vector, not the vectors. Used as a context manager, it saves when the block
    ends, also by an exception; what is not saved when the interpreter ends is saved then.

    docs/trace.md says what its arguments and those of its methods are.
    """

    _weights_before: Mapping[str, np.ndarray] | None = None
    _epoch, _batch = 0, 0
    _rate: float | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        """Take the weights and the optimizer as they are before training."""
        self._is_under_way = self._has_unsaved = True
        self._losses = StepLosses()
        self._served.begin_training()
        self._record.facts["optimizer"] = weights.describe_optimizer(getattr(self.model, "optimizer", None))
        if self._weights_before is None:
            self._weights_before = weights.trained_arrays(self.model)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Count epochs over all calls of `fit`."""
        self._epoch = len(self._record.epochs) + 1
        self._served.begin_epoch()
        self._losses.begin_epoch()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """Take the learning rate of the step that comes."""
        self._batch, self._rate = batch, weights.rate_now(self.model.optimizer)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note the step, or the steps that Keras took at once."""
        loss = self._losses.read(self.model, logs)
        for _ in range(batch - self._batch + 1):
            self._add_step(self._epoch, loss, self._rate, self._served.take())

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Note Keras' readings; save when little time went into saving so far."""
        self.note_epoch({name: float(np.asarray(value).mean()) for name, value in (logs or {}).items()})
        if time.monotonic() - self._saved_at >= self._save_seconds / MOST_SHARE:
            self._save(finished=False)

    def on_train_end(self, logs: Any = None) -> None:
        """Take the weights as they are after training, read dev, probe, and save."""
        self._is_under_way = False
        self._served.end_training()
        try:
            after = weights.trained_arrays(self.model)
            if after is not None:
                self._record.facts["weights"] = weights.describe_weights(self._weights_before or {}, after)
            self._read_dev()
        finally:
            self._save(finished=True)
            self.model = None

    def _read_dev(self) -> None:
        model = self.model

        def predict(inputs: Any) -> np.ndarray:
            return predictions.first_output(model(inputs, training=False))

        seen, outputs = [], []
        for inputs, labels, *doc_ids in () if self._dev is None else self._dev():
            self._some_inputs = self._some_inputs if seen else inputs
            seen.append(self._batch_of(inputs, labels, doc_ids[0] if doc_ids else None))
            outputs.append(predictions.outputs_of(predict, inputs))
        if seen:
            probs = predictions.to_probs(np.concatenate(outputs))  # together: all are logits or none
            starts = np.cumsum([len(batch) for batch in seen])[:-1]
            self._record.set_dev([dev_table_of(*pair) for pair in zip(seen, np.split(probs, starts), strict=True)])
        if self._some_inputs is not None:
            self.probe(predict, (self._some_inputs,))
            self._probe_pinned(predict)

    def _probe_pinned(self, predict: Any) -> None:
        """Try by its embedding whether padding is read, where the model was asked and takes no other length."""
        found = self._record.facts["probe"]
        if found["repeat"] is None or found["padding"] is not None:
            return
        some = predictions.cut_rows(self._some_inputs, 0, probing.MOST_EXAMPLES)
        with contextlib.suppress(Exception):  # someone else's model: whatever it raises, it can't be tried so
            found["padding"] = pad_rows.padding_by_its_embedding(predict, some, self.model.weights, self._pad_id)
