"""An engine, and all chunks of a table through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from hierdoc.engines.token_batches import BatchShapes, pad_tokens

Encode = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Engine:
    """What turns chunks into vectors.

    Attributes:
        encode: a function of token_ids int32 (N, T) and mask bool (N, T) that returns the vectors, float32 (N, D), or of an
            encoder that pools nothing (N, T, D).
        dim: D.
        shapes: the shapes (N, T) in which a chunk's vector is the same bits in any company, and which are fast.
        workers: so many threads may call `encode` at once, and should.
    """

    encode: Encode
    dim: int
    shapes: BatchShapes
    workers: int = 1


def encode_chunks(engine: Engine, rows: Sequence[np.ndarray], progress: Any = None) -> np.ndarray:
    """Return the vectors, float32 (N, D), of N chunks' token ids, in their order. Chunks that are alike are encoded once.

    Args:
        engine: whose longest shape holds the longest chunk.
        rows: int32 (T_n,) each.
        progress: told how many chunks are done (`update(num)`).
    """
    first_of: dict[bytes, int] = {}
    alike = [first_of.setdefault(row.tobytes(), at) for at, row in enumerate(rows)]
    firsts, place = np.unique(np.asarray(alike, np.int64), return_inverse=True)
    copies = np.bincount(place, minlength=len(firsts))
    vectors = np.empty((len(firsts), engine.dim), np.float32)
    lengths = np.asarray([len(rows[at]) for at in firsts.tolist()], np.int64)

    def encode_batch(batch: tuple[int, int, np.ndarray]) -> np.ndarray:
        length, num_rows, members = batch
        token_ids, mask = pad_tokens([rows[at] for at in firsts[members].tolist()], num_rows, length)
        vectors[members] = engine.encode(token_ids, mask)[: len(members)]
        return members

    plan = engine.shapes.plan(lengths)
    pool = ThreadPoolExecutor(engine.workers) if engine.workers > 1 else None
    try:
        for members in map(encode_batch, plan) if pool is None else pool.map(encode_batch, plan):
            if progress is not None:
                progress.update(int(copies[members].sum()))
    finally:
        if pool is not None:
            pool.shutdown(cancel_futures=True)
    return vectors[place]


def encode_tokens(engine: Engine, rows: Sequence[np.ndarray], progress: Any = None) -> list[np.ndarray]:
    """Return the vectors of each chunk's tokens, float32 (T_n, D), by the engine of an encoder that pools nothing; else as `encode_chunks`."""
    found: list[np.ndarray] = [np.zeros((0, engine.dim), np.float32)] * len(rows)
    for length, num_rows, members in engine.shapes.plan(np.asarray([len(row) for row in rows], np.int64)):
        token_ids, mask = pad_tokens([rows[at] for at in members.tolist()], num_rows, length)
        vectors = engine.encode(token_ids, mask)
        for place, member in enumerate(members.tolist()):
            found[member] = vectors[place, : len(rows[member])].copy()
        if progress is not None:
            progress.update(len(members))
    return found
