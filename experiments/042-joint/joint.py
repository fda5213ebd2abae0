"""Encoder and head trained together, from a run of two stages on: the own code of config.yaml's arms.

What takes long is kept beside the run and gone on with after an interruption.
"""

from __future__ import annotations

from pathlib import Path

from hierdoc import embed_chunks, finetune_encoder, train_sequence_head
from hierdoc.evaluation.baselines import Answers
from hierdoc.heads.document_probs import load_document_probs
from hierdoc.sequences.reading import read_split
from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS, FinishedStage, read_stage


def answer(run: Path, split: str, seed: int, head: str, epochs: int, learning_rate: float) -> Answers:
    """Return what a head says of a split's documents whose encoder had their loss for some epochs.

    The run's own encoder, and a head trained on it, are where they begin. The same layers as before are trained. Afterwards a head
    is trained anew on the encoder's vectors, as after two stages.
    """
    before = read_stage(run, "finetune")
    first = train_sequence_head(run, head, seed=seed)
    together = run / "joint"
    joint = finetune_encoder(
        together,
        joint=run,
        joint_head=head,
        epochs=epochs,
        learning_rate=learning_rate,
        **{name: before.parameters[name] for name in ("precision", "trainable_layers", "layer_decay")},
        seed=seed,
    )
    encoding = read_stage(run, "embed").parameters
    embed = embed_chunks(together, encoding["engine"], encoding["precision"])
    last = train_sequence_head(together, head, seed=seed)
    head_probs, _ = load_document_probs(last.path)
    probs = head_probs(read_split(read_stage(together, "chunk"), embed, split).documents, ())
    seconds = sum(map(_seconds, (before, first, joint, last)))
    return Answers(probs.argmax(axis=1), probs, training_seconds=seconds)


def _seconds(stage: FinishedStage) -> float:
    return files.read_object(stage.path / TIMINGS)["seconds"]
