"""The trace that hierdoc's own trainings write beside their history; docs/trace.md describes it.

What a step is noted with is read from the batch that was given to it. Everything goes into the training's checkpoint, so
that a training that goes on leaves the same bytes.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.objectives import losses
from hierdoc.tracing import probing
from hierdoc.tracing.batches import Batch, noted_labels
from hierdoc.tracing.hashing import hash_rows
from hierdoc.tracing.predictions import to_probs
from hierdoc.tracing.record import Record, dev_table
from hierdoc.tracing.weights import describe_optimizer, describe_weights


@dataclass(frozen=True)
class HeldOut:
    """The dev examples of a training.

    Attributes:
        doc_ids, label_ids: of each; -1 for a class that train never saw; of any number of labels, bool (N, C).
        rows: the vectors of its chunks (S, D), or its token ids (T,).
    """

    doc_ids: Sequence[str]
    label_ids: np.ndarray
    rows: Sequence[np.ndarray]


class TrainingTrace:
    """Notes of one training, on their way into its stage's directory."""

    def __init__(
        self,
        folder: Path,
        run: str | PathLike[str],
        kind: str,
        labels: Sequence[str],
        num_documents: int,
        weights_loaded: int = 0,
        weights_expected: int = 0,
        multi_label: bool = False,
    ):
        """Begin a trace that goes into `folder`, of the run directory `run`; else as `hierdoc.trace.Recorder`.

        With `multi_label`, an example has any number of labels, of which nothing is noted.
        """
        self.doctor_command = shlex.join(["python", "-m", "hierdoc.doctor", str(run)])
        self._folder = folder
        self._record = Record(
            kind, len(labels), labels, num_documents, weights_loaded, weights_expected, multi_label=multi_label
        )
        self._before: dict[str, np.ndarray] = {}
        self._dev_probs: np.ndarray | None = None
        self._kept_dev_probs: np.ndarray | None = None

    def note_uninformed(self, loss: float) -> None:
        """Note the loss of who knows only how frequent the labels are, where it is not the labels' entropy."""
        self._record.facts["uninformed_loss"] = loss

    def begin(self, variables: Sequence[Any], optimizer: Any) -> None:
        """Note what a training begins with, before a checkpoint is loaded."""
        self._before = _arrays(variables)
        self._record.facts["optimizer"] = describe_optimizer(optimizer)

    def add_examples(self, batch: Batch) -> np.ndarray:
        """Return the numbers of a batch's examples, int32 (B,), having noted those that are new."""
        return self._record.examples.numbers_of(batch)

    def add_step(self, batch: Batch, epoch: int, loss: float, learning_rate: float | None) -> None:
        """Note a step, on a batch as the model saw it, without the rows that only fill up."""
        numbers = self.add_examples(batch)
        self._record.add_step(epoch, loss, learning_rate, numbers, batch.padded_length, batch.mask_given)

    def note_dev(self, probs: np.ndarray) -> None:
        """Note the probabilities (B, C) of the dev examples with the weights as they are."""
        self._dev_probs = probs

    def keep_dev(self) -> None:
        """Take what was noted of dev last for that of the weights that are kept."""
        self._kept_dev_probs = self._dev_probs

    def end(self, variables: Sequence[Any]) -> None:
        """Note the weights that are kept."""
        self._record.facts["weights"] = describe_weights(self._before, _arrays(variables))
        self._before = {}

    def probe(self, predict: Callable[[Any], Any], inputs: tuple[np.ndarray, np.ndarray]) -> None:
        """Try whether logits of [values, mask] depend on company, padding or chance."""
        self._record.facts["probe"] = probing.probe(predict, list(inputs), most_examples=len(inputs[0]))

    def state(self) -> dict[str, np.ndarray]:
        """Return all that has been noted of steps as plain arrays."""
        kept = {} if self._kept_dev_probs is None else {"dev": self._kept_dev_probs}
        return {**self._record.state(), **kept}

    def restore(self, state: Mapping[str, np.ndarray]) -> None:
        """Hold what `state` holds, and nothing else."""
        self._record.restore(state)
        self._kept_dev_probs = state.get("dev")

    def save(self, epochs: Sequence[Mapping[str, Any]], held_out: HeldOut | None, finished: bool) -> None:
        """Write the trace: with a reading for each epoch, and what the kept weights say of dev."""
        self._record.epochs = [dict(epoch) for epoch in epochs]
        if held_out is not None and self._kept_dev_probs is not None:
            self._record.set_dev([_dev_table(held_out, self._kept_dev_probs)])
        self._record.save(self._folder, finished)


def note_uninformed(
    trace: TrainingTrace, label_ids: np.ndarray, class_weights: np.ndarray, parameters: Mapping[str, Any]
) -> None:
    """Note the loss of who knows only how frequent the labels are, where classes are weighed or the loss is not the cross-entropy.

    Args:
        label_ids: of train, int (N,); nothing is noted of any number of labels.
        class_weights: float32 (C,).
        parameters: `focal_gamma` and `label_smoothing` among them.
    """
    changed = {name: parameters[name] for name in ("focal_gamma", "label_smoothing") if parameters[name]}
    if label_ids.ndim == 1 and (changed or (class_weights != 1).any()):
        trace.note_uninformed(losses.uninformed_loss(label_ids, class_weights, **changed))


def spread(lengths: np.ndarray, num: int, longest: int) -> np.ndarray:
    """Return which `num` of examples to probe: of many lengths, none above `longest` where there are enough others."""
    order = np.argsort(lengths, kind="stable")
    short = order[: max(num, int((lengths <= longest).sum()))]
    return short[np.unique(np.linspace(0, len(short) - 1, min(num, len(short))).round().astype(int))]


def _dev_table(held_out: HeldOut, probs: np.ndarray) -> Any:
    hashes = [hash_rows(row if row.ndim == 2 else row[None]) for row in held_out.rows]
    return dev_table(
        held_out.doc_ids, noted_labels(held_out.label_ids), [len(row) for row in held_out.rows], hashes, to_probs(probs)
    )


def _arrays(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    return {variable.name.removesuffix(":0"): variable.numpy() for variable in variables}
