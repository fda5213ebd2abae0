"""Trainings that are recorded, and the truth about them, for tests/test_trace.py: run with tf-keras or Keras 3.

    TF_USE_LEGACY_KERAS=0 python tests/recorder_scenarios.py FOLDER

The truth of a step comes from inside the model, whose train_step runs eagerly and writes down what it is given.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.trace import Recorder

NUM_DOCUMENTS, DIM, NUM_CLASSES = 11, 4, 3
LENGTHS = [1, 2, 1, 2, 3, 4, 3, 1, 2, 1, 4]  # Keras 3 wants the first two batches to have other lengths
rng = np.random.default_rng(0)
DOCUMENTS = [rng.standard_normal((length, DIM)).astype(np.float32) for length in LENGTHS]
LABELS = np.arange(NUM_DOCUMENTS) * 2 % NUM_CLASSES
IDS = np.array([[101, 7 + n, 8, 102, 0, 0][: 6 - n % 2 * 2] + [0, 0] * (n % 2) for n in range(NUM_DOCUMENTS)])


def batch_of(members: list[int], with_mask: bool = False) -> tuple[Any, np.ndarray]:
    """x and one-hot y of some documents: padded with -99, or with zeros and a mask."""
    length = max(len(DOCUMENTS[at]) for at in members)
    x = np.full((len(members), length, DIM), 0.0 if with_mask else -99.0)
    for row, at in enumerate(members):
        x[row, : len(DOCUMENTS[at])] = DOCUMENTS[at]
    real = np.arange(length) < np.array([[len(DOCUMENTS[at])] for at in members])
    return [x.astype(np.float32), real] if with_mask else x, np.eye(NUM_CLASSES)[LABELS[members]]


def batches(size: int = 4, forever: bool = True, **named: Any) -> Iterator[tuple[Any, np.ndarray]]:
    """The documents in order, the last batch smaller."""
    while True:
        for at in range(0, NUM_DOCUMENTS, size):
            yield batch_of(list(range(at, min(at + size, NUM_DOCUMENTS))), **named)
        if not forever:
            return


class Scenarios:
    """All trainings, with one of the two Keras."""

    def __init__(self, keras: Any, folder: Path):
        self.keras, self.folder = keras, folder
        self.truth: dict[str, Any] = {}
        self.seen: list[dict[str, Any]] = []

    def model(self, with_mask: bool = False, output: str = "softmax", units: int = NUM_CLASSES, **compiled: Any) -> Any:
        """An LSTM that writes down each batch it trains on, with the loss before the step."""
        keras, seen = self.keras, self.seen
        vectors = keras.layers.Input((None, DIM))
        mask = keras.layers.Input((None,), dtype="bool")
        real = vectors if with_mask else keras.layers.Masking(-99.0)(vectors)
        state = keras.layers.LSTM(5)(real, mask=mask) if with_mask else keras.layers.LSTM(5)(real)
        out = keras.layers.Dense(units, activation=None if output == "logits" else output)(state)

        class Seeing(keras.Model):
            def train_step(self, data: Any) -> Any:
                x, y = data[:2]
                main = np.asarray(x[0] if isinstance(x, (list, tuple)) else x)
                loss = float(np.mean(np.asarray(loss_of(y, self(x, training=True)))))
                seen.append({"first": main[:, 0].tolist(), "length": main.shape[1], "loss": loss})
                return super().train_step(data)

        model = Seeing([vectors, mask] if with_mask else vectors, out)
        loss_of = {
            "softmax": keras.losses.CategoricalCrossentropy(),
            "logits": keras.losses.CategoricalCrossentropy(from_logits=True),
            "sigmoid": keras.losses.BinaryCrossentropy(),
        }[output]
        model.compile(compiled.pop("optimizer", "sgd"), loss_of, run_eagerly=True, **compiled)
        return model

    def recorder(self, name: str, **named: Any) -> Recorder:
        """A recorder whose trace is called `name`."""
        given = {"kind": "documents", "num_classes": NUM_CLASSES, "pad_value": -99.0, **named}
        return Recorder(self.folder / name, **given)

    def note(self, name: str, **facts: Any) -> None:
        """Keep what the model has seen since the last call, and more."""
        self.truth[name] = {"seen": list(self.seen), **facts}
        self.seen.clear()

    def generator(self) -> None:
        """A schedule, validation, dev; after the first epoch the trace is copied."""
        keras = self.keras
        schedule = keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
        model = self.model(optimizer=keras.optimizers.Adam(schedule), metrics=["accuracy"])
        recorder = self.recorder(
            "generator",
            labels=["a", "b", "c"],
            num_documents=NUM_DOCUMENTS,
            weights_loaded=0,
            weights_expected=0,
            dev=lambda: ((x, y, [f"d{at}" for at in range(len(y))]) for x, y in batches(6, forever=False)),
        )
        before = {weight_name(weight): np.asarray(weight).copy() for weight in model.trainable_weights}
        folder = self.folder

        class Copy(keras.callbacks.Callback):
            def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
                if epoch == 0:
                    shutil.copytree(folder / "generator", folder / "generator-after-1")

        history = model.fit(
            recorder.watch(batches()),
            steps_per_epoch=4,
            epochs=3,
            validation_data=batches(),
            validation_steps=2,
            callbacks=[recorder, Copy()],
            verbose=0,
        )
        after = {weight_name(weight): np.asarray(weight).copy() for weight in model.trainable_weights}
        self.note(
            "generator",
            rates=[0.1 * 0.5**step for step in range(12)],
            history={name: [float(value) for value in values] for name, values in history.history.items()},
            changes={name: float(np.linalg.norm(after[name] - before[name])) for name in before},
            norms={name: float(np.linalg.norm(before[name])) for name in before},
            dev=np.asarray(model(batch_of(list(range(11)))[0])).tolist(),
        )

    def finite(self) -> None:
        """A generator that ends in the first of three epochs."""
        model, recorder = self.model(), self.recorder("finite")
        model.fit(recorder.watch(batches(3, forever=False)), epochs=3, callbacks=[recorder], verbose=0)
        self.note("finite")

    def fitted_twice(self) -> None:
        """Two calls of fit, each with a generator of its own, and one more on the second's rest."""
        model, recorder = self.model(), self.recorder("fitted-twice")
        for _ in range(2):
            model.fit(recorder.watch(batches()), steps_per_epoch=2, epochs=1, callbacks=[recorder], verbose=0)
        self.note("fitted-twice")

    def masked(self) -> None:
        """[vectors, mask], and logits; some rows do not count."""
        model, recorder = self.model(with_mask=True, output="logits"), self.recorder("masked", pad_value=None)

        def weighted() -> Iterator[tuple[Any, np.ndarray, np.ndarray]]:
            for x, y in batches(with_mask=True):
                yield tuple(x), y, np.array([1.0, 0.0, 1.0, 1.0])[: len(y)]

        model.fit(recorder.watch(weighted()), steps_per_epoch=3, epochs=2, callbacks=[recorder], verbose=0)
        self.note("masked")

    def arrays(self) -> None:
        """Arrays: (B, 1) labels of 0 and 1, one output; batches of 4, 4, 3."""
        model, recorder = self.model(output="sigmoid", units=1), self.recorder("arrays", num_classes=2)
        x, _ = batch_of(list(range(NUM_DOCUMENTS)))
        y = (LABELS[:, None] > 0).astype(np.float32)
        recorder.note_examples(label_ids=y, doc_ids=range(NUM_DOCUMENTS), vectors=x)
        recorder.note_dev(y[:3], np.asarray(model(x[:3])), vectors=x[:3])
        model.fit(x, y, batch_size=4, epochs=2, validation_data=(x, y), callbacks=[recorder], verbose=0)
        self.note("arrays")

    def at_once(self) -> None:
        """Several steps in one call of TensorFlow's, on token ids; the model takes no step eagerly."""
        keras = self.keras
        model = keras.Sequential(
            [keras.layers.Input((6,)), keras.layers.Embedding(200, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
        )
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, steps_per_execution=2)
        recorder = self.recorder("at-once", kind="chunks", pad_value=None)

        def chunks() -> Iterator[tuple[np.ndarray, np.ndarray, list[str]]]:
            while True:
                for at in range(NUM_DOCUMENTS - 2):
                    yield IDS[at : at + 2], LABELS[at : at + 2], [f"d{at}", f"d{at + 1}"]

        watched = recorder.watch(chunks(), with_doc_ids=True)
        history = model.fit(watched, steps_per_epoch=4, epochs=2, callbacks=[recorder], verbose=0)
        self.note("at-once", losses=[float(value) for value in history.history["loss"]])

    def pinned(self) -> None:
        """A model of one length that masks padding inside, so that nobody gives it a mask."""
        keras = self.keras
        layers = [
            keras.layers.Input((6,)), keras.layers.Embedding(200, 3, mask_zero=True), keras.layers.GlobalAveragePooling1D(),
            keras.layers.Dense(3),
        ]  # fmt: skip
        model = keras.Sequential(layers)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        recorder = self.recorder("pinned", kind="chunks", pad_value=None, dev=lambda: [(IDS, LABELS)])
        model.fit(IDS, LABELS, batch_size=4, epochs=1, callbacks=[recorder], verbose=0)
        self.note("pinned", norms=[float(np.linalg.norm(array)) for array in model.get_weights()])

    def own_train_step(self) -> None:
        """A model that reports what it likes as its loss, and is not built before it is trained."""
        keras = self.keras
        reported = iter([5.0, 3.0, 1.0, 4.0])

        class Own(keras.Model):
            def __init__(self) -> None:
                super().__init__()
                self.dense = keras.layers.Dense(3)

            def call(self, inputs: Any, training: bool = False) -> Any:
                return self.dense(inputs)

            def train_step(self, data: Any) -> dict[str, float]:
                self(data[0])
                return {"loss": next(reported)}

        model, recorder = Own(), self.recorder("own-train-step")
        model.compile("sgd", "mse", run_eagerly=True)
        x = np.random.default_rng(1).standard_normal((4, 2)).astype(np.float32)
        model.fit(x, np.zeros(4), batch_size=2, epochs=2, callbacks=[recorder], verbose=0)
        self.note("own-train-step")

    def not_a_number(self) -> None:
        """The third batch holds a NaN, and a callback stops the training then."""
        model, recorder = self.model(), self.recorder("nan", dev=lambda: batches(6, forever=False))

        def broken() -> Iterator[tuple[Any, np.ndarray]]:
            for number, (x, y) in enumerate(batches()):
                yield (x * np.nan if number == 2 else x), y

        callbacks = [recorder, self.keras.callbacks.TerminateOnNaN()]
        model.fit(recorder.watch(broken()), steps_per_epoch=5, epochs=2, callbacks=callbacks, verbose=0)
        self.note("nan")

    def raising(self) -> None:
        """The generator fails at the sixth batch, the second of the second epoch."""
        model = self.model()

        def failing() -> Iterator[tuple[Any, np.ndarray]]:
            for number, batch in enumerate(batches()):
                if len(self.seen) == 5 or number == 8:
                    raise RuntimeError("no more")
                yield batch

        try:
            with self.recorder("raising") as recorder:
                model.fit(recorder.watch(failing()), steps_per_epoch=4, epochs=3, callbacks=[recorder], verbose=0)
            raised = None
        except Exception as error:  # TensorFlow wraps it
            raised = type(error).__name__
        self.note("raising", raised=raised)

    def out_of_range(self) -> None:
        """Labels 1 to 3 for three outputs: on a processor the first step with a 3 raises, and nobody saves."""
        keras = self.keras
        model = keras.Sequential([keras.layers.Input((None, DIM)), keras.layers.LSTM(3), keras.layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        self.kept = self.recorder("out-of-range")  # saved when the interpreter ends, or by the next line

        def from_1() -> Iterator[tuple[Any, np.ndarray]]:
            for x, y in batches():
                yield x, y.argmax(axis=1) + 1

        try:
            model.fit(self.kept.watch(from_1()), steps_per_epoch=3, callbacks=[self.kept], verbose=0)
            raised = None
        except Exception as error:
            raised = type(error).__name__
        self.kept.save()
        self.note("out-of-range", raised=raised)


def weight_name(weight: Any) -> str:
    """What a trace calls a weight."""
    return getattr(weight, "path", None) or weight.name.removesuffix(":0")


def run(keras: Any, folder: Path) -> None:
    """Record all trainings into `folder`, and write truth.json there."""
    keras.utils.set_random_seed(0)
    scenarios = Scenarios(keras, folder)
    methods: list[Callable[[], None]] = [
        scenarios.generator,
        scenarios.finite,
        scenarios.fitted_twice,
        scenarios.masked,
        scenarios.arrays,
        scenarios.at_once,
        scenarios.pinned,
        scenarios.own_train_step,
        scenarios.not_a_number,
        scenarios.raising,
        scenarios.out_of_range,
    ]
    for method in methods:
        method()
    (folder / "truth.json").write_text(json.dumps(scenarios.truth))


if __name__ == "__main__":
    import keras

    run(keras, Path(sys.argv[1]))
