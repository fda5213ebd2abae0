"""One contestant that runs in hierdoc's environment: ours.py ENGINE PRECISION WEIGHTS CHUNKS THREADS; see encode.py."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

STARTED = time.perf_counter()
CHUNK_SIZE, WARM_UP, TIMES, CALIBRATION = 200, 32, 2, "calibration"


def read_weights(folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Return the encoder's configuration and weights."""
    from safetensors.numpy import load_file

    return {"name": "bert", **json.loads((folder / "config.json").read_text())}, load_file(folder / "model.safetensors")


def of_engine(engine: str, precision: str, weights: Path) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Return what encodes rows with one of hierdoc's engines."""
    from hierdoc.engines import ENGINES
    from hierdoc.engines.encoding import encode_chunks

    config, arrays = read_weights(weights)
    if precision == "int8":
        from hierdoc.engines.int8 import load_int8_engine

        loaded = load_int8_engine(weights, config["hidden_size"], CHUNK_SIZE)
    else:
        loaded = ENGINES[engine](config, arrays, precision, CHUNK_SIZE)
    return lambda rows: encode_chunks(loaded, rows)


def quantize(weights: Path, chunks: Path) -> None:
    """Write the encoder in int8 beside its weights, calibrated on chunks that are set aside for it."""
    from hierdoc.engines import int8

    for name in int8.FILES:
        (weights / name).unlink(missing_ok=True)
    config, arrays = read_weights(weights)
    int8.quantize(config, arrays, rows_of(np.load(chunks), CALIBRATION), weights)


def rows_of(stored: Any, name: str) -> list[np.ndarray]:
    """Return one of the sets of token ids that encode.py wrote."""
    return np.split(stored[f"{name}-ids"], np.cumsum(stored[f"{name}-lengths"])[:-1])


def keras_model(weights: Path) -> Any:
    """Return the question's model up to [CLS]: bert-for-tf2 as it is, in Keras, for ids that are padded to 200."""
    from hierdoc.encoders import compat
    from hierdoc.encoders.bert import weight_names

    bert, tf = compat.load_bert(), compat.load_tensorflow()
    config, arrays = read_weights(weights)
    params = bert.BertModelLayer.Params(
        vocab_size=config["vocab_size"], hidden_size=config["hidden_size"], num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"], intermediate_size=config["intermediate_size"],
        intermediate_activation=lambda inputs: tf.nn.gelu(inputs, approximate=False),
        hidden_dropout=config["hidden_dropout_prob"], attention_dropout=config["attention_probs_dropout_prob"],
        initializer_range=config["initializer_range"], max_position_embeddings=config["max_position_embeddings"],
        use_token_type=True, token_type_vocab_size=config["type_vocab_size"],
    )  # fmt: skip
    layer = bert.BertModelLayer.from_params(params, name="bert")
    ids = tf.keras.Input((CHUNK_SIZE,), dtype="int32")
    types = tf.keras.layers.Lambda(tf.zeros_like)(ids)
    hidden = layer([ids, types], mask=tf.keras.layers.Lambda(lambda tokens: tokens != 0)(ids))
    by_name = {variable.name.split("bert/", 1)[-1].removesuffix(":0"): variable for variable in layer.weights}
    for ours, name, _, flipped in weight_names(config["num_hidden_layers"]):
        by_name[ours].assign(arrays[name].T if flipped else arrays[name])
    return tf.keras.Model(ids, tf.keras.layers.Lambda(lambda states: states[:, 0, :])(hidden))


def as_the_question_did(weights: Path) -> Callable[[Sequence[np.ndarray]], np.ndarray]:
    """Return what encodes rows as the question's code: padded to 200, predicted by 100 and concatenated."""
    model = keras_model(weights)

    def encode(rows: Sequence[np.ndarray]) -> np.ndarray:
        padded = np.zeros((len(rows), CHUNK_SIZE), np.int32)
        for at, row in enumerate(rows):
            padded[at, : len(row)] = row
        vectors = model.predict(padded[:100], verbose=0)
        for at in range(100, len(rows), 100):
            vectors = np.concatenate((vectors, model.predict(padded[at : at + 100], verbose=0)))
        return vectors

    return encode


