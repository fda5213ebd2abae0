"""float32, or TensorFlow's rewrite of a graph's matrix products to bfloat16 on CPUs that have it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from pathlib import Path

from hierdoc.encoders import compat
from hierdoc.errors import HierdocError

PRECISIONS = ("auto", "float32", "bfloat16")  # int8 is for encoding alone, see hierdoc.engines


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 matrices itself (AVX512-BF16 or AMX, as Linux tells)."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


def resolve_precision(precision: str) -> str:
    """Return "float32" or "bfloat16"; "auto" is bfloat16 where the CPU has it.

    Raises:
        HierdocError: another name, or bfloat16 asked for on a CPU without it.
    """
    if precision not in PRECISIONS:
        raise HierdocError(f"`precision` must be one of {', '.join(PRECISIONS)}, but is {precision!r} instead")
    if precision == "bfloat16" and not cpu_has_bfloat16():
        raise HierdocError(
            "`precision` bfloat16 needs a CPU with AVX512-BF16, which this one lacks; use float32 or auto"
        )
    if precision == "auto":
        return "bfloat16" if cpu_has_bfloat16() else "float32"
    return precision


@contextlib.contextmanager
def in_precision(precision: str) -> Iterator[None]:
    """Compute in "float32" or "bfloat16" what is traced inside the block.

    The rewrite is a process-global option of TensorFlow's graph optimizer (2.21), so it is set and put back.
    """
    tf = compat.load_tensorflow()
    option = "auto_mixed_precision_onednn_bfloat16"
    before = tf.config.optimizer.get_experimental_options().get(option, False)
    tf.config.optimizer.set_experimental_options({option: precision == "bfloat16"})
    try:
        yield
    finally:
        tf.config.optimizer.set_experimental_options({option: before})
