"""The question's first model, in code of its own: bert-for-tf2 in a Keras model, fine-tuned on chunks, then read out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from documents import ChunkArrays
from settings import ChunkTraining

from hierdoc.encoders import compat
from hierdoc.encoders.bert import weight_names
from hierdoc.encoders.pretrained import EncoderSource
from hierdoc.engines.precision import in_precision, resolve_precision
from hierdoc.learning.seeds import generator, seed_tensorflow

SLICE = 100  # chunks that are read out at once
DEV_BATCH = 50


def build(source: EncoderSource, num_classes: int, settings: ChunkTraining) -> tuple[Any, Any, tuple[int, int]]:
    """Return the classifier, the model of its [CLS] and last position's vectors, and (weights loaded, expected)."""
    keras = compat.load_tensorflow().keras
    tf = compat.load_tensorflow()
    layer = _bert_layer(source.config)
    token_ids = keras.Input((settings.padded_to,), dtype="int32", name="input_ids")
    inputs, mask = [token_ids], None
    if settings.mask == "given":
        mask = keras.Input((settings.padded_to,), dtype="bool", name="mask")
        inputs.append(mask)
    elif settings.mask == "inside":
        mask = keras.layers.Lambda(lambda ids: tf.not_equal(ids, 0), name="token_mask")(token_ids)
    types = keras.layers.Lambda(tf.zeros_like, name="token_types")(token_ids)
    sequence = layer([token_ids, types]) if mask is None else layer([token_ids, types], mask=mask)  # (N, T, D)
    cls = keras.layers.Lambda(lambda hidden: hidden[:, 0, :], name="cls")(sequence)
    last = keras.layers.Lambda(lambda hidden: hidden[:, -1, :], name="last")(sequence)
    dropped = keras.layers.Dropout(settings.dropout, name="dropout")(cls)
    probs = keras.layers.Dense(
        num_classes,
        activation="softmax",
        kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02),
        name="output",
    )(dropped)
    loaded = _load(layer, source, settings)
    model = keras.Model(inputs, probs)
    model.input_spec = None  # it would refuse the recorder, which tries chunks with more and with less padding
    return model, keras.Model(inputs, [cls, last]), loaded


def _bert_layer(config: dict[str, Any]) -> Any:
    bert, tf = compat.load_bert(), compat.load_tensorflow()
    gelu = config["hidden_act"] == "gelu"
    params = bert.BertModelLayer.Params(
        vocab_size=config["vocab_size"],
        hidden_size=config["hidden_size"],
        num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"],
        intermediate_size=config["intermediate_size"],
        intermediate_activation=(lambda x: tf.nn.gelu(x, approximate=False)) if gelu else config["hidden_act"],
        hidden_dropout=config["hidden_dropout_prob"],
        attention_dropout=config["attention_probs_dropout_prob"],
        max_position_embeddings=config["max_position_embeddings"],
        token_type_vocab_size=config["type_vocab_size"],
    )
    layer = bert.BertModelLayer.from_params(params, name="bert")
    example = tf.zeros((1, 2), tf.int32)
    layer([example, example], mask=tf.ones((1, 2), tf.bool))  # makes the weights
    for sublayer in layer._flatten_layers():
        sublayer.input_spec = None  # bert-for-tf2 0.14.9 pins the length of its first call
        if sublayer.name == "LayerNorm":
            sublayer.params.epsilon = config["layer_norm_eps"]
    return layer


def _load(layer: Any, source: EncoderSource, settings: ChunkTraining) -> tuple[int, int]:
    """Give the layer its checkpoint's weights, or a share of them; return how many, and how many it wants."""
    arrays = source.load_weights()
    if arrays is None:
        return 0, 0
    variables = {variable.name.removeprefix("bert/").removesuffix(":0"): variable for variable in layer.weights}
    names = weight_names(source.config["num_hidden_layers"])
    order = generator(settings.seed, "weights loaded").permutation(len(names))
    chosen = set(order[: round(len(names) * settings.weights_loaded)].tolist())
    for at, (ours, hugging_face, _, transposed) in enumerate(names):
        if at in chosen:
            variables[ours].assign(arrays[hugging_face].T if transposed else arrays[hugging_face])
    return len(chosen), len(names)


