"""Where a step of fine-tuning goes: what each part of it costs, and what each part cost before it was written out.

    python experiments/benchmarks/step.py experiments/benchmarks/step.json

MiniLM, 16 chunks of 200 tokens a step, on one core. Every case is a process of its own; they take turns, so that they meet
the same machine.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROUNDS, WARM_UP, STEPS, CHUNKS_A_STEP = 3, 3, 12, 16


def whole_last_layer(encoder: Any) -> None:
    """Compute the last layer for every token, as bert-for-tf2 does, and take [CLS] from it."""
    from hierdoc.encoders import bert

    bert._cls_of_layer = lambda layer, hidden, mask: layer(hidden, mask=mask)[:, 0]


def tensorflows_gelu(encoder: Any) -> None:
    """Let TensorFlow's own GELU stand in each layer, and its derived gradient."""
    from hierdoc.encoders import compat

    tf = compat.load_tensorflow()
    for layer in encoder._layer.encoders_layer.encoder_layers:
        layer.intermediate_layer.activation = lambda inputs: tf.nn.gelu(inputs, approximate=False)


def params_flows_layer_norm(encoder: Any) -> None:
    """Let params-flow's layer normalisation stand, and its derived gradient."""
    for layer in encoder._layer._flatten_layers():
        if layer.name == "LayerNorm":
            del layer.call
            layer.params.epsilon = encoder.config["layer_norm_eps"]


def two_bytes_for_dropout(encoder: Any) -> None:
    """Decide each number by 16 random bits."""
    from hierdoc.encoders import compat, dropout

    tf = compat.load_tensorflow()

    def by_two_bytes(inputs: Any, rate: float, seed: Any, place: int) -> Any:
        size, dropped = tf.size(inputs), round(rate * 2**16)
        draws = tf.random.stateless_uniform(
            [(size + 1) // 2], [seed[0], seed[1] * dropout._PLACES + place], None, None, tf.int32, alg="philox"
        )
        levels = tf.reshape(tf.reshape(tf.bitcast(draws, tf.int16), [-1])[:size], tf.shape(inputs))
        return tf.where(levels >= dropped - 2**15, inputs / (1 - dropped / 2**16), 0.0)

    dropout.dropout = by_two_bytes


def no_dropout(encoder: Any) -> None:
    """Drop nothing inside the encoder."""
    from hierdoc.encoders import dropout

    dropout.dropout = lambda inputs, rate, seed, place: inputs


CHANGES: dict[str, Callable[[Any], None]] = {
    "the last layer for all tokens": whole_last_layer,
    "tf.nn.gelu": tensorflows_gelu,
    "params-flow's layer normalisation": params_flows_layer_norm,
    "two random bytes for a dropout": two_bytes_for_dropout,
}
KERAS_ADAM = "tf-keras' Adam"
BEFORE = [*CHANGES, KERAS_ADAM]
# Each case: the name, the changes in it, and further arguments of `measure`.
CASES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "as hierdoc does it": ([], {}),
    **{f"with {name}": ([name], {}) for name in BEFORE},
    "with all of these": (BEFORE, {}),
    "without dropout in the encoder": ([], {"without_dropout": True}),
    "with frozen embeddings": ([], {"freeze_embeddings": True}),
    "with the last 3 layers trained": ([], {"trainable_layers": 3}),
    "with the last 2 layers trained": ([], {"trainable_layers": 2}),
    "float32": ([], {"precision": "float32"}),
    "float32, with all of these": (BEFORE, {"precision": "float32"}),
}


def measure(
    changes: list[str],
    precision: str = "auto",
    without_dropout: bool = False,
    freeze_embeddings: bool = False,
    trainable_layers: int | None = None,
) -> float:
    """Return the seconds that a step takes, the median."""
    import numpy as np

    from hierdoc.encoders import ENCODERS, compat
    from hierdoc.encoders.pretrained import find_encoder
    from hierdoc.engines.precision import in_precision, resolve_precision
    from hierdoc.learning import loop
    from hierdoc.learning.optimizers import adam
    from hierdoc.objectives.classification import ChunkHead

    source = find_encoder("minilm")
    encoder = ENCODERS["bert"](source.config)
    encoder.assign(source.load_weights(), "minilm")
    for change in changes:
        if change in CHANGES:
            CHANGES[change](encoder)
    if without_dropout:
        no_dropout(encoder)
    head = ChunkHead(encoder.dim, 10)
    variables = [*encoder.trainable(freeze_embeddings, trainable_layers), head.kernel, head.bias]
    keras = compat.load_tensorflow().keras
    optimizer = keras.optimizers.Adam(5e-5, epsilon=1e-7) if KERAS_ADAM in changes else adam(5e-5)
    rng = np.random.default_rng(0)
    seconds: list[float] = []
    num_frozen = 0 if trainable_layers is None else source.config["num_hidden_layers"] - trainable_layers

    def forward(ids: Any, mask: Any, *kept: Any, dropout_seed: Any) -> Any:
        vectors = encoder.vectors_of(*kept, mask, num_frozen, dropout_seed) if kept else encoder(ids, mask, dropout_seed)
        return head(vectors, dropout_seed)

    with in_precision(resolve_precision(precision)):
        trained = loop.make_trained(forward, variables, optimizer, seed=0, trace_each_shape=True)
        for number in range(WARM_UP + STEPS):
            ids = rng.integers(1000, source.config["vocab_size"], (CHUNKS_A_STEP, 200)).astype(np.int32)
            labels = rng.integers(0, 10, CHUNKS_A_STEP).astype(np.int32)
            inputs = (ids, np.ones(ids.shape, bool))
            if trainable_layers is not None:  # what the frozen layers make is read, not computed
                inputs += (rng.standard_normal((*ids.shape, encoder.dim), np.float32),)
            batch = loop.LabelledBatch(inputs, labels, np.ones(CHUNKS_A_STEP, np.float32))
            started = time.perf_counter()
            trained.take_step(batch, number)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[WARM_UP:])


def apart(case: str) -> float:
    """Measure a case in a process on the first of this one's cores."""
    core = min(os.sched_getaffinity(0))
    done = subprocess.run(
        [sys.executable, __file__, "--one", case],
        capture_output=True, text=True, check=True, preexec_fn=lambda: os.sched_setaffinity(0, [core]),
    )  # fmt: skip
    return float(done.stdout.splitlines()[-1])


def main() -> None:
    """Measure in turns and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        changes, further = CASES[arguments.one]
        print(measure(changes, **further))
        return
    rounds = []
    for _ in range(ROUNDS):
        rounds.append({case: apart(case) for case in CASES})
        print(rounds[-1], file=sys.stderr)
    first = next(iter(CASES))
    cases = {
        case: {
            "milliseconds": round(1000 * statistics.median(each[case] for each in rounds)),
            "chunks_per_second": round(CHUNKS_A_STEP / statistics.median(each[case] for each in rounds), 1),
            "times_as_long": round(statistics.median(each[case] / each[first] for each in rounds), 2),
        }
        for case in CASES
    }
    result = {"machine": {"cores_used": 1}, "cases": cases, "rounds": rounds}
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
