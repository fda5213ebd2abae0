"""Labels texts with a trained head: all that predict does between reading rows and writing them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hierdoc.chunking.chunks import chunk_document
from hierdoc.chunking.tokenizers import load_tokenizer
from hierdoc.encoders.finetuned import load_chunk_head, load_config, load_encoder
from hierdoc.encoders.poolings import vector_size
from hierdoc.engines import ENGINES, is_installed, resolve_engine
from hierdoc.engines.encoding import Engine, encode_chunks
from hierdoc.engines.int8 import load_int8_engine
from hierdoc.engines.precision import cpu_has_bfloat16
from hierdoc.heads.document_probs import answers_of, check_made_for, load_document_probs
from hierdoc.objectives import objective_of
from hierdoc.progress import warn
from hierdoc.sequences.grouping import group_by_document
from hierdoc.stages import tables
from hierdoc.stages.finished import FinishedStage


@dataclass(frozen=True)
class CutTexts:
    """B texts as chunks.

    Attributes:
        doc_ids, texts: of the B texts.
        rows: int32 (T_n,), token ids of each of N chunks.
        owners, places: the N chunks' doc_id, and int64 (N,), chunk_index.
    """

    doc_ids: Sequence[str]
    texts: Sequence[str]
    rows: list[np.ndarray]
    owners: list[str]
    places: np.ndarray


class Predictor:
    """A tokenizer, an encoder and a head, loaded from RUN/finetune and RUN/heads/<head> alone.

    Attributes:
        labels: the C classes, in the order of the probabilities.
        config: finetune's configuration, with the columns that the training data had.
        counted: what was seen so far: documents, empty, chunks, dropped, tokens, unknown.
    """

    def __init__(self, finetune: FinishedStage, trained: FinishedStage, thresholds: str | PathLike[str] | None = None):
        """Load what predicts; with a file of `thresholds` to take instead of the head's own.

        Raises:
            HierdocError: the head was trained on another encoder's vectors; as `answers_of`.
        """
        self._document_probs, head_config = load_document_probs(trained.path)
        check_made_for(head_config, trained.path, finetune)
        self._answers = answers_of(trained.path, head_config, thresholds)
        self._objective = objective_of(head_config["multi_label"])
        self.config = load_config(finetune.path)
        self.labels: list[str] = self.config["labels"]
        self._tokenizer = load_tokenizer(finetune.path)
        self._chunk_head = load_chunk_head(finetune.path)
        encoding = head_config["encoding"]
        self._engine = _load_engine(encoding, finetune.path, trained.path, self.config["chunk_size"])
        self.counted: Counter[str] = Counter()

    def cut(self, doc_ids: Sequence[str], texts: Sequence[str]) -> CutTexts:
        """Return the chunks of B texts, and count what was seen. A text without tokens is one empty chunk."""
        rows: list[np.ndarray] = []
        owners: list[str] = []
        places: list[int] = []
        for doc_id, text in zip(doc_ids, texts, strict=True):
            cut = chunk_document(
                text,
                self._tokenizer,
                self.config["chunk_size"],
                self.config["overlap"],
                self.config["max_chunks"],
                self.config["respect_sentences"],
            )
            self.counted.update(
                documents=1,
                empty=int(cut.num_tokens == 0),
                chunks=len(cut.chunks),
                dropped=cut.num_dropped,
                tokens=cut.num_tokens,
                unknown=cut.num_unknown,
            )
            rows += [chunk.token_ids for chunk in cut.chunks]
            owners += [doc_id] * len(cut.chunks)
            places += [chunk.chunk_index for chunk in cut.chunks]
        return CutTexts(doc_ids, texts, rows, owners, np.asarray(places))

    def predict(self, cut: CutTexts, progress: Any = None) -> pa.Table:
        """Return the predictions of B texts, in their order; see `tables.predictions_schema`.

        The same text gets the same probabilities, bit for bit, whatever stands beside it. `progress` is told how many
        chunks are done.
        """
        if progress is not None:
            progress.total = (progress.total or 0) + len(cut.rows)
        vectors = encode_chunks(self._engine, cut.rows, progress)
        documents = group_by_document(
            cut.owners, cut.places, vectors, self._objective.chunk_probs(vectors, self._chunk_head)
        )
        number = {doc_id: place for place, doc_id in enumerate(documents.doc_ids)}
        text_of = dict(zip(cut.doc_ids, cut.texts, strict=True))
        probs = self._document_probs(documents, [text_of[doc_id] for doc_id in documents.doc_ids])
        order = [number[doc_id] for doc_id in cut.doc_ids]
        probs = probs[order]
        return tables.predictions_table(
            list(cut.doc_ids), self._answers(probs), probs, documents.num_chunks[order], self.labels
        )


def _load_engine(encoding: dict[str, str], finetune: Path, trained: Path, chunk_size: int) -> Engine:
    """Return the engine that made the head's vectors, or the nearest that this machine has, aloud."""
    engine, precision = encoding["engine"], encoding["precision"]
    if precision == "bfloat16" and not cpu_has_bfloat16():
        warn("the head was trained on bfloat16 vectors and this CPU has no bfloat16: computing in float32 instead")
        precision = "float32"
    if not is_installed(engine):
        engine, precision = resolve_engine("auto", "auto" if precision == "int8" else precision)
        warn(
            f"the head was trained on vectors by {encoding['engine']} in {encoding['precision']}, which is not installed: "
            f"computing by {engine} in {precision} instead"
        )
    config, arrays = load_encoder(finetune)
    if precision == "int8":
        return load_int8_engine(trained, vector_size(config), chunk_size)
    return ENGINES[engine](config, arrays, precision, chunk_size)