def model_inputs(arrays: ChunkArrays, settings: ChunkTraining) -> Any:
    """Return what the model is given of a side's chunks."""
    return [arrays.x, arrays.mask] if settings.mask == "given" else arrays.x


def fit(
    source: EncoderSource,
    classes: tuple[str, ...],
    sides: dict[str, ChunkArrays],
    settings: ChunkTraining,
    num_documents: int,
    trace: Path,
) -> dict[str, np.ndarray]:
    """Fine-tune on the chunks of train, with a trace, and return what is read out of both sides.

    With no epochs the encoder is left as it is, and there is no trace. `num_documents` is what the person takes train's
    documents to be.

    Returns:
        `train_cls`, `train_last`, `val_cls`, `val_last` float32 (N, D); the softmax's `kernel` and `bias`.
    """
    keras = compat.load_tensorflow().keras
    keras.backend.clear_session()
    seed_tensorflow(settings.seed)
    with in_precision(resolve_precision("auto")):
        model, reader, loaded = build(source, len(classes), settings)
        if settings.epochs:
            _fit(model, loaded, classes, sides, settings, num_documents, trace)
        made: dict[str, np.ndarray] = {}
        for side, arrays in sides.items():
            made[f"{side}_cls"], made[f"{side}_last"] = _read_out(reader, arrays, settings)
    made["kernel"], made["bias"] = (array.astype(np.float32) for array in model.get_layer("output").get_weights())
    return made


def _fit(
    model: Any,
    loaded: tuple[int, int],
    classes: tuple[str, ...],
    sides: dict[str, ChunkArrays],
    settings: ChunkTraining,
    num_documents: int,
    trace: Path,
) -> None:
    from hierdoc.trace import Recorder

    keras = compat.load_tensorflow().keras
    train, val = sides["train"], sides["val"]
    counted = {"weights_loaded": loaded[0], "weights_expected": loaded[1]} if settings.weights_counted else {}

    def dev_batches() -> Any:
        for at in range(0, len(val.y), DEV_BATCH):
            rows = slice(at, at + DEV_BATCH)
            x = [val.x[rows], val.mask[rows]] if settings.mask == "given" else val.x[rows]
            yield x, val.y[rows], [str(place) for place in val.index[rows]]

    recorder = Recorder(
        trace,
        kind="chunks",
        num_classes=len(classes),
        labels=list(classes),
        num_documents=num_documents,
        dev=dev_batches,
        **counted,
    )
    recorder.note_examples(
        label_ids=train.y,
        doc_ids=[str(place) for place in train.index],
        token_ids=train.x,
        mask=train.mask if settings.mask == "given" else None,
    )
    model.compile(
        optimizer=keras.optimizers.Adam(settings.learning_rate, epsilon=1e-7),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
    )
    model.fit(
        model_inputs(train, settings),
        train.y,
        validation_data=(model_inputs(val, settings), val.y),
        batch_size=settings.batch_size,
        shuffle=True,
        epochs=settings.epochs,
        callbacks=[recorder],
        verbose=0,
    )


def _read_out(reader: Any, arrays: ChunkArrays, settings: ChunkTraining) -> tuple[np.ndarray, np.ndarray]:
    """Return [CLS] and the last position's vector of every chunk, float32 (N, D), slice after slice."""
    dim = reader.output_shape[0][-1]
    cls_total, last_total = np.empty((0, dim)), np.empty((0, dim))
    for at in range(0, len(arrays.y), SLICE):
        rows = slice(at, at + SLICE)
        x = [arrays.x[rows], arrays.mask[rows]] if settings.mask == "given" else arrays.x[rows]
        cls, last = reader.predict(x, verbose=0)
        cls_total = np.concatenate((cls_total, cls), axis=0)
        last_total = np.concatenate((last_total, last), axis=0)
    return cls_total.astype(np.float32), last_total.astype(np.float32)
