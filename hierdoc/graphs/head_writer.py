"""What the ONNX graphs of heads have in common: a document's chunk vectors and a mask in, logits out."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hierdoc.errors import HierdocError
from hierdoc.graphs.writer import FLOAT, INT64, GraphWriter

DENSE_UNITS = 30  # between a document's vector and its logits
FAR = -1e30  # below everything that is real


class HeadWriter(GraphWriter):
    """Writes the graph of a head with its weights.

    Inputs: `vectors` float32 (B, S, D), right-padded; `mask` bool (B, S), True = a real chunk. Output: `logits` float32
    (B, C).

    Attributes:
        real: the name of the vectors, with 0 where the mask is False.
        shown: the name of the mask as (B, S, 1).
    """

    def __init__(self, name: str, dim: int, num_classes: int, arrays: Mapping[str, np.ndarray], source: str):
        """Begin the graph of the head `name`; else as the functions of `hierdoc.graphs.HEAD_GRAPHS`."""
        super().__init__()
        self._name, self._dim, self._num_classes, self._arrays, self._source = name, dim, num_classes, arrays, source
        self.shown = self("Unsqueeze", "mask", self.whole_numbers(2))
        self.real = self("Where", self.shown, "vectors", self.constant("nothing", 0.0))

    def weight(self, name: str, *shape: int) -> np.ndarray:
        """Return a weight.

        Raises:
            HierdocError: it is missing or of another shape.
        """
        if name not in self._arrays or self._arrays[name].shape != shape:
            raise HierdocError(f"{self._source}: weight {name!r} is missing or of another shape")
        return self._arrays[name]

    def dense(self, hidden: str, name: str, inputs: int, outputs: int, as_name: str = "") -> str:
        """Add a dense layer with its bias and return its output's name."""
        kernel = self.constant(f"{name}/kernel", self.weight(f"{name}/kernel", inputs, outputs))
        bias = self.constant(f"{name}/bias", self.weight(f"{name}/bias", outputs))
        return self("Add", self("MatMul", hidden, kernel), bias, name=as_name)

    def num_chunks(self) -> str:
        """Return the name of how many chunks each document has, int64 (B, 1)."""
        return self("ReduceSum", self("Cast", "mask", to=INT64), self.whole_numbers(1))

    def mean(self, hidden: str) -> str:
        """Add the mean over each document's chunks, (B, U), of `hidden`, which is 0 where the mask is False."""
        added = self("ReduceSum", hidden, self.whole_numbers(1), keepdims=0)
        return self("Div", added, self("Cast", self.num_chunks(), to=FLOAT))

    def max(self, hidden: str) -> str:
        """Add the maximum over each document's chunks, (B, U)."""
        seen = self("Where", self.shown, hidden, self.constant("far", FAR))
        return self("ReduceMax", seen, self.whole_numbers(1), keepdims=0)

    def finish_head(self, document: str, units: int) -> bytes:
        """Return the model whose dense layers read `document` (B, units)."""
        hidden = self("Relu", self.dense(document, "dense", units, DENSE_UNITS))
        self.dense(hidden, "logits", DENSE_UNITS, self._num_classes, "logits")
        return self.finish_logits()

    def finish_logits(self) -> bytes:
        """Return the model, of which something named "logits" is the output."""
        inputs = {
            "vectors": (np.float32, ["documents", "chunks", self._dim]),
            "mask": (np.bool_, ["documents", "chunks"]),
        }
        return self.finish(self._name, inputs, {"logits": ["documents", self._num_classes]})
