"""The question's second model, in code of its own: vectors grouped in a dict, a generator of batches of 3, an LSTM."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from settings import DocumentTraining

from hierdoc.encoders import compat
from hierdoc.learning.seeds import generator, seed_tensorflow

Batch = tuple[Any, ...]


@dataclass
class Made:
    """One side's chunk vectors, as they come from the encoder.

    Attributes:
        cls: float32 (N, D).
        index: int64 (N,), the list of indices that was kept when the documents were cut.
        labels: int32 (N,), the chunks' labels.
        frame_labels: the label of each document, by its place in the frame's index.
        positions: further vectors of the same chunks by name, float32 (N, D).
    """

    cls: np.ndarray
    index: np.ndarray
    labels: np.ndarray
    frame_labels: dict[int, int]
    positions: dict[str, np.ndarray]


@dataclass
class Sequences:
    """One side's B documents.

    Attributes:
        vectors: float32 (S_b, D) each.
        labels: of each document.
        ids: of each document.
    """

    vectors: list[np.ndarray]
    labels: list[int]
    ids: list[str]


def group(made: Made) -> Sequences:
    """Return a side's documents in the order of their first chunk; zip stops silently at the shorter of the two."""
    by_index: dict[int, list[np.ndarray]] = {}
    for place, vector in zip(made.index.tolist(), made.cls):  # noqa: B905
        by_index.setdefault(place, []).append(vector)
    vectors = [np.vstack(rows) for rows in by_index.values()]
    return Sequences(vectors, [made.frame_labels[place] for place in by_index], [str(place) for place in by_index])


def batches(documents: Sequences, settings: DocumentTraining, forever: bool = True) -> Iterator[Batch]:
    """Yield (x (3, S, D), y (3, 1), ids) of the documents, in their order, padded on the right, again and again.

    Without `forever`, once, in order, and all of them.
    """
    num_documents, dim = len(documents.labels), documents.vectors[0].shape[1]
    num_batches = num_steps(num_documents, settings) if forever else math.ceil(num_documents / settings.batch_size)
    for epoch in range(2**31):
        order = np.arange(num_documents)
        if settings.shuffle and forever:
            order = generator(settings.seed, "documents", epoch).permutation(num_documents)
        for number in range(num_batches):
            members = order[number * settings.batch_size : (number + 1) * settings.batch_size].tolist()
            longest = max(len(documents.vectors[member]) for member in members)
            x = np.full((len(members), longest, dim), settings.pad, settings.fill)
            y = np.zeros((len(members), 1))
            for row, member in enumerate(members):
                x[row, : len(documents.vectors[member])] = documents.vectors[member]
                y[row] = documents.labels[member]
            yield x, y, [documents.ids[member] for member in members]
        if not forever:
            return


def num_steps(num_documents: int, settings: DocumentTraining) -> int:
    """Return how many batches the generator's loop has."""
    return math.ceil(num_documents * settings.steps_share / settings.batch_size)


def build(dim: int, num_classes: int, settings: DocumentTraining) -> Any:
    """Return the Keras model: Masking, LSTM 100, dense 30, softmax; with what `settings` breaks in it."""
    tf = compat.load_tensorflow()
    keras = tf.keras
    kernels = {"kernel_initializer": "zeros"} if settings.start == "zeros" else {}
    inputs = keras.Input((None, dim), name="input")
    hidden = keras.layers.Masking(settings.pad, name="mask")(inputs) if settings.masking else inputs
    if settings.reader == "lstm":
        hidden = keras.layers.LSTM(100, name="lstm", **kernels)(hidden)
    else:
        hidden = keras.layers.GlobalAveragePooling1D(name="mean")(hidden)
    if settings.batch_statistics:
        normalised = keras.layers.BatchNormalization(name="normalised")(hidden, training=True)
        share = settings.batch_statistics
        hidden = keras.layers.Lambda(lambda pair: (1 - share) * pair[0] + share * pair[1])([hidden, normalised])
    bias = keras.initializers.Constant(-100.0) if settings.start == "dead" else "zeros"
    hidden = keras.layers.Dense(30, activation="relu", bias_initializer=bias, name="dense", **kernels)(hidden)
    if settings.lasting_dropout:
        hidden = keras.layers.Dropout(settings.lasting_dropout, name="dropped")(hidden, training=True)
    logits = keras.layers.Dense(num_classes, name="logits", **kernels)(hidden)
    functions = {"softmax": lambda x: tf.nn.softmax(x, axis=settings.softmax_axis), "sigmoid": tf.nn.sigmoid}
    outputs = keras.layers.Lambda(functions[settings.outputs], name="output")(logits)
    return keras.Model(inputs, outputs, name="final_model")


