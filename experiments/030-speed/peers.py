"""One contestant that runs in the peers' environment: peers.py BACKEND PRECISION WEIGHTS CHUNKS THREADS; see encode.py."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ours import timed  # of this folder; it imports nothing of hierdoc by itself

BATCH = 32  # sentence-transformers' default


def in_batches(
    vectors_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Return what encodes rows, which are sorted by length, in batches padded to their longest, as encode() does."""

    def encode(rows: Sequence[np.ndarray]) -> np.ndarray:
        found = []
        for at in range(0, len(rows), BATCH):
            batch = rows[at : at + BATCH]
            ids = np.zeros((len(batch), max(map(len, batch))), np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(batch):
                ids[place, : len(row)], mask[place, : len(row)] = row, 1
            found.append(vectors_of(ids, mask))
        return np.concatenate(found)

    return encode


def sentence_transformers(backend: str, precision: str, weights: Path) -> tuple[Callable[..., np.ndarray], str]:
    """Return the [CLS] vectors of a SentenceTransformer's own forward pass, and the precision that it computes in."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer

    settings = {"torch_dtype": getattr(torch, precision)} if backend == "torch" else {}
    if backend == "torch":
        transformer = Transformer(str(weights), model_args=settings)
        model = SentenceTransformer(modules=[transformer, Pooling(transformer.get_word_embedding_dimension(), "cls")], device="cpu")  # fmt: skip
    else:
        transformer = Transformer(str(weights), backend=backend, model_args={"export": True})
        model = SentenceTransformer(modules=[transformer, Pooling(transformer.get_word_embedding_dimension(), "cls")], device="cpu")  # fmt: skip
    if backend == "openvino":
        compiled = model[0].auto_model.request
        precision = {"<Type: 'bfloat16'>": "bfloat16", "<Type: 'float32'>": "float32"}[str(compiled.get_property("INFERENCE_PRECISION_HINT"))]  # fmt: skip

    def vectors_of(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        features = {"input_ids": torch.from_numpy(ids), "attention_mask": torch.from_numpy(mask)}
        features["token_type_ids"] = torch.zeros_like(features["input_ids"])
        with torch.inference_mode():
            return model(features)["sentence_embedding"].float().numpy()

    return vectors_of, precision


def onnx_int8(weights: Path) -> Callable[..., np.ndarray]:
    """Return the [CLS] vectors of ONNX Runtime's dynamically quantized model, as sentence-transformers exports it."""
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from optimum.onnxruntime import ORTModelForFeatureExtraction

    folder = weights.with_name(weights.name + "-onnx")
    quantized = folder / "int8.onnx"
    if not quantized.exists():
        ORTModelForFeatureExtraction.from_pretrained(str(weights), export=True).save_pretrained(folder)
        quantize_dynamic(folder / "model.onnx", quantized, weight_type=QuantType.QInt8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(sys.argv[5])
    session = onnxruntime.InferenceSession(str(quantized), options)

    def vectors_of(ids: np.ndarray, mask: np.ndarray) -> np.ndarray:
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return session.run(None, {key.name: inputs[key.name] for key in session.get_inputs()})[0][:, 0]

    return vectors_of


def main() -> None:
    """Measure what the arguments name and print it as JSON."""
    backend, precision, weights, chunks, threads = sys.argv[1:]
    if backend == "onnx-int8":
        vectors_of = onnx_int8(Path(weights))
    else:
        import torch

        torch.set_num_threads(int(threads))
        vectors_of, precision = sentence_transformers(backend, precision, Path(weights))
    print(json.dumps({"precision": precision, **timed(in_batches(vectors_of), Path(chunks))}))


if __name__ == "__main__":
    main()
