"""The head that `hierdoc.tune` finds: the own code of config.yaml's arm."""

from __future__ import annotations

from pathlib import Path

from hierdoc import train_sequence_head, tune_heads
from hierdoc.evaluation.baselines import Answers
from hierdoc.heads.document_probs import load_document_probs
from hierdoc.sequences.reading import read_split
from hierdoc.stages import files
from hierdoc.stages.finished import TIMINGS, read_stage


def answer(run: Path, split: str, seed: int, trials: int) -> Answers:
    """Return what the best head of so many trials says of a split's documents."""
    found = tune_heads(run, trials=trials, seed=seed)
    drawn = {name: found.details[name] for name in ("head", "learning_rate", "input_dropout")}
    head = train_sequence_head(run, seed=seed, **drawn)
    chunk, embed = read_stage(run, "chunk"), read_stage(run, "embed")
    head_probs, _ = load_document_probs(head.path)
    probs = head_probs(read_split(chunk, embed, split).documents, ())
    stages = (read_stage(run, "finetune"), found, head)
    seconds = sum(files.read_object(stage.path / TIMINGS)["seconds"] for stage in stages)
    return Answers(probs.argmax(axis=1), probs, drawn, training_seconds=seconds)
