"""BERT through bert-for-tf2: token ids and a padding mask in, a vector of each chunk out."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from hierdoc.encoders import compat, operations
from hierdoc.encoders.dropout import DropoutLayers
from hierdoc.encoders.poolings import READS_ALL, last_layers, pooling_of, vector_size
from hierdoc.encoders.weight_names import POOLER_WEIGHTS, weight_names
from hierdoc.errors import HierdocError


def _activation(name: str) -> Any:
    """Return the callable of a configuration's activation name.

    bert-for-tf2 reads "gelu" as Google's tanh approximation; Hugging Face means the exact one by it, and calls the
    approximation "gelu_new" or "gelu_pytorch_tanh". The names here are Hugging Face's; the reader of Google's format
    renames.
    """
    tf = compat.load_tensorflow()
    activations = {
        "gelu": operations.gelu,
        "gelu_new": lambda x: tf.nn.gelu(x, approximate=True),
        "gelu_pytorch_tanh": lambda x: tf.nn.gelu(x, approximate=True),
        "relu": tf.nn.relu,
    }
    if name not in activations:
        raise HierdocError(f"the encoder's hidden_act must be one of {sorted(activations)}, but is {name!r} instead")
    return activations[name]


def check_trainable_layers(trainable_layers: int | None, num_layers: int) -> None:
    """Check how many of `num_layers` are to be trained; None is all.

    Raises:
        HierdocError: `trainable_layers` is not between 0 and `num_layers`.
    """
    if trainable_layers is not None and not 0 <= trainable_layers <= num_layers:
        raise HierdocError(
            f"`trainable_layers` must be between 0 and {num_layers}, the encoder's layers, "
            f"but is {trainable_layers} instead"
        )


class BertEncoder:
    """A BERT with its weights on this process's device; call it with token ids and a mask.

    Symbols: N chunks, T tokens, D vector size (hidden_size).

    Attributes:
        config: the encoder's configuration, with Hugging Face's keys; `pooling` (see `hierdoc.encoders.poolings`) and, where it
            has adapters, `adapter_size`.
        dim: of a chunk's vector: D, or with last4 several times D.
        variables: every weight, by Hugging Face's name (of a bare `BertModel`), as TensorFlow variables.
    """

    def __init__(self, config: dict[str, Any]):
        """Build the encoder with random weights (truncated normal, `initializer_range`).

        bert-for-tf2 0.14.9 initialises word and token-type embeddings uniformly in +-0.05; they are drawn from the
        truncated normal here as in BERT's original code.
        """
        bert, tf = compat.load_bert(), compat.load_tensorflow()
        self.config = dict(config)
        self.dim, self._pooling = vector_size(config), pooling_of(config)
        params = bert.BertModelLayer.Params(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            num_layers=config["num_hidden_layers"],
            num_heads=config["num_attention_heads"],
            intermediate_size=config["intermediate_size"],
            intermediate_activation=_activation(config["hidden_act"]),
            hidden_dropout=config["hidden_dropout_prob"],
            attention_dropout=config["attention_probs_dropout_prob"],
            initializer_range=config["initializer_range"],
            max_position_embeddings=config["max_position_embeddings"],
            use_token_type=True,
            token_type_vocab_size=config["type_vocab_size"],
            adapter_size=config.get("adapter_size"),
            adapter_activation=_activation(config["hidden_act"]),
        )
        self._layer = bert.BertModelLayer.from_params(params, name="bert")
        example = tf.zeros((1, 2), tf.int32)
        self._layer([example, example], mask=tf.ones((1, 2), tf.bool))
        for sublayer in self._layer._flatten_layers():
            sublayer.input_spec = None  # bert-for-tf2 0.14.9 pins the sequence length of the first call
            if sublayer.name == "LayerNorm":  # bert-for-tf2 0.14.9 does not pass epsilon down either
                sublayer.call = _layer_norm_of(sublayer, config["layer_norm_eps"])
        self._dropout = DropoutLayers(self._layer)
        self._shift: Any = None
        words = self._layer.embeddings_layer.word_embeddings_layer
        words.call = self._shifted(words.call)
        by_name = {variable.name.removeprefix("bert/").removesuffix(":0"): variable for variable in self._layer.weights}
        names = weight_names(config["num_hidden_layers"], adapters="adapter_size" in config)
        if set(by_name) != {ours for ours, *_ in names}:
            raise HierdocError("bert-for-tf2 made other weights than weight_names lists: is it version 0.14.9?")
        self.variables = {hf: by_name[ours] for ours, hf, _, _ in names}
        if self._pooling == "pooler":
            initializer = tf.keras.initializers.TruncatedNormal(stddev=config["initializer_range"])
            size = config["hidden_size"]
            for (ours, hf, *_), shape in zip(POOLER_WEIGHTS, ((size, size), (size,)), strict=True):
                self.variables[hf] = tf.Variable(initializer(shape) if shape[1:] else tf.zeros(shape), name=ours)
        self._transposed = {hf for _, hf, _, flip in (*names, *POOLER_WEIGHTS) if flip}
        for name in ("embeddings.word_embeddings.weight", "embeddings.token_type_embeddings.weight"):
            initializer = tf.keras.initializers.TruncatedNormal(stddev=config["initializer_range"])
            self.variables[name].assign(initializer(self.variables[name].shape))

    def _shifted(self, call: Any) -> Any:
        """Return what stands for the word embeddings' `call`, which adds what is set as `_shift`."""
        return lambda token_ids: call(token_ids) if self._shift is None else call(token_ids) + self._shift

    def __call__(self, token_ids: Any, mask: Any, dropout_seed: Any = None, shift: Any = None) -> Any:
        """Return the chunks' vectors, float32 (N, dim); with the pooling "tokens" every token's, float32 (N, T, D).

        Args:
            token_ids: int32 (N, T), T known when traced; [CLS] first. All tokens are of type 0.
            mask: bool (N, T), True = a real token; nothing under False has any influence.
            dropout_seed: int64 (2,) while training, see `hierdoc.encoders.dropout`; None drops nothing.
            shift: float32 (N, T, D), is added to the tokens' word embeddings: zeros, whose gradient is that of the embeddings.
        """
        return self.vectors_of(self.hidden_of(token_ids, mask, 0, dropout_seed, shift), mask, 0, dropout_seed)

    def hidden_of(self, token_ids: Any, mask: Any, num_layers: int, dropout_seed: Any = None, shift: Any = None) -> Any:
        """Return what the embeddings and the first `num_layers` layers make of every token, float32 (N, T, D); else as a call."""
        tf = compat.load_tensorflow()
        with self._dropout.by(dropout_seed), self._shifting(shift):
            hidden = self._layer.embeddings_layer([token_ids, tf.zeros_like(token_ids)])
            for layer in self._layer.encoders_layer.encoder_layers[:num_layers]:
                hidden = layer(hidden, mask=mask)
            return hidden

    @contextlib.contextmanager
    def _shifting(self, shift: Any) -> Iterator[None]:
        self._shift = shift
        try:
            yield
        finally:
            self._shift = None

    def vectors_of(self, hidden: Any, mask: Any, num_layers: int, dropout_seed: Any = None) -> Any:
        """Return the chunks' vectors, as a call, by the layers that follow the first `num_layers`, of what those made.

        Args:
            hidden: float32 (N, T, D), as `hidden_of` returns it.
            mask, num_layers, dropout_seed: as there.
        """
        tf = compat.load_tensorflow()
        layers = self._layer.encoders_layer.encoder_layers[num_layers:]
        with self._dropout.by(dropout_seed):
            firsts = [hidden[:, 0]]  # [CLS] behind the layers one after the other
            for layer in layers[:-1]:
                hidden = layer(hidden, mask=mask)
                firsts.append(hidden[:, 0])
            if self._pooling in READS_ALL:
                return self._pooled(layers[-1](hidden, mask=mask) if layers else hidden, mask)
            firsts += [_cls_of_layer(layers[-1], hidden, mask)] if layers else []
        if self._pooling == "last4":
            return tf.concat(firsts[-last_layers(self.config) :], axis=1)
        if self._pooling == "pooler":
            kernel, bias = (self.variables[hf] for _, hf, *_ in POOLER_WEIGHTS)
            return tf.tanh(tf.matmul(firsts[-1], kernel) + bias)
        return firsts[-1]

    def _pooled(self, hidden: Any, mask: Any) -> Any:
        """Return the mean or the maximum over real tokens, float32 (N, D), of the last layer's, or these as they are."""
        tf = compat.load_tensorflow()
        shown = mask[:, :, None]
        if self._pooling == "mean":
            return tf.reduce_sum(tf.where(shown, hidden, 0.0), axis=1) / tf.reduce_sum(
                tf.cast(shown, tf.float32), axis=1
            )
        return tf.reduce_max(tf.where(shown, hidden, -1e30), axis=1) if self._pooling == "max" else hidden

    def trainable(self, freeze_embeddings: bool = False, trainable_layers: int | None = None) -> list[Any]:
        """Return the variables to train: all, or without the embeddings, or the last `trainable_layers` layers only.

        With adapters they are those of these and the layer normalisations, as Houlsby et al. 2019 train them, and a pooler.

        Raises:
            HierdocError: `trainable_layers` is not between 0 and the number of layers.
        """
        num_layers = self.config["num_hidden_layers"]
        check_trainable_layers(trainable_layers, num_layers)
        frozen = ["embeddings."] if freeze_embeddings or trainable_layers is not None else []
        first = num_layers - trainable_layers if trainable_layers is not None else 0
        frozen += [f"encoder.layer.{layer}." for layer in range(first)]
        kept = ("adapter_", "LayerNorm.", "pooler.") if "adapter_size" in self.config else ("",)
        return [
            variable
            for name, variable in self.variables.items()
            if not name.startswith(tuple(frozen)) and any(part in name for part in kept)
        ]

    def depths(self, variables: Sequence[Any]) -> list[int]:
        """Return how deep each of the encoder's `variables` lies: 0 in a pooler, 1 in its last layer, the embeddings deepest."""
        num_layers = self.config["num_hidden_layers"]
        of_variable = {
            id(variable): num_layers - int(name.split(".")[2])
            if name.startswith("encoder.layer.")
            else num_layers + 1
            if name.startswith("embeddings.")
            else 0
            for name, variable in self.variables.items()
        }
        return [of_variable[id(variable)] for variable in variables]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return a copy of every weight, float32, by Hugging Face's name and in its orientation (kernels (out, in))."""
        return {
            name: np.ascontiguousarray(variable.numpy().T) if name in self._transposed else variable.numpy()
            for name, variable in self.variables.items()
        }

    def assign(self, arrays: dict[str, np.ndarray], source: str) -> None:
        """Set every weight from `arrays` (named and oriented as `arrays()` returns them; others are ignored).

        Raises:
            HierdocError: a weight is missing or has another shape; `source` names where the arrays are from.
        """
        missing = [name for name in self.variables if name not in arrays]
        if missing:
            raise HierdocError(
                f"{source}: {len(missing)} of {len(self.variables)} weights are missing, the first of them {missing[0]!r}"
            )
        for name, variable in self.variables.items():
            value = arrays[name].T if name in self._transposed else arrays[name]
            if tuple(value.shape) != tuple(variable.shape):
                raise HierdocError(
                    f"{source}: weight {name!r} must have shape {tuple(variable.shape)}, but has {tuple(value.shape)} instead"
                )
            variable.assign(value)


