"""The question's own design in small, with Keras: recorded by Recorder, examined by the doctor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hierdoc.doctor import examine
from hierdoc.trace import Recorder

NUM_CLASSES, NUM_TRAIN, NUM_DEV, LENGTH, DIM = 5, 80, 40, 12, 16
NUM_DOCUMENTS = NUM_TRAIN + NUM_DEV


@dataclass
class Corpus:
    """Documents of 1 to 6 chunks: token ids (N, T) of which a third say the class, their documents, and the labels."""

    token_ids: np.ndarray
    owners: np.ndarray
    labels: np.ndarray

    def of(self, documents: range) -> np.ndarray:
        """The chunks of some documents, int (M,)."""
        return np.flatnonzero(np.isin(self.owners, documents))


@dataclass
class Encoded:
    """What the chunk model made, and where its trace is."""

    vectors: np.ndarray
    predicted: np.ndarray
    trace: Path


@pytest.fixture(scope="module")
def keras() -> Any:
    from hierdoc.encoders import compat

    return compat.load_tensorflow().keras


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, NUM_CLASSES, NUM_DOCUMENTS)
    owners = np.repeat(np.arange(NUM_DOCUMENTS), rng.integers(1, 7, NUM_DOCUMENTS))
    common = rng.integers(40, 140, (len(owners), LENGTH))
    telling = 2 + labels[owners][:, None] * 6 + rng.integers(0, 6, (len(owners), LENGTH))
    token_ids = np.where(rng.random((len(owners), LENGTH)) < 0.35, telling, common)
    token_ids[np.arange(LENGTH) >= rng.integers(LENGTH // 2, LENGTH + 1, len(owners))[:, None]] = 0
    return Corpus(token_ids.astype(np.int32), owners, labels)


@pytest.fixture(scope="module")
def encoded(keras: Any, corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Encoded:
    folder = tmp_path_factory.mktemp("chunks")
    keras.utils.set_random_seed(0)
    inputs = keras.Input((LENGTH,), dtype="int32")
    tokens = keras.layers.Embedding(150, DIM, mask_zero=True)(inputs)
    vectors = keras.layers.Dense(DIM, activation="tanh")(keras.layers.GlobalAveragePooling1D()(tokens))
    model = keras.Model(inputs, keras.layers.Dense(NUM_CLASSES, activation="softmax")(vectors))
    model.compile(
        keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy", metrics=["sparse_categorical_accuracy"]
    )
    train, dev = corpus.of(range(NUM_TRAIN)), corpus.of(range(NUM_TRAIN, NUM_DOCUMENTS))
    of_chunk = corpus.labels[corpus.owners]
    recorder = Recorder(
        folder, kind="chunks", num_classes=NUM_CLASSES, num_documents=NUM_TRAIN, weights_expected=0, weights_loaded=0,
        dev=lambda: [(corpus.token_ids[dev], of_chunk[dev], corpus.owners[dev])],
    )  # fmt: skip
    recorder.note_examples(label_ids=of_chunk[train], doc_ids=corpus.owners[train], token_ids=corpus.token_ids[train])
    model.fit(corpus.token_ids[train], of_chunk[train], batch_size=16, epochs=6, callbacks=[recorder], verbose=0)
    answers = keras.Model(inputs, [vectors, model.output]).predict(corpus.token_ids, verbose=0)
    return Encoded(answers[0] * 4, answers[1].argmax(axis=1), folder)


def train_head(
    keras: Any,
    corpus: Corpus,
    encoded: Encoded,
    folder: Path,
    groups: list[np.ndarray] | None = None,
    labels: np.ndarray | None = None,
    order: np.ndarray | None = None,
    learning_rate: float = 3e-3,
    steps: int = 27,
    epochs: int = 6,
    ids_said: bool = True,
    masked: bool = True,
) -> Path:
    """Train the LSTM over documents as the question does; what is given replaces what is right. Return the traces' folder."""
    groups = [encoded.vectors[corpus.owners == doc] for doc in range(NUM_DOCUMENTS)] if groups is None else groups
    labels = corpus.labels if labels is None else labels
    order = np.random.default_rng(1).permutation(NUM_TRAIN) if order is None else order

    def batches(documents: np.ndarray, size: int, forever: bool) -> Iterator[Any]:
        while True:
            for at in range(0, len(documents), size):
                members = documents[at : at + size]
                x = np.full((len(members), max(len(groups[doc]) for doc in members), DIM), -99.0, np.float32)
                for row, doc in enumerate(members):
                    x[row, : len(groups[doc])] = groups[doc]
                yield x, labels[members].reshape(-1, 1), [str(doc) for doc in members]
            if not forever:
                return

    keras.utils.set_random_seed(0)
    inputs = keras.Input((None, DIM))
    hidden = keras.layers.Masking(-99.0)(inputs) if masked else inputs
    hidden = keras.layers.Dense(30, activation="relu")(keras.layers.LSTM(24)(hidden))
    model = keras.Model(inputs, keras.layers.Dense(NUM_CLASSES, activation="softmax")(hidden))
    model.compile(keras.optimizers.Adam(learning_rate), "sparse_categorical_crossentropy")
    dev = np.arange(NUM_TRAIN, NUM_DOCUMENTS)
    recorder = Recorder(
        folder / "head", kind="documents", num_classes=NUM_CLASSES, num_documents=NUM_TRAIN, pad_value=-99.0,
        dev=lambda: (batch if ids_said else batch[:2] for batch in batches(dev, 8, forever=False)),
    )  # fmt: skip
    for name, documents in (("train", range(NUM_TRAIN)), ("dev", range(NUM_TRAIN, NUM_DOCUMENTS))):
        rows = corpus.of(documents)
        recorder.note_made(
            corpus.owners[rows], encoded.vectors[rows], label_ids=corpus.labels[corpus.owners[rows]], split=name,
            predicted=encoded.predicted[rows],
        )  # fmt: skip
    given = batches(order, 3, forever=True)
    watched = recorder.watch(given if ids_said else (batch[:2] for batch in given), with_doc_ids=ids_said)
    model.fit(watched, steps_per_epoch=steps, epochs=epochs, callbacks=[recorder], verbose=0)
    (folder / "chunks").symlink_to(encoded.trace)
    return folder


