"""A trained head over documents: vectors in, class probabilities out; and how a head is saved and loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.answers.thresholds import FILE, load_thresholds
from hierdoc.encoders import compat
from hierdoc.engines import RUNTIMES, is_installed
from hierdoc.errors import HierdocError
from hierdoc.graphs import HEAD_GRAPHS
from hierdoc.heads import HEADS
from hierdoc.objectives import ONE_LABEL, Objective, objective_of
from hierdoc.progress import say
from hierdoc.sequences.batches import batches_in_order
from hierdoc.sequences.grouping import DocumentVectors, with_inputs
from hierdoc.stages.files import sha256_of, write_json
from hierdoc.stages.finished import FinishedStage
from hierdoc.stages.weights import load_weights, save_weights
from hierdoc.words.classifier import load_words

EARLIER = {
    "inputs": "vectors",
    "words": False,
    "multi_label": False,
    "weights_sha256": None,
}  # what heads were that do not say it
Logits = Callable[[np.ndarray, np.ndarray], np.ndarray]
DocumentProbs = Callable[[DocumentVectors], np.ndarray]
HeadProbs = Callable[[DocumentVectors, Sequence[str]], np.ndarray]


def compile_logits(model: Any) -> Logits:
    """Return a function of vectors float32 (B, S, D) and mask bool (B, S) that returns the head's logits, float32 (B, C).

    It computes with the model's weights as they are at each call.
    """
    tf = compat.load_tensorflow()
    graph = tf.function(model, autograph=False, reduce_retracing=True)
    return lambda vectors, mask: graph([tf.constant(vectors), tf.constant(mask)], training=False).numpy()


def by_document(logits_of: Logits, num_classes: int, objective: Objective = ONE_LABEL) -> DocumentProbs:
    """Return a function of B documents that returns the head's probabilities, float32 (B, C), in their order.

    It computes by `logits_of`. A document's own length decides of how many rows its batch is, so that its probabilities
    are the same bits in any company.
    """

    def document_probs(documents: DocumentVectors) -> np.ndarray:
        probs = np.empty((len(documents), num_classes), np.float32)
        for batch in batches_in_order(documents):
            logits = logits_of(batch.vectors, batch.mask)
            probs[batch.members] = objective.probs_of(logits[: len(batch.members)].astype(np.float64)).astype(
                np.float32
            )
        return probs

    return document_probs


def save_head(folder: Path, model: Any, config: dict[str, Any]) -> None:
    """Write weights.safetensors and config.json (`head`, `inputs`, `words`, `dim`, `labels`, `multi_label`, `encoder_fingerprint`,
    `encoding`, and `weights_sha256`, which is computed here) into `folder`."""
    weights = folder / "weights.safetensors"
    save_weights(weights, {_name(variable): variable.numpy() for variable in model.variables})
    write_json(folder / "config.json", {**config, "weights_sha256": sha256_of(weights)})


def load_head(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return (the model, its config) that `save_head` wrote into `folder`.

    Raises:
        HierdocError: the head's name is unknown here, or its weights do not fit.
    """
    config = load_head_config(folder)
    model = HEADS[config["head"]](config["dim"], len(config["labels"]))
    arrays = load_weights(folder / "weights.safetensors")
    for variable in model.variables:
        value = arrays.get(_name(variable))
        if value is None or value.shape != tuple(variable.shape):
            raise HierdocError(
                f"{folder / 'weights.safetensors'}: weight {_name(variable)!r} is missing or of another shape"
            )
        variable.assign(value)
    return model, config


def load_document_probs(folder: Path) -> tuple[HeadProbs, dict[str, Any]]:
    """Return (what gives documents' probabilities; the head's config), of a head in `folder`.

    The first is a function of B documents (see `by_document`) and of their texts, which are read where the head was joined with
    words.

    The runtime that made the head's vectors runs it, as a graph in float32; TensorFlow does where that has none for it.

    Raises:
        HierdocError: as `load_head`.
    """
    config = load_head_config(folder)
    head, num_classes, engine = config["head"], len(config["labels"]), config["encoding"]["engine"]
    if engine in RUNTIMES and is_installed(engine) and head in HEAD_GRAPHS:
        path = folder / "weights.safetensors"
        graph = HEAD_GRAPHS[head](config["dim"], num_classes, load_weights(path), str(path))
        run, _ = RUNTIMES[engine](graph, "float32")
        logits_of: Logits = lambda vectors, mask: run(vectors=vectors, mask=mask)  # noqa: E731
    else:
        if engine in RUNTIMES and head not in HEAD_GRAPHS:
            say(f"{folder}: {engine} can't run the head {head}; TensorFlow does")
        logits_of = compile_logits(load_head(folder)[0])
    document_probs = by_document(logits_of, num_classes, objective_of(config["multi_label"]))
    words = load_words(folder) if config["words"] else None

    def head_probs(documents: DocumentVectors, texts: Sequence[str]) -> np.ndarray:
        probs = document_probs(with_inputs(documents, config["inputs"]))
        return probs if words is None else words.join(probs, words.scores(texts))

    return head_probs, config


def answers_of(
    folder: Path, config: Mapping[str, Any], thresholds: str | PathLike[str] | None = None
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from probabilities (B, C) to answers (see `Objective.answers`) of the head in `folder` with this config.

    `thresholds` is a file to take instead of those that dev has tuned.

    Raises:
        HierdocError: as `load_thresholds`; the head gives each document one class and has no thresholds.
    """
    objective = objective_of(config["multi_label"])
    if not objective.multi_label:
        if thresholds is not None:
            raise HierdocError(f"{thresholds}: {folder} names the most probable class, and needs no thresholds")
        return objective.answers
    path = folder / FILE if thresholds is None else Path(thresholds)
    found = load_thresholds(path, config)
    return lambda probs: objective.answers(probs, found)


def load_head_config(folder: Path) -> dict[str, Any]:
    """Return the config.json that `save_head` wrote into `folder`.

    Raises:
        HierdocError: the head's name is unknown here.
    """
    config = {**EARLIER, **json.loads((folder / "config.json").read_text(encoding="utf-8"))}
    if config["head"] not in HEADS:
        raise HierdocError(
            f"{folder}: head must be one of {', '.join(sorted(HEADS))}, but is {config['head']!r} instead"
        )
    return config


def check_made_for(config: Mapping[str, Any], head: Path, finetune: FinishedStage) -> None:
    """Check that the head of this config, in this folder, was trained on the vectors of that encoder.

    Raises:
        HierdocError: it was not.
    """
    if config["encoder_fingerprint"] != finetune.fingerprint:
        raise HierdocError(f"{head}: was trained on the vectors of another encoder than {finetune.path} holds")


def check_reads_vectors(config: Mapping[str, Any], head: Path, why: str) -> None:
    """Check that the head of this config, in this folder, reads nothing of a chunk but its vector.

    Raises:
        HierdocError: it reads probabilities; `why` says why it must not.
    """
    if config["inputs"] != "vectors":
        raise HierdocError(f"{head}: reads {config['inputs']} of the chunks, and {why}")


def _name(variable: Any) -> str:
    return variable.name.removesuffix(":0")
