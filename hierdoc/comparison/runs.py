"""Where an experiment's stages are made, so that what arms have in common is made once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hierdoc.comparison.config import Arm, Dataset, Experiment
from hierdoc.errors import HierdocError
from hierdoc.stages.finished import OWN

ENCODED = ("chunk", "finetune", "embed")


def chunk_directory(root: Path, dataset: Dataset, arm: Arm, split: Path) -> Path:
    """Return the run directory under `root` in which an arm's documents are cut, for one split file."""
    return _directory(root, dataset, split, "chunk", _decided(dataset, arm, ["chunk"]))


def encoder_directory(root: Path, dataset: Dataset, arm: Arm, seed: int, split: Path) -> Path:
    """Return the run directory of the encoder that an arm reads."""
    return _directory(root, dataset, split, "encoder", _decided(dataset, arm, ENCODED) | {"seed": seed})


def arm_directory(root: Path, experiment: Experiment, dataset: Dataset, arm: Arm, seed: int, split: Path) -> Path:
    """Return the run directory of an arm's own stages, and of links to those it shares."""
    decided = _decided(dataset, arm, ["chunk"] if arm.reads_words_only else ENCODED)
    if not arm.reads_words_only:
        decided["seed"] = seed
    if arm.is_own_code:
        decided |= experiment.own(dataset, arm)
    else:
        decided |= {"answers": arm.answers, "head": arm.arguments(dataset, "head")}
    return _directory(root, dataset, split, answerer(arm), decided)


def answerer(arm: Arm) -> str:
    """Return what an arm's answers are filed under."""
    return OWN if arm.is_own_code else arm.answers


def _decided(dataset: Dataset, arm: Arm, stages: Sequence[str]) -> dict[str, Any]:
    return {"files": dataset.files, **{stage: arm.arguments(dataset, stage) for stage in stages}}


def _directory(root: Path, dataset: Dataset, split: Path, name: str, decided_by: Mapping[str, Any]) -> Path:
    """Return the run directory of what `decided_by` (JSON values) decides, such as ROOT/complaints/fold-1/encoder-1f2e3d4c."""
    text = json.dumps(decided_by, sort_keys=True, ensure_ascii=True)
    return root / dataset.name / split.stem / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def share_stages(run: Path, source: Path, *stages: str) -> None:
    """Let the stages of `source` be stages of `run`, too: by symbolic links, which are kept where they are there.

    Raises:
        HierdocError: something else is in their place.
    """
    run.mkdir(parents=True, exist_ok=True)
    for stage in stages:
        link, target = run / stage, os.path.relpath((source / stage).resolve(), run.resolve())
        if link.is_symlink() and os.readlink(link) == target:
            continue
        if link.is_symlink() or link.exists():
            raise HierdocError(f"{link}: must be a link to {source / stage}; move what is there and try again")
        link.symlink_to(target)
