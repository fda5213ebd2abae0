"""What the layers that are not trained make of each chunk: computed once, and kept in a file while the others are trained."""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.encoders import compat
from hierdoc.engines.precision import in_precision
from hierdoc.engines.token_batches import few_shapes, pad_tokens
from hierdoc.progress import bar
from hierdoc.stages.files import check_room

SUM, ALIGNMENT = np.dtype("<u4"), 64  # of a part; and where the states begin, in bytes
CHUNKS_PER_PART = 2048  # are written at once; an interrupted run goes on behind the last whole part


class FrozenOutputs:
    """The hidden states of chunks behind an encoder's first layers, without dropout, in a file that is read as it is needed.

    The file begins with a checksum for each part of `CHUNKS_PER_PART` chunks; their tokens' states follow, float32, or for bfloat16
    float16, which rounds less. Symbols: T_n tokens of chunk n, D vector size.
    """

    def __init__(
        self,
        path: Path,
        encoder: Any,
        num_layers: int,
        rows: Sequence[np.ndarray],
        drawn: np.ndarray,
        precision: str,
        chunk_size: int,
    ):
        """Compute what the file does not hold yet, with the encoder's weights as they are.

        Args:
            path: the file; what an interrupted run left there is gone on from.
            encoder: as `hierdoc.encoders.ENCODERS` make them.
            num_layers: how many of its layers.
            rows: int32 (T_n,) each, token ids.
            drawn: int (K,), ascending: which of the rows are wanted.
            precision: "float32" or "bfloat16".
            chunk_size: the longest row.

        Raises:
            HierdocError: the file does not fit on its disk.
        """
        self._drawn, rows = drawn, [rows[place] for place in drawn.tolist()]
        self._offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        self._dtype = np.dtype({"float32": np.float32, "bfloat16": np.float16}[precision])
        self._dim = encoder.config["hidden_size"]
        starts = range(0, len(rows), CHUNKS_PER_PART)
        self._header = -(-len(starts) * SUM.itemsize // ALIGNMENT) * ALIGNMENT
        num_parts = self._count_whole_parts(path) if path.exists() else 0
        if num_parts < len(starts):
            done = num_parts * CHUNKS_PER_PART
            check_room(path, int(self._offsets[-1] - self._offsets[done]) * self._per_token)
            self._write(path, encoder, num_layers, rows, precision, chunk_size, done)
        shape = (int(self._offsets[-1]), self._dim)
        self._hidden = np.memmap(path, self._dtype, "r", self._header, shape)

    @property
    def _per_token(self) -> int:
        return self._dim * self._dtype.itemsize

    def _part(self, at: int) -> tuple[int, int]:
        """Return the first token, and the one behind the last, of the part that begins with chunk `at`."""
        return int(self._offsets[at]), int(self._offsets[min(at + CHUNKS_PER_PART, len(self._offsets) - 1)])

    def _count_whole_parts(self, path: Path) -> int:
        """Return how many parts, from the first on, are in the file as they were written."""
        starts = range(0, len(self._offsets) - 1, CHUNKS_PER_PART)
        with path.open("rb") as file:
            sums = np.frombuffer(file.read(self._header).ljust(self._header, b"\0"), SUM)
            for number, at in enumerate(starts):
                begin, end = self._part(at)
                stored = file.read((end - begin) * self._per_token)
                if len(stored) < (end - begin) * self._per_token or zlib.crc32(stored) != sums[number]:
                    return number
        return len(starts)

    def _write(
        self, path: Path, encoder: Any, num_layers: int, rows: Sequence[np.ndarray], precision: str, chunk_size: int,
        done: int,
    ) -> None:  # fmt: skip
        tf = compat.load_tensorflow()
        graph = tf.function(lambda token_ids, mask: encoder.hidden_of(token_ids, mask, num_layers), autograph=False)
        path.touch()
        with path.open("r+b") as file, bar("frozen layers", "chunks", len(rows), done) as progress:
            file.truncate(self._header + int(self._offsets[done]) * self._per_token)
            for at in range(done, len(rows), CHUNKS_PER_PART):
                begin, end = self._part(at)
                part, offsets = rows[at : at + CHUNKS_PER_PART], self._offsets[at:] - begin
                hidden = np.empty((end - begin, self._dim), self._dtype)
                for length, num_rows, members in few_shapes(chunk_size).plan([len(row) for row in part]):
                    token_ids, mask = pad_tokens([part[member] for member in members], num_rows, length)
                    with in_precision(precision):
                        made = graph(tf.constant(token_ids), tf.constant(mask)).numpy()
                    for member, of_chunk in zip(members.tolist(), made):
                        first, last = offsets[member], offsets[member + 1]
                        hidden[first:last] = of_chunk[: last - first]
                    progress.update(len(members))
                file.seek(0, os.SEEK_END)
                file.write(hidden.data)
                file.seek(at // CHUNKS_PER_PART * SUM.itemsize)
                file.write(SUM.type(zlib.crc32(hidden.data)).tobytes())
                file.flush()

    def padded(self, members: np.ndarray, num_rows: int, length: int) -> np.ndarray:
        """Return some drawn chunks' hidden states, float32 (num_rows, length, D), right-padded with 0; further rows are 0."""
        hidden = np.zeros((num_rows, length, self._dim), np.float32)
        for at, place in enumerate(np.searchsorted(self._drawn, members).tolist()):
            begin, end = self._offsets[place], self._offsets[place + 1]
            hidden[at, : end - begin] = self._hidden[begin:end]
        return hidden
