"""The probability from which on a label is given: tuned on dev, kept beside a head, or a person's own."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.stages.files import read_object, write_json

FILE = "thresholds.json"
OWNERS = {  # of a head's config: whose thresholds they are
    "encoder_fingerprint": "run",
    "head": "head",
    "weights_sha256": "training of the head",
    "words": "training of the head",
}
FEW = 10  # documents of dev with a label; with fewer, a threshold of its own would be tuned on luck


def best_threshold(scores: np.ndarray, is_true: np.ndarray) -> tuple[float, float]:
    """Return (the threshold from which on "yes" has the highest F1, that F1), of N scores and truths; (0.5, 0) for no truth.

    It lies midway between two scores that differ; of thresholds with the same F1 it is the highest.
    """
    order = np.argsort(-scores, kind="stable")
    ranked, hits = scores[order].astype(np.float64), np.cumsum(is_true[order])
    if not len(hits) or not hits[-1]:
        return 0.5, 0.0
    f1 = 2 * hits / (np.arange(1, len(hits) + 1) + hits[-1])
    f1[:-1][ranked[:-1] == ranked[1:]] = -1  # no threshold tells equals apart
    best = int(f1.argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else ranked[best]
    return float((ranked[best] + below) / 2), float(f1[best])


def tune_thresholds(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the score from which on each label is given, float64 (C,), by dev's documents.

    A label's own threshold makes its F1 on dev highest (Yang 2001, A Study on Thresholding Strategies for Text Categorization:
    SCut). A label of fewer than `FEW` documents gets the threshold that makes the micro-F1 of all labels together highest.

    Args:
        scores, truth: float and bool (B, C).
    """
    common, _ = best_threshold(scores.reshape(-1), truth.reshape(-1))
    own = [best_threshold(scores[:, place], truth[:, place])[0] for place in range(scores.shape[1])]
    return np.where(truth.sum(axis=0) >= FEW, own, common)


def save_thresholds(folder: Path, config: Mapping[str, Any], thresholds: np.ndarray) -> None:
    """Write the thresholds, float64 (C,), of a trained head with this config into its folder."""
    found = dict(zip(config["labels"], thresholds.tolist(), strict=True))
    write_json(folder / FILE, {"thresholds": found, **{key: config[key] for key in OWNERS}})


def load_thresholds(path: str | PathLike[str], config: Mapping[str, Any]) -> np.ndarray:
    """Return the thresholds in a file for a head with this config, float64 (C,), in the order of its labels.

    Raises:
        HierdocError: it is no such file; it is of other labels, or says that it is of another encoder, head or training; a threshold is no
            number from 0 to 1.
    """
    labels = config["labels"]
    path = Path(path)
    if not path.is_file():
        raise HierdocError(f"{path}: no such file of thresholds")
    content = read_object(path)
    found = content.get("thresholds")
    if not isinstance(found, dict):
        raise HierdocError(f'{path}: must hold {{"thresholds": {{label: number}}}}, but does not')
    for key, what in OWNERS.items():
        if content.get(key, config[key]) != config[key]:
            raise HierdocError(f"{path}: holds the thresholds of another {what}")
    if unknown := [label for label in found if label not in set(labels)]:
        raise HierdocError(
            f"{path}: holds a threshold for {unknown[0]!r}, which is none of the run's {len(labels)} labels"
        )
    for label in labels:
        value = found.get(label)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            raise HierdocError(
                f"{path}: the threshold of {label!r} must be a number from 0 to 1, but is {value!r} instead"
            )
    return np.asarray([found[label] for label in labels], np.float64)
