"""What writing a trace costs a training, and how large it gets: made-up vectors and chunks, on all cores.

    python experiments/benchmarks/tracing.py experiments/benchmarks/tracing.json

Seconds are the processors', counted inside the trace's own calls and around the whole training, so that other work on the
machine does not show. "once" is what does not grow with the steps: copies and norms of the weights, the probe, writing.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

DIM, CLASSES, CHUNKS = 384, 10, 20
HEAD_DOCUMENTS, HEAD_EPOCHS, HEAD_DEV = 1600, 10, 200
ENCODER_CHUNKS, ENCODER_EPOCHS, ENCODER_DEV = 160, 2, 16
LARGE_DOCUMENTS, LARGE_EPOCHS = 8500, 50
IN_STEPS = ("add_step", "note_dev", "keep_dev")
ONCE = ("begin", "end", "probe", "save")
RECORDER_IN_STEPS = ("_see", "on_epoch_begin", "on_train_batch_begin", "on_train_batch_end", "on_epoch_end")
RECORDER_ONCE = ("on_train_begin", "on_train_end")


def timed(trace: Any, names: tuple[str, ...]) -> Counter[str]:
    """Count this thread's seconds in each of the trace's calls of these names from now on."""
    seconds: Counter[str] = Counter()

    def wrap(name: str) -> None:
        call = getattr(trace, name)

        @functools.wraps(call)
        def counted(*arguments: Any, **named: Any) -> Any:
            # the probe's own threads count as well
            clock = time.process_time if name in ("probe", "on_train_end") else time.thread_time
            started = clock()
            try:
                return call(*arguments, **named)
            finally:
                seconds[name] += clock() - started

        setattr(trace, name, counted)

    for name in names:
        wrap(name)
    return seconds


def made_up_documents(num: int, seed: int) -> Any:
    """`num` documents of 10 to 30 random vectors each, as train_head reads them."""
    from hierdoc.sequences.grouping import DocumentVectors
    from hierdoc.sequences.reading import LabelledDocuments

    rng = np.random.default_rng(seed)
    lengths = np.arange(num) % (CHUNKS + 1) + CHUNKS // 2
    vectors = rng.standard_normal((lengths.sum(), DIM)).astype(np.float32)
    doc_ids = [f"{seed}-{at:06d}" for at in range(num)]
    documents = DocumentVectors(doc_ids, vectors, vectors[:, :CLASSES], np.concatenate([[0], np.cumsum(lengths)]))
    ids = rng.integers(0, CLASSES, num).astype(np.int32)
    return LabelledDocuments(documents, [str(label) for label in ids], ids)


def made_up_chunks(num: int, vocab_size: int) -> Any:
    """`num` chunks of 200 random tokens, ten to a document, as train_encoder reads them."""
    from hierdoc.sequences.reading import TrainingChunks

    rng = np.random.default_rng(num)
    rows = list(rng.integers(1000, vocab_size, (num, 200)).astype(np.int32))
    documents = np.arange(num) // 10
    labels = (documents % CLASSES).astype(np.int32)
    places, names = (np.arange(num) % 10).astype(np.int32), [f"{at:06d}" for at in range(num // 10 + 1)]
    return TrainingChunks(rows, np.full(num, 200), documents, labels, places, names)


def measure(kind: str) -> dict[str, float]:
    """Return seconds of a training and of its trace."""
    from hierdoc.encoders import ENCODERS
    from hierdoc.encoders.pretrained import find_encoder
    from hierdoc.learning.checkpoints import Checkpoints
    from hierdoc.learning.encoder import train_encoder
    from hierdoc.learning.head import train_head
    from hierdoc.learning.history import History
    from hierdoc.learning.traces import TrainingTrace

    labels = [str(label) for label in range(CLASSES)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        trace = TrainingTrace(folder, "run", "documents" if kind == "lstm" else "chunks", labels, 1)
        seconds = timed(trace, IN_STEPS + ONCE)
        shared = (History(folder / "history.jsonl"), Checkpoints(folder), trace)
        if kind == "lstm":
            train, dev = made_up_documents(HEAD_DOCUMENTS, 0), made_up_documents(HEAD_DEV, 1)
            parameters = {"head": "lstm", "epochs": HEAD_EPOCHS, "learning_rate": 1e-3, "seed": 0}
            started = time.process_time()
            train_head(train, dev, DIM, CLASSES, parameters, *shared)
        else:
            source = find_encoder("minilm")
            encoder = ENCODERS["bert"](source.config)
            encoder.assign(source.load_weights(), "minilm")
            train, dev = (made_up_chunks(num, source.config["vocab_size"]) for num in (ENCODER_CHUNKS, ENCODER_DEV))
            parameters = {
                "epochs": ENCODER_EPOCHS, "learning_rate": 5e-5, "precision": "float32", "seed": 0,
                "freeze_embeddings": False, "trainable_layers": None, "chunks_per_document": None, "class_weight": "none",
                "gradient_accumulation": 1, "max_grad_norm": None, "layer_decay": 1.0,
            }  # fmt: skip
            started = time.process_time()
            train_encoder(encoder, train, dev, CLASSES, 200, parameters, *shared)
        total = time.process_time() - started
        num_steps = len(json.loads((folder / "trace.json").read_text())["epochs"])
        num_steps *= -(-HEAD_DOCUMENTS // 32) if kind == "lstm" else -(-ENCODER_CHUNKS // 16)
    return shares(seconds, IN_STEPS, ONCE, total, num_steps)


def shares(
    seconds: Counter[str], in_steps: tuple[str, ...], once: tuple[str, ...], total: float, num_steps: int
) -> dict[str, float]:
    """Return a row of the table."""
    in_steps, once = (sum(seconds[name] for name in names) for names in (in_steps, once))
    return {
        "seconds_per_step": (total - once) / num_steps,
        "of_them_for_the_trace": in_steps / num_steps,
        "share_percent": 100 * in_steps / (total - once),
        "once_seconds": once,
    }


def measure_recorder() -> dict[str, float]:
    """Return seconds of someone's own LSTM on a generator, with hierdoc.trace.Recorder."""
    from hierdoc.encoders import compat
    from hierdoc.trace import Recorder

    keras = compat.load_tensorflow().keras
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((HEAD_DOCUMENTS, CHUNKS, DIM)).astype(np.float32)
    vectors[np.arange(CHUNKS) > CHUNKS // 2 + np.arange(HEAD_DOCUMENTS)[:, None] % CHUNKS] = -99
    label_ids = rng.integers(0, CLASSES, HEAD_DOCUMENTS)

    def batches() -> Any:
        while True:
            for members in np.array_split(rng.permutation(HEAD_DOCUMENTS), HEAD_DOCUMENTS // 32):
                yield vectors[members], label_ids[members]

    model = keras.Sequential([keras.layers.Input((None, DIM)), keras.layers.Masking(-99.0), keras.layers.LSTM(100)])
    model.add(keras.layers.Dense(30, activation="relu"))
    model.add(keras.layers.Dense(CLASSES, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    with tempfile.TemporaryDirectory() as folder:
        recorder = Recorder(folder, kind="documents", num_classes=CLASSES, pad_value=-99.0)
        seconds = timed(recorder, RECORDER_IN_STEPS + RECORDER_ONCE)
        steps = HEAD_DOCUMENTS // 32
        started = time.process_time()
        model.fit(recorder.watch(batches()), steps_per_epoch=steps, epochs=HEAD_EPOCHS, callbacks=[recorder], verbose=0)
        total = time.process_time() - started
    return shares(seconds, RECORDER_IN_STEPS, RECORDER_ONCE, total, steps * HEAD_EPOCHS)


def measure_size() -> dict[str, float]:
    """Return the bytes of a trace of 8,500 documents of 20 chunks on average over 50 epochs, and the seconds to write it."""
    from hierdoc.learning.traces import TrainingTrace
    from hierdoc.sequences import batches
    from hierdoc.tracing.batches import Batch

    train = made_up_documents(LARGE_DOCUMENTS, 0)
    with tempfile.TemporaryDirectory() as place:
        trace = TrainingTrace(Path(place), "run", "documents", ["0"] * CLASSES, LARGE_DOCUMENTS)
        places = np.arange(2 * CHUNKS, dtype=np.int32)
        for epoch in range(LARGE_EPOCHS):
            rng = np.random.default_rng(epoch)
            for members in batches.plan_epoch(train.documents.num_chunks, rng):
                batch = batches.make_batch(train.documents, members)
                num = len(members)
                doc_ids = [train.documents.doc_ids[member] for member in members]
                index = [places[:length] for length in train.documents.num_chunks[members]]
                seen = Batch(batch.vectors[:num], batch.mask[:num], train.label_ids[members], True, doc_ids, index)
                trace.add_step(seen, epoch + 1, float(rng.random()), 1e-3)
        started = time.process_time()
        state = trace.state()
        state_seconds = time.process_time() - started
        started = time.process_time()
        trace.save([], None, finished=True)
        return {
            "mib": sum(path.stat().st_size for path in Path(place).iterdir()) / 2**20,
            "mib_in_a_checkpoint": sum(array.nbytes for array in state.values()) / 2**20,
            "seconds_to_write": time.process_time() - started,
            "seconds_for_a_checkpoint": state_seconds,
        }


def main() -> None:
    """Measure each in a process of its own and write the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?")
    parser.add_argument("--one", choices=["lstm", "minilm", "recorder", "size"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        others = {"size": measure_size, "recorder": measure_recorder}
        found = others[arguments.one]() if arguments.one in others else measure(arguments.one)
        print(json.dumps({name: float(f"{value:.3g}") for name, value in found.items()}))
        return
    if arguments.out is None:
        parser.error("name the file to write")
    cases = {}
    for name in ("lstm", "minilm", "recorder", "size"):
        done = subprocess.run([sys.executable, __file__, "--one", name], capture_output=True, text=True, check=True)
        cases[name] = json.loads(done.stdout.splitlines()[-1])
        print(name, cases[name], file=sys.stderr)
    result = {"machine": {"cores": os.cpu_count()}, "cases": cases}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
