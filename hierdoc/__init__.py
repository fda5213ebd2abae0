"""hierdoc labels documents that are too long for BERT: chunks, [CLS] vectors, and an LSTM over them.

Every stage is a command (`python -m hierdoc.chunk`) and a plain function with the same arguments, named here.
Importing this package does not import TensorFlow.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

# Dependencies that would report on their use are told not to, before any of them is imported.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("ENABLE_RUNTIME_UPTIME_TELEMETRY", "0")  # TensorFlow sets it to 1 when it is unset

# bert-for-tf2 needs Keras 2 behind tensorflow.keras; TensorFlow reads this when tensorflow.keras is first touched.
os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

__version__ = "0.1.0"

_HOMES = {
    "chunk_documents": "hierdoc.chunk",
    "finetune_encoder": "hierdoc.finetune",
    "embed_chunks": "hierdoc.embed",
    "train_lstm_head": "hierdoc.train_lstm",
    "train_sequence_head": "hierdoc.train_head",
    "tune_heads": "hierdoc.tune",
    "evaluate_head": "hierdoc.evaluate",
    "predict_documents": "hierdoc.predict",
    "export_run": "hierdoc.export",
    "run_pipeline": "hierdoc.run",
    "run_experiment": "hierdoc.experiment",
    "write_report": "hierdoc.report",
    "examine": "hierdoc.doctor",
    "make_split_files": "hierdoc.splits",
    "verify_split_file": "hierdoc.splits",
    "make_library_docs": "hierdoc.datasets",
    "make_20newsgroups": "hierdoc.datasets",
    "HierdocError": "hierdoc.errors",
    "HierdocFailure": "hierdoc.errors",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'hierdoc' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