def ceiling(threads: int) -> dict[str, float]:
    """Return the GFLOP a second of the largest matrix products, through OpenVINO, in each precision."""
    from hierdoc.engines.int8 import load_nncf
    from hierdoc.engines.openvino import core, load_openvino
    from hierdoc.graphs.writer import GraphWriter

    openvino = load_openvino()
    found = {}
    size = 2048
    kinds = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16, "int8": openvino.Type.bf16}
    nncf, rng = load_nncf(), np.random.default_rng(0)
    nncf.set_log_level("ERROR")
    for name, kind in kinds.items():
        add = GraphWriter()
        kernel = add.constant("kernel", np.random.default_rng(0).normal(size=(size, size)) / size**0.5)
        hidden = "given"
        for number in range(4):
            hidden = add("MatMul", hidden, kernel, name=f"product_{number}")
        graph = add.finish("products", {"given": (np.float32, [size, size])}, {hidden: [size, size]})
        settings = {"INFERENCE_PRECISION_HINT": kind, "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}
        products = core().read_model(graph)
        if name == "int8":
            calibration = nncf.Dataset([{"given": rng.normal(size=(size, size)).astype(np.float32)} for _ in range(2)])
            products = nncf.quantize(products, calibration, subset_size=2)
        model = core().compile_model(products, "CPU", settings)
        request, given = model.create_infer_request(), np.ones((size, size), np.float32)
        seconds = []
        for _ in range(8):
            started = time.perf_counter()
            request.infer({"given": given})
            seconds.append(time.perf_counter() - started)
        found[name] = 4 * 2 * size**3 / min(seconds) / 1e9
    return found


def peak_mib() -> float:
    """Return the most memory that this process has held; getrusage's begins with what the one held that started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 2**10


def timed(encode: Callable[[Sequence[np.ndarray]], np.ndarray], chunks: Path) -> dict[str, Any]:
    """Return the chunks a second of each set, and how near the vectors are to those that are kept beside the chunks."""
    stored = np.load(chunks)
    names = [key.removesuffix("-ids") for key in stored.files if key.endswith("-ids")]
    sets = {name: rows_of(stored, name) for name in names if name != CALIBRATION}
    first = next(iter(sets.values()))
    encode(first[-1:])
    result: dict[str, Any] = {"first_vector_seconds": time.perf_counter() - STARTED, "chunks_per_second": {}}
    for name, rows in sets.items():
        encode(rows[:: max(1, len(rows) // WARM_UP)])
        seconds = []
        for _ in range(TIMES):
            started = time.perf_counter()
            vectors = encode(rows)
            seconds.append(time.perf_counter() - started)
        result["chunks_per_second"][name] = len(rows) / min(seconds)
        reference = chunks.with_name(f"{chunks.stem}-{name}.npy")
        if not reference.exists():
            np.save(reference, vectors)
        wanted = np.load(reference)
        norms = np.linalg.norm(vectors, axis=1) * np.linalg.norm(wanted, axis=1)
        worst = float(((vectors * wanted).sum(axis=1) / norms).min())
        result["worst_cosine"] = min(worst, result.get("worst_cosine", 1.0))
    result["peak_mib"] = peak_mib()
    return result


def main() -> None:
    """Measure what the arguments name and print it as JSON."""
    engine, precision, weights, chunks, threads = sys.argv[1:]
    if engine == "ceiling":
        print(json.dumps(ceiling(int(threads))))
        return
    if engine == "quantize":
        quantize(Path(weights), Path(chunks))
        print(json.dumps({}))
        return
    encode = as_the_question_did(Path(weights)) if engine == "keras" else of_engine(engine, precision, Path(weights))
    print(json.dumps({"precision": precision, **timed(encode, Path(chunks))}))


if __name__ == "__main__":
    main()
