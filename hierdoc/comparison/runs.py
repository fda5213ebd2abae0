"""Where an experiment's stages are made, so that what arms have in common is made once."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hierdoc.errors import HierdocError


def run_directory(root: Path, dataset: str, split: Path, name: str, decided_by: Mapping[str, Any]) -> Path:
    """Return the run directory under `root` of what `decided_by` (JSON values) decides, such as
    ROOT/complaints/fold-1/finetune-1f2e3d4c."""
    text = json.dumps(decided_by, sort_keys=True, ensure_ascii=True)
    return root / dataset / split.stem / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


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
