"""What a training tells of itself, by watching its batches or by being told: all of `hierdoc.trace.Recorder` but Keras' calls."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.errors import HierdocError
from hierdoc.stages.files import read_object
from hierdoc.tracing import batches, predictions, probing, weights
from hierdoc.tracing.files import FACTS, KINDS, is_trace
from hierdoc.tracing.record import Record, dev_table_of
from hierdoc.tracing.served import Served

MOST_SHARE = 0.02  # of the time may go into saving before training ends
ROWS_AT_ONCE = 512  # of arrays that hold all there is


class Notes:
    """Notes of one training, which become a trace; docs/trace.md describes them.

    Used as a context manager, they are saved when the block ends, also by an exception; what is not saved when the
    interpreter ends is saved then.
    """

    def __init__(
        self,
        folder: str | PathLike[str],
        kind: str,
        num_classes: int,
        labels: Sequence[str] | None = None,
        num_documents: int | None = None,
        weights_loaded: int | None = None,
        weights_expected: int | None = None,
        pad_value: float | None = None,
        pad_id: int = 0,
        dev: Callable[[], Iterable[Any]] | None = None,
    ):
        """Note nothing yet.

        Raises:
            HierdocError: `kind` is neither "chunks" nor "documents"; `dev` can't be called; there are no classes, or as many labels are not
                given; `folder` is a file, or holds a file of the name of a trace's that is none.
        """
        _check_facts(Path(folder), num_classes, labels)
        if kind not in KINDS:
            raise HierdocError(f"`kind` must be one of {', '.join(KINDS)}, but is {kind!r} instead")
        if dev is not None and not callable(dev):
            raise HierdocError("`dev` must be a function that returns batches, so that they can be read when wanted")
        self._folder, self._pad_value, self._pad_id, self._dev = Path(folder), pad_value, pad_id, dev
        self._record = Record(
            kind, num_classes, labels, num_documents, weights_loaded, weights_expected, with_sketches=True
        )
        self._guard = threading.RLock()  # batches are watched in threads of TensorFlow's
        self._served = Served()
        self._num_made: Counter[tuple[str, str]] = Counter()
        self._some_inputs: Any = None  # a batch's, for the probe
        self._is_under_way = self._has_unsaved = False
        self._saved_at, self._save_seconds = -float("inf"), 0.0
        pa.array(
            [0]
        )  # pyarrow imports pandas for its first array, and at the interpreter's end it is too late for that
        _all_notes.add(self)

    def watch(self, batches: Iterable[Any], with_doc_ids: bool = False) -> Iterator[Any]:
        """Yield training's `batches` unchanged, (x, y) or (x, y, sample_weights), and remember each until its step is done.

        Rows of sample weight 0 are not noted. With `with_doc_ids` each batch ends in its examples' document ids, which
        are kept and not yielded.

        Raises:
            HierdocError: a batch is of another form.
        """
        self._served = Served()
        return self._watched(self._served, iter(batches), with_doc_ids)

    def _watched(self, served: Served, items: Iterator[Any], with_doc_ids: bool) -> Iterator[Any]:
        for item in items:
            if not isinstance(item, tuple) or len(item) < 2 + with_doc_ids:
                wanted = "(x, y, doc_ids)" if with_doc_ids else "(x, y)"
                raise HierdocError(f"a watched batch must be a tuple {wanted}, but is {type(item).__name__} instead")
            given, doc_ids = (item[:-1], item[-1]) if with_doc_ids else (item, None)
            self._some_inputs = given[0]
            served.add(self._see(*given[:3], doc_ids=doc_ids))
            yield given

    def note_examples(
        self,
        label_ids: Any,
        doc_ids: Sequence[Any] | None = None,
        chunk_index: Any = None,
        token_ids: Any = None,
        vectors: Any = None,
        mask: Any = None,
    ) -> None:
        """Note what there is to learn from: N labels with token ids (N, T) or vectors (N, S, D).

        Raises:
            HierdocError: both or neither of them are given, or they are not of N examples.
        """
        inputs = self._inputs(token_ids, vectors, mask)
        num = max(len(label_ids), len(batches.split_inputs(inputs)[0]))
        for begin in range(0, num, ROWS_AT_ONCE):
            rows = slice(begin, begin + ROWS_AT_ONCE)
            part = [None if given is None else given[rows] for given in (label_ids, doc_ids, chunk_index)]
            self._see(predictions.cut_rows(inputs, rows.start, rows.stop), part[0], None, *part[1:])
        if self._some_inputs is None:
            self._some_inputs = predictions.cut_rows(inputs, 0, probing.MOST_EXAMPLES)

    def note_made(
        self,
        doc_ids: Sequence[Any],
        vectors: Any,
        chunk_index: Any = None,
        label_ids: Any = None,
        split: str = "train",
        predicted: Any = None,
    ) -> None:
        """Note vectors (N, D) as the encoder made them, batch after batch; see docs/trace.md.

        Raises:
            HierdocError: the arguments are not of N vectors.
        """
        names, made = [str(doc_id) for doc_id in doc_ids], np.asarray(vectors, np.float32)
        label_ids, predicted = (None if ids is None else batches.read_labels(ids) for ids in (label_ids, predicted))
        given = {"vectors": made, "chunk_index": chunk_index, "label_ids": label_ids, "predicted": predicted}
        for name, rows in given.items():
            if rows is not None and len(rows) != len(names):
                raise HierdocError(f"`{name}` must be of {len(names)} chunks as doc_ids, but is of {len(rows)} instead")
        if made.ndim != 2:
            raise HierdocError(f"`vectors` must have shape (N, D), but has {made.shape} instead")
        with self._guard:
            if chunk_index is None:
                chunk_index = np.empty(len(names), np.int32)
                for row, name in enumerate(names):
                    chunk_index[row] = self._num_made[split, name]
                    self._num_made[split, name] += 1
            index = np.asarray(chunk_index, np.int32)
            self._record.add_made(names, index, made, label_ids, str(split), predicted)
            self._has_unsaved = True

    def step(
        self,
        loss: Any,
        learning_rate: Any = None,
        label_ids: Any = None,
        doc_ids: Sequence[Any] | None = None,
        chunk_index: Any = None,
        token_ids: Any = None,
        vectors: Any = None,
        mask: Any = None,
    ) -> None:
        """Note one step of a loop that is not Keras'; without `label_ids`, on the next of the watched batches.

        Raises:
            HierdocError: as `note_examples`.
        """
        if label_ids is None:
            seen = self._served.take()
        else:
            self._some_inputs = self._inputs(token_ids, vectors, mask)
            seen = self._see(self._some_inputs, label_ids, None, doc_ids, chunk_index)
            if mask is None:  # what the loop gave its model besides, it does not say here
                seen = (*seen[:2], None)
        rate = None if learning_rate is None else float(np.asarray(learning_rate))
        self._add_step(len(self._record.epochs) + 1, float(np.asarray(loss)), rate, seen)

    def note_epoch(self, readings: Mapping[str, Any]) -> None:
        """Note an epoch's numbers, such as {"loss": 0.7, "val_accuracy": 0.9}."""
        self._record.epochs.append(dict(readings))
        self._has_unsaved = True

    def note_weights(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Note the trained arrays, by name, as they were before and after the training."""
        pair = [{name: np.asarray(array) for name, array in arrays.items()} for arrays in (before, after)]
        self._record.facts["weights"] = weights.describe_weights(*pair)
        self._has_unsaved = True

    def note_optimizer(self, name: str, parameters: Mapping[str, Any]) -> None:
        """Note the optimizer's name and parameters."""
        self._record.facts["optimizer"] = {"name": name, "parameters": dict(parameters)}
        self._has_unsaved = True

    def note_dev(
        self,
        label_ids: Any,
        probs: Any,
        doc_ids: Sequence[Any] | None = None,
        vectors: Any = None,
        mask: Any = None,
        token_ids: Any = None,
    ) -> None:
        """Note predictions on held-out examples, probabilities or logits (B, C); may be called batch after batch."""
        batch = self._batch_of(self._inputs(token_ids, vectors, mask), label_ids, doc_ids)
        with self._guard:
            self._record.add_dev(dev_table_of(batch, predictions.to_probs(probs)))
            self._has_unsaved = True

    def probe(self, predict: Callable[[Any], Any], batch: Any) -> None:
        """Try whether `predict` (x to probabilities or logits) gives an example the same alone, in company and padded.

        Args:
            predict: the trained model; called with x of training's form.
            batch: (x, y) or x: token ids, vectors, or [either, mask].
        """
        inputs = batch[0] if isinstance(batch, tuple) else batch
        self._record.facts["probe"] = probing.probe(predict, inputs, self._pad_value, self._pad_id)
        self._has_unsaved = True

    def save(self) -> None:
        """Write the trace; it is told as finished unless Keras is still at it."""
        self._save(finished=not self._is_under_way)

    def __enter__(self) -> Notes:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: Any) -> None:
        if self._has_unsaved or kind is not None:
            self._save(finished=kind is None and not self._is_under_way)

    def _inputs(self, token_ids: Any, vectors: Any, mask: Any) -> Any:
        if (token_ids is None) == (vectors is None):
            raise HierdocError("give either `token_ids` or `vectors`")
        try:
            main = np.asarray(vectors if token_ids is None else token_ids)
        except ValueError:
            name = "vectors" if token_ids is None else "token_ids"
            raise HierdocError(f"`{name}` must be one array: pad its rows to one length") from None
        return main if mask is None else [main, np.asarray(mask)]

    def _batch_of(self, inputs: Any, labels: Any, doc_ids: Any = None, chunk_index: Any = None) -> batches.Batch:
        main, mask = batches.split_inputs(inputs)
        return batches.make_batch(main, mask, labels, doc_ids, chunk_index, self._pad_value, self._pad_id)

    def _see(
        self, inputs: Any, labels: Any, sample_weights: Any = None, doc_ids: Any = None, chunk_index: Any = None
    ) -> tuple[np.ndarray, int, bool | None]:
        batch = self._batch_of(inputs, labels, doc_ids, chunk_index)
        rows = batches.learned_rows(sample_weights, len(batch))
        if rows is not None:
            batch = batches.take_rows(batch, rows)
        with self._guard:
            self._has_unsaved = True
            return self._record.examples.numbers_of(batch), batch.padded_length, batch.mask_given

    def _add_step(self, epoch: int, loss: float | None, rate: float | None, seen: Any) -> None:
        with self._guard:
            self._record.add_step(epoch, loss, rate, *(seen or (None, None, None)))
            self._has_unsaved = True

    def _save(self, finished: bool) -> None:
        started = time.monotonic()
        with self._guard:
            self._record.save(self._folder, finished)
            self._has_unsaved = False
        self._saved_at = time.monotonic()
        self._save_seconds = self._saved_at - started


_all_notes: weakref.WeakSet[Notes] = weakref.WeakSet()


@atexit.register
def _save_what_is_not() -> None:
    """Save what has been noted and not saved, such as when `fit` has raised."""
    for notes in list(_all_notes):
        if notes._has_unsaved:
            notes._save(finished=False)


def _check_facts(folder: Path, num_classes: int, labels: Sequence[str] | None) -> None:
    """Check before the training what would only fail behind it."""
    if isinstance(num_classes, bool) or not isinstance(num_classes, (int, np.integer)) or num_classes < 1:
        raise HierdocError(f"`num_classes` must be a whole number of at least 1, but is {num_classes!r} instead")
    if labels is not None and len(labels) != num_classes:
        raise HierdocError(f"`labels` must be {num_classes}, as `num_classes` says, but are {len(labels)} instead")
    if folder.exists() and not folder.is_dir():
        raise HierdocError(f"{folder}: a trace is a folder, and this is a file")
    if is_trace(folder) and "format" not in read_object(folder / FACTS):
        raise HierdocError(f"{folder / FACTS}: is not of a trace, and would be replaced")