def causes(folder: Path) -> list[str]:
    return [finding.code for finding in examine(folder).causes]


def test_no_cause_is_found_where_nothing_is_wrong(keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path):
    diagnosis = examine(train_head(keras, corpus, encoded, tmp_path))
    assert diagnosis.causes == []
    head, chunks = diagnosis.accuracies
    assert head["model"] == "head" and head["accuracy"] > 0.8 > head["majority"] + 0.2 and head["p_guessing"] < 1e-6
    assert chunks["data"] == "single chunks" and chunks["num_documents"] == NUM_DEV


@pytest.mark.slow
def test_a_little_noted_training_is_not_accused_either(keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path):
    assert causes(train_head(keras, corpus, encoded, tmp_path, ids_said=False)) == []


def test_grouping_with_an_index_that_was_shuffled_is_named(
    keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path
):
    train = corpus.of(range(NUM_TRAIN))
    owners = corpus.owners.copy()
    owners[train] = np.random.default_rng(2).permutation(owners[train])
    groups = [encoded.vectors[owners == doc] for doc in range(NUM_DOCUMENTS)]
    assert causes(train_head(keras, corpus, encoded, tmp_path, groups=groups))[0] == "vectors-of-other-documents"


@pytest.mark.slow
def test_an_older_array_is_named(keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path):
    older = np.random.default_rng(3).permutation(encoded.vectors)[:, ::-1].copy()
    groups = [older[corpus.owners == doc] for doc in range(NUM_DOCUMENTS)]
    assert causes(train_head(keras, corpus, encoded, tmp_path, groups=groups)) == ["vectors-never-made"]


def test_a_generator_over_sorted_documents_is_named(keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path):
    order = np.argsort(corpus.labels[:NUM_TRAIN], kind="stable")
    assert causes(train_head(keras, corpus, encoded, tmp_path, order=order)) == ["sorted-by-label"]


@pytest.mark.slow
def test_classes_in_another_order_for_dev_are_named(keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path):
    labels = corpus.labels.copy()
    labels[NUM_TRAIN:] = (labels[NUM_TRAIN:] + 1) % NUM_CLASSES
    assert causes(train_head(keras, corpus, encoded, tmp_path, labels=labels)) == ["held-out-label-order"]


@pytest.mark.slow
def test_steps_that_leave_documents_out_are_named(keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path):
    folder = train_head(keras, corpus, encoded, tmp_path, steps=5, epochs=1, order=np.arange(NUM_TRAIN))
    assert causes(folder) == ["documents-never-seen"]


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "code"), [(1e-6, "learning-rate-too-small"), (1.0, "learning-rate-too-large")])
def test_a_wrong_learning_rate_is_named(
    rate: float, code: str, keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path
):
    assert causes(train_head(keras, corpus, encoded, tmp_path, learning_rate=rate, epochs=10)) == [code]


@pytest.mark.slow
def test_padding_that_is_read_is_named(keras: Any, corpus: Corpus, encoded: Encoded, tmp_path: Path):
    assert "padding-attended" in causes(train_head(keras, corpus, encoded, tmp_path, masked=False))
