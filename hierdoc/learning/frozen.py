"""What the layers that are not trained make of each chunk: computed once, and kept in a file while the others are trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.engines.precision import in_precision
from hierdoc.engines.token_batches import few_shapes, pad_tokens
from hierdoc.progress import bar
from hierdoc.stages.files import check_room

CHUNKS_PER_PART = 2048  # are written at once; an interrupted run goes on behind the last whole part


class FrozenOutputs:
    """The hidden states of N chunks behind an encoder's first layers, without dropout, in a file that is read as it is needed.

    Symbols: T_n tokens of chunk n, D vector size. In bfloat16 they are stored as float16, which rounds less.
    """

    def __init__(
        self, path: Path, encoder: Any, num_layers: int, rows: Sequence[np.ndarray], precision: str, chunk_size: int
    ):
        """Compute what the file does not hold yet, with the encoder's weights as they are.

        Args:
            path: the file; what an interrupted run left there is gone on from.
            encoder: as `hierdoc.encoders.ENCODERS` make them.
            num_layers: how many of its layers.
            rows: int32 (T_n,) each, token ids.
            precision: "float32" or "bfloat16".
            chunk_size: the longest row.

        Raises:
            HierdocError: the file does not fit on its disk.
        """
        dtype = np.dtype({"float32": np.float32, "bfloat16": np.float16}[precision])
        self._offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        per_token = encoder.config["hidden_size"] * dtype.itemsize
        ends = self._offsets[CHUNKS_PER_PART::CHUNKS_PER_PART] * per_token  # of whole parts
        stored = path.stat().st_size if path.exists() else 0
        needed = int(self._offsets[-1]) * per_token
        if stored < needed:
            num_parts = int(np.searchsorted(ends, stored, side="right"))
            check_room(path, needed - stored)
            self._write(path, encoder, num_layers, rows, precision, chunk_size, num_parts, dtype)
        self._hidden = np.memmap(path, dtype, "r", shape=(int(self._offsets[-1]), encoder.config["hidden_size"]))

    def _write(
        self, path: Path, encoder: Any, num_layers: int, rows: Sequence[np.ndarray], precision: str, chunk_size: int,
        num_parts: int, dtype: np.dtype,
    ) -> None:  # fmt: skip
        tf = compat.load_tensorflow()
        graph = tf.function(lambda token_ids, mask: encoder.hidden_of(token_ids, mask, num_layers), autograph=False)
        done = num_parts * CHUNKS_PER_PART
        with path.open("ab") as file, bar("frozen layers", "chunks", len(rows), done) as progress:
            file.truncate(int(self._offsets[done]) * encoder.config["hidden_size"] * dtype.itemsize)
            for at in range(done, len(rows), CHUNKS_PER_PART):
                part = rows[at : at + CHUNKS_PER_PART]
                offsets = self._offsets[at : at + len(part) + 1] - self._offsets[at]
                hidden = np.empty((int(offsets[-1]), encoder.config["hidden_size"]), dtype)
                for length, num_rows, members in few_shapes(chunk_size).plan(np.diff(offsets)):
                    token_ids, mask = pad_tokens([part[member] for member in members], num_rows, length)
                    with in_precision(precision):
                        made = graph(tf.constant(token_ids), tf.constant(mask)).numpy()
                    for member, of_chunk in zip(members.tolist(), made):
                        begin, end = offsets[member], offsets[member + 1]
                        hidden[begin:end] = of_chunk[: end - begin]
                    progress.update(len(members))
                file.write(hidden.tobytes())
                file.flush()

    def padded(self, members: Sequence[int], num_rows: int, length: int) -> np.ndarray:
        """Return some chunks' hidden states, float32 (num_rows, length, D), right-padded with 0; further rows are 0."""
        hidden = np.zeros((num_rows, length, self._hidden.shape[1]), np.float32)
        for at, member in enumerate(members):
            begin, end = self._offsets[member], self._offsets[member + 1]
            hidden[at, : end - begin] = self._hidden[begin:end]
        return hidden
