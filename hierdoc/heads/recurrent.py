"""Other recurrent networks than the LSTM that read a document's chunk vectors."""

from __future__ import annotations

from typing import Any

from hierdoc.encoders import compat
from hierdoc.graphs.recurrent import UNITS
from hierdoc.heads.layers import document_inputs, head_of


def build_gru(dim: int, num_classes: int) -> Any:
    """Return a head (see `hierdoc.heads`) as the LSTM is, with a GRU (Cho et al. 2014) of 100 units, in the form with the reset after the product."""
    keras = compat.load_tensorflow().keras
    vectors, mask, real = document_inputs(dim)
    return head_of("gru", vectors, mask, keras.layers.GRU(UNITS, name="gru")(real, mask=mask), num_classes)


def build_bilstm(dim: int, num_classes: int) -> Any:
    """Return a head (see `hierdoc.heads`) as the LSTM is, with two LSTMs of 100 units, the second from the last real chunk to the first."""
    keras = compat.load_tensorflow().keras
    vectors, mask, real = document_inputs(dim)
    states = [
        keras.layers.LSTM(UNITS, go_backwards=backwards, name=name)(real, mask=mask)
        for name, backwards in (("forward", False), ("backward", True))
    ]
    return head_of("bilstm", vectors, mask, keras.layers.Concatenate(name="both")(states), num_classes)
