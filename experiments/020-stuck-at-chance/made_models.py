"""Fine-tuned chunk models, each made once: its vectors and its trace in a folder that is there whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import chunk_model
import numpy as np
from breakages import BREAKAGES
from documents import ChunkArrays, Frames, chunk_arrays, make_frames
from settings import Case, ChunkTraining, Dataset

from hierdoc.encoders.pretrained import EncoderSource
from hierdoc.learning.seeds import generator

VECTORS, TRACE = "vectors.npz", "trace"
BEFORE_TRAINING = ("frames", "chunks")  # the places at which a breakage reaches the encoder's training


@dataclass(frozen=True)
class ChunkModel:
    """What a fine-tuned encoder makes of a case's chunks.

    Attributes:
        frames, arrays: the documents and chunks that it was trained on, and val's.
        vectors: as `chunk_model.fit` returns them.
        trace: the folder of its trace; there is none where it was not trained.
    """

    frames: Frames
    arrays: dict[str, ChunkArrays]
    vectors: dict[str, np.ndarray]
    trace: Path

    def predicted(self, cls: np.ndarray) -> np.ndarray | None:
        """Return the classes, int64 (N,), that its softmax gives to vectors (N, D); None where it was not trained."""
        if not self.trace.exists():
            return None
        return np.argmax(cls @ self.vectors["kernel"] + self.vectors["bias"], axis=1)

    def accuracy(self, side: str) -> float | None:
        """Return the share of a side's chunks that it names rightly; None where its softmax was not trained."""
        predicted = self.predicted(self.vectors[f"{side}_cls"])
        return None if predicted is None else round(float((predicted == self.arrays[side].y).mean()), 4)


def rng_of(case: Case) -> np.random.Generator:
    """Return a case's own random numbers, from the beginning."""
    return generator(0, f"{case.name} {case.strength}")


def breakage_of(case: Case, *places: str) -> Any:
    """Return a function that breaks what it is given as the case says; None where it breaks nothing there."""
    if case.breakage is None or BREAKAGES[case.breakage[0]][0] not in places:
        return None
    name, arguments = case.breakage
    return lambda *given: BREAKAGES[name][1](*given, **arguments)


def fingerprint(value: Any) -> str:
    """Return 16 hex digits of a value's JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=list).encode()).hexdigest()[:16]


class Models:
    """The chunk models of one data set, in `folder`."""

    def __init__(self, folder: Path, dataset: Dataset, table: Any, source: EncoderSource):
        self._folder, self._dataset, self._table, self._source = folder, dataset, table, source

    def model_of(self, case: Case, settings: ChunkTraining | None = None) -> ChunkModel:
        """Return the chunk model of a case, or of other settings on the same chunks, trained where it is not there."""
        settings = settings or case.chunks
        frames = make_frames(self._table, self._source, self._dataset.chunk_size, case.documents)
        if break_frames := breakage_of(case, "frames"):
            break_frames(frames, rng_of(case))
        arrays = {side: chunk_arrays(frame, settings.padded_to) for side, frame in frames.sides().items()}
        if break_chunks := breakage_of(case, "chunks"):
            break_chunks(arrays, rng_of(case))
        folder = self._folder / self.fingerprint(case, settings)
        if not (folder / VECTORS).exists():
            self._make(folder, case, arrays, settings, len(frames.train))
        with np.load(folder / VECTORS) as stored:
            return ChunkModel(frames, arrays, dict(stored), folder / TRACE)

    def is_made(self, case: Case) -> bool:
        """Return whether a case's model is there already."""
        return (self._folder / self.fingerprint(case, case.chunks) / VECTORS).exists()

    def fingerprint(self, case: Case, settings: ChunkTraining) -> str:
        """Return what tells a model from others of this data set: documents, training, breakage, encoder."""
        reaches = breakage_of(case, *BEFORE_TRAINING) is not None
        return fingerprint(
            [
                dataclasses.asdict(case.documents),
                dataclasses.asdict(settings),
                [case.name, case.strength, case.breakage] if reaches else None,
                [self._dataset.chunk_size, self._source.sha256, sorted(self._table.id)],
            ]
        )

    def _make(
        self, folder: Path, case: Case, arrays: dict[str, ChunkArrays], settings: ChunkTraining, num_documents: int
    ) -> None:
        unfinished = folder.with_name(f"{folder.name}.unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        vectors = chunk_model.fit(
            self._source, case.documents.classes, arrays, settings, num_documents, unfinished / TRACE
        )
        np.savez(unfinished / VECTORS, **vectors)
        unfinished.rename(folder)
