"""A run whose encoder and head were trained one after the other, as joint training begins with it."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.progress import say
from hierdoc.stages import store
from hierdoc.stages.finished import FinishedStage, is_finished, read_stage


@dataclass(frozen=True)
class TwoStages:
    """A run whose encoder and head have been trained one after the other.

    Attributes:
        run: the run directory.
        name: the head's.
        finetune, head: the stages.
        config: the encoder's, with its pooling.
    """

    run: Path
    name: str
    finetune: FinishedStage
    head: FinishedStage
    config: dict[str, Any]

    @classmethod
    def read(cls, run: str | PathLike[str], head: str | None) -> TwoStages:
        """Return a run's; with the head of that name, or the one there is.

        Raises:
            HierdocError: a stage is missing or of others than the rest; the head does not read chunks' vectors.
        """
        from hierdoc.encoders.finetuned import load_config
        from hierdoc.heads import find_head
        from hierdoc.heads.document_probs import check_made_for, check_reads_vectors, load_head_config

        name = find_head(run, head, "joint_head")
        finetune, trained = read_stage(run, "finetune"), read_stage(run, f"heads/{name}")
        of_head = load_head_config(trained.path)
        check_made_for(of_head, trained.path, finetune)
        chunk = read_stage(run, "chunk")
        if finetune.manifest["parents"]["chunk"] != chunk.fingerprint:
            raise HierdocError(f"{chunk.path}: has been made again since {finetune.path} was trained on it")
        check_reads_vectors(of_head, trained.path, "`joint` needs a head on vectors")
        config = load_config(finetune.path)["encoder"]
        return cls(Path(run), name, finetune, trained, {key: config[key] for key in config if key != "name"})

    def share_chunks(self, run: str | PathLike[str]) -> FinishedStage:
        """Copy the chunk stage into another run that has none; return it as it is there.

        Raises:
            HierdocError: the other run has other chunks, or is this one.
        """
        chunk = read_stage(self.run, "chunk")
        if Path(run).resolve() == self.run.resolve():
            raise HierdocError(f"{run}: `joint` goes on from another run, whose encoder this one's would replace")
        if not is_finished(run, "chunk"):
            say(f"{run}: its chunks are those of {self.run}")
            store.copy(chunk, run)
        shared = read_stage(run, "chunk")
        if shared.fingerprint != chunk.fingerprint:
            raise HierdocError(f"{run}: was cut otherwise than {self.run}, and `joint` goes on from that")
        return shared

    def load(self) -> tuple[Any, Any, dict[str, np.ndarray]]:
        """Return the encoder, the head's model, and the chunk head's arrays."""
        from hierdoc.encoders import ENCODERS
        from hierdoc.encoders.finetuned import load_chunk_head, load_encoder
        from hierdoc.heads.document_probs import load_head

        encoder = ENCODERS["bert"](self.config)
        encoder.assign(load_encoder(self.finetune.path)[1], str(self.finetune.path))
        head, _ = load_head(self.head.path)
        return encoder, head, load_chunk_head(self.finetune.path)
