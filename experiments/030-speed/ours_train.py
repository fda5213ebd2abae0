"""One contestant that trains in hierdoc's environment: ours_train.py HOW PRECISION WEIGHTS EXAMPLES THREADS; see finetune.py."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
from ours import keras_model, peak_mib, read_weights

CHUNK_SIZE, RATE, SEED = 200, 5e-5, 0


def read_examples(path: Path, split: str) -> tuple[list[np.ndarray], np.ndarray]:
    """Return token ids and label ids."""
    stored = np.load(path)
    rows = np.split(stored[f"{split}-ids"], np.cumsum(stored[f"{split}-lengths"])[:-1])
    return rows, stored[f"{split}-labels"]


def by_hierdoc(precision: str, weights: Path, examples: Path) -> tuple[float, float]:
    """Return the seconds of one epoch and the accuracy on dev, as `finetune` does it."""
    from hierdoc.encoders import ENCODERS, compat
    from hierdoc.engines.encoding import encode_chunks
    from hierdoc.engines.precision import in_precision
    from hierdoc.engines.tensorflow import build_engine
    from hierdoc.learning import loop
    from hierdoc.learning.chunk_batches import make_batches, plan_epoch
    from hierdoc.learning.optimizers import adam
    from hierdoc.learning.schedules import warmup_linear
    from hierdoc.objectives import classification
    from hierdoc.sequences.reading import TrainingChunks

    compat.load_tensorflow()
    config, arrays = read_weights(weights)
    encoder = ENCODERS["bert"](config)
    encoder.assign(arrays, str(weights))
    head = classification.ChunkHead(encoder.dim, 2, seed=SEED)
    variables = [*encoder.trainable(), head.kernel, head.bias]
    rows, labels = read_examples(examples, "train")
    lengths, number = np.asarray([len(row) for row in rows]), np.arange(len(rows))
    chunks = TrainingChunks(rows, lengths, number, labels.astype(np.int32), np.zeros(len(rows), np.int32), [str(at) for at in number])  # fmt: skip
    plan = plan_epoch(number, lengths, CHUNK_SIZE, None, SEED, 0)
    with in_precision(precision):
        trained = loop.make_trained(
            lambda ids, mask, dropout_seed: head(encoder(ids, mask, dropout_seed), dropout_seed),
            variables, adam(warmup_linear(RATE, len(plan))), SEED, trace_each_shape=True,
        )  # fmt: skip
        started = time.perf_counter()
        for step, make in enumerate(make_batches(plan, chunks, np.ones(2, np.float32))):
            trained.take_step(make(), step)
        seconds = time.perf_counter() - started
    dev_rows, dev_labels = read_examples(examples, "dev")
    vectors = encode_chunks(build_engine(encoder, precision, CHUNK_SIZE), dev_rows)
    answers = classification.chunk_probs(vectors, head.arrays()).argmax(axis=1)
    return seconds, float((answers == dev_labels).mean())


def by_keras(weights: Path, examples: Path) -> tuple[float, float]:
    """Return the same of a Keras fit over chunks that are padded to 200."""
    from hierdoc.encoders import compat

    tf = compat.load_tensorflow()
    keras = tf.keras
    body = keras_model(weights)
    vectors = keras.layers.Dropout(0.2)(body.output)
    model = keras.Model(body.input, keras.layers.Dense(2, activation="softmax")(vectors))
    rows, labels = read_examples(examples, "train")
    dev_rows, dev_labels = read_examples(examples, "dev")

    def padded(some: list[np.ndarray]) -> np.ndarray:
        ids = np.zeros((len(some), CHUNK_SIZE), np.int32)
        for at, row in enumerate(some):
            ids[at, : len(row)] = row
        return ids

    steps = -(-len(rows) // 16)
    rate = keras.optimizers.schedules.PolynomialDecay(RATE, steps, end_learning_rate=0.0)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy")
    started = time.perf_counter()
    model.fit(padded(rows), labels, batch_size=16, epochs=1, verbose=0)
    seconds = time.perf_counter() - started
    answers = model.predict(padded(dev_rows), verbose=0).argmax(axis=1)
    return seconds, float((answers == dev_labels).mean())


def main() -> None:
    """Measure what the arguments name and print it as JSON."""
    how, precision, weights, examples, _ = sys.argv[1:]
    if how == "hierdoc":
        seconds, accuracy = by_hierdoc(precision, Path(weights), Path(examples))
    else:
        seconds, accuracy = by_keras(Path(weights), Path(examples))
    num = len(read_examples(Path(examples), "train")[0])
    print(json.dumps({"chunks_per_second": num / seconds, "dev_accuracy": accuracy, "peak_mib": peak_mib()}))


if __name__ == "__main__":
    main()