def crossentropy_as_on_a_gpu(labels: Any, probs: Any) -> Any:
    """Return Keras' sparse crossentropy (B,), NaN with its gradient for a label that no output stands for.

    So says TensorFlow's documentation of what a GPU does; on a CPU the same label is an error.
    """
    tf = compat.load_tensorflow()
    labels = tf.cast(tf.reshape(labels, [-1]), tf.int32)
    known = (labels >= 0) & (labels < tf.shape(probs)[-1])
    losses = tf.keras.losses.sparse_categorical_crossentropy(tf.where(known, labels, 0), probs)
    return losses * tf.where(known, 1.0, float("nan"))


def compile_model(model: Any, settings: DocumentTraining) -> None:
    """Give the model its optimizer and loss."""
    keras = compat.load_tensorflow().keras
    rate: Any = settings.learning_rate
    if settings.decay_steps is not None:
        rate = keras.optimizers.schedules.PolynomialDecay(rate, settings.decay_steps, end_learning_rate=0.0)
    if settings.weight_decay:
        optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay)
    else:
        optimizer = keras.optimizers.Adam(rate, clipvalue=settings.clip)
    model.trainable = not settings.frozen
    losses = {"crossentropy": crossentropy_as_on_a_gpu, "squared_error": "mse"}
    metric = keras.metrics.SparseCategoricalAccuracy(name="acc") if settings.metric == "sparse" else settings.metric
    model.compile(optimizer=optimizer, loss=losses[settings.loss], metrics=[metric])


@dataclass
class Recorded:
    """What a case's recorder is told apart from the batches.

    Attributes:
        folder: where the trace goes.
        classes: in the order of the outputs.
        num_documents: of training, by the frame.
        made: the sides as they came from the encoder, with the chunk model's classes for them.
    """

    folder: Path
    classes: Sequence[str]
    num_documents: int
    made: dict[str, tuple[Made, np.ndarray | None]]


def fit(
    sides: dict[str, Sequences],
    settings: DocumentTraining,
    recorded: Recorded,
    wrap: Callable[[Iterator[Batch]], Iterator[Batch]] | None = None,
    wrap_names: bool = True,
) -> tuple[np.ndarray, float]:
    """Train on the documents of train, with a trace.

    Returns:
        The probabilities of val, float32 (B, C), and the accuracy on val that Keras showed at last.

    Args:
        wrap: what a breakage does to the training batches.
        wrap_names: whether what it yields ends with the documents' ids, not with their weights.
    """
    from hierdoc.trace import Recorder

    keras = compat.load_tensorflow().keras
    keras.backend.clear_session()
    seed_tensorflow(settings.seed)
    train, val = sides["train"], sides["val"]
    model = build(train.vectors[0].shape[1], len(recorded.classes), settings)
    compile_model(model, settings)
    named = settings.noted
    recorder = Recorder(
        recorded.folder,
        kind="documents",
        num_classes=len(recorded.classes),
        labels=list(recorded.classes),
        num_documents=recorded.num_documents if named else None,
        weights_expected=0,
        pad_value=settings.pad,
        dev=lambda: (batch if named else batch[:2] for batch in batches(val, settings, forever=False)),
    )
    if named:
        for side, (made, predicted) in recorded.made.items():
            split = {"train": "train", "val": "dev"}[side]
            ids = [str(place) for place in made.index[: len(made.cls)]]
            recorder.note_made(ids, made.cls, label_ids=made.labels, split=split, predicted=predicted)
    given = batches(train, settings) if wrap is None else wrap(batches(train, settings))
    if not named:
        given = (batch[:2] for batch in given)
    beginning = model.get_weights()
    restore = keras.callbacks.LambdaCallback(on_train_end=lambda logs: model.set_weights(beginning))
    shown = model.fit(
        recorder.watch(given, with_doc_ids=named and wrap_names),
        steps_per_epoch=num_steps(len(train.labels), settings),
        epochs=settings.epochs,
        validation_data=(batch[:2] for batch in batches(val, settings)),
        validation_steps=num_steps(len(val.labels), settings),
        class_weight={label: settings.class_0_weight if label == 0 else 1.0 for label in range(len(recorded.classes))}
        if settings.class_0_weight != 1.0
        else None,
        callbacks=[restore, recorder] if settings.restored else [recorder],
        verbose=0,
    )
    probs = [model.predict_on_batch(batch[0]) for batch in batches(val, settings, forever=False)]
    name = "acc" if settings.metric == "sparse" else settings.metric
    return np.concatenate(probs), round(float(shown.history[f"val_{name}"][-1]), 4)