def _layer_norm_of(layer: Any, epsilon: float) -> Any:
    """Return what stands for the `call` of a built params-flow LayerNormalization."""
    return lambda inputs, **_: operations.layer_norm(inputs, layer.gamma, layer.beta, epsilon)


def _cls_of_layer(layer: Any, hidden: Any, mask: Any) -> Any:
    """Return what a transformer layer makes of the first token alone, float32 (N, D).

    The same numbers as bert-for-tf2's layer would have there, up to rounding, and the same gradients; every token is still
    attended to, but no other token's query, projection and feed-forward are computed, which nobody would read.

    Args:
        layer: bert-for-tf2's SingleTransformerEncoderLayer, built.
        hidden: float32 (N, T, D).
        mask: bool (N, T), True = a real token.
    """
    tf = compat.load_tensorflow()
    attention = layer.self_attention_layer.attention_layer
    heads, size = attention.params.num_heads, attention.params.size_per_head
    first = hidden[:, :1]

    def by_head(projected: Any) -> Any:  # (N, T, D) to (N, heads, T, size)
        return tf.transpose(tf.reshape(projected, [-1, projected.shape[1], heads, size]), [0, 2, 1, 3])

    query, key = by_head(attention.query_layer(first)), by_head(attention.key_layer(hidden))
    value = by_head(attention.value_layer(hidden))
    scores = tf.matmul(query, key, transpose_b=True) / math.sqrt(size)  # (N, heads, 1, T)
    scores += (1.0 - tf.cast(mask, tf.float32))[:, None, None, :] * attention.params.negative_infinity
    shares = attention.dropout_layer(tf.nn.softmax(scores))
    context = tf.reshape(tf.matmul(shares, value), tf.shape(first))
    attended = layer.self_attention_layer.attention_projector([context, first])
    return layer.output_projector([layer.intermediate_layer(attended), attended])[:, 0]


def build_bert(config: dict[str, Any]) -> BertEncoder:
    """Return a `BertEncoder` with random weights for a configuration with Hugging Face's keys."""
    return BertEncoder(config)
