"""The BERT encoder against a NumPy loop, and the laws of padding and masks at the token level."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from conftest import CONFIG
from reference.numpy_bert import cls_vector, random_arrays, weight_shapes

from hierdoc import HierdocError
from hierdoc.encoders import compat
from hierdoc.encoders.bert import BertEncoder
from hierdoc.encoders.weight_names import weight_names
from hierdoc.learning.seeds import seed_tensorflow

FULL = {
    **CONFIG,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "type_vocab_size": 2,
    "initializer_range": 0.02,
    "layer_norm_eps": 1e-12,
}
ROWS = [[2, 5, 6, 3], [2, 3], [2, 7, 8, 9, 10, 11, 12, 13, 3], [2, 18, 18, 5, 3]]  # ids of conftest's VOCAB
# The vectors have a norm of about 3. float32 carries 7 digits; summing in another order over 2 layers moves the last
# two of them (4e-7 measured here).
FLOAT32 = 1e-5


def make_encoder(seed: int = 0, **settings: Any) -> tuple[BertEncoder, dict[str, np.ndarray]]:
    """An encoder of hidden size 8 with weights as lively as trained ones, and those weights."""
    config = {**FULL, **settings}
    encoder, arrays = BertEncoder(config), random_arrays(config, seed)
    encoder.assign(arrays, "the test")
    return encoder, arrays


@pytest.fixture(scope="module")
def encoder() -> BertEncoder:
    """Do not change its weights."""
    return make_encoder()[0]


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """The oracle's vectors of ROWS, each computed alone and without padding."""
    return np.stack([cls_vector(FULL, random_arrays(FULL, 0), row) for row in ROWS])


def padded(
    rows: list[list[int]], length: int, garbage: np.random.Generator | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Token ids (N, length) and mask; under a False mask 0, or any ids."""
    shape = (len(rows), length)
    token_ids = np.zeros(shape, np.int32) if garbage is None else garbage.integers(0, 19, shape).astype(np.int32)
    mask = np.zeros(shape, bool)
    for at, row in enumerate(rows):
        token_ids[at, : len(row)] = row
        mask[at, : len(row)] = True
    return token_ids, mask


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"hidden_act": "gelu_new"},
        {"hidden_act": "gelu_pytorch_tanh"},
        {"hidden_act": "relu"},
        {"layer_norm_eps": 0.5},
        {"num_attention_heads": 4, "num_hidden_layers": 1, "intermediate_size": 5},
        {"type_vocab_size": 1},
    ],
    ids=str,
)
def test_the_vectors_are_those_of_a_numpy_loop(settings: dict[str, Any]):
    encoder, arrays = make_encoder(**settings)
    wanted = np.stack([cls_vector({**FULL, **settings}, arrays, row) for row in ROWS])
    found = encoder(*padded(ROWS, 9)).numpy()
    assert found.dtype == np.float32 and found.shape == (4, 8) and encoder.dim == 8
    np.testing.assert_allclose(found, wanted, rtol=0, atol=FLOAT32)


def test_the_settings_that_the_numpy_loop_is_compared_with_make_a_difference():
    """If the exact and the tanh GELU were alike in these weights, the test above could not tell one from the other."""
    arrays = random_arrays(FULL, 0)
    plain = cls_vector(FULL, arrays, ROWS[0])
    for settings in ({"hidden_act": "gelu_new"}, {"layer_norm_eps": 1e-3}):
        assert np.abs(cls_vector({**FULL, **settings}, arrays, ROWS[0]) - plain).max() > 10 * FLOAT32
    for name in ("token_type_embeddings", "position_embeddings"):
        without = {**arrays, f"embeddings.{name}.weight": 0 * arrays[f"embeddings.{name}.weight"]}
        assert np.abs(cls_vector(FULL, without, ROWS[0]) - plain).max() > 1000 * FLOAT32


def test_the_last_layers_first_token_alone_has_the_values_and_gradients_that_the_whole_layer_gives():
    encoder, _ = make_encoder(num_attention_heads=4)
    tf = compat.load_tensorflow()
    token_ids, mask = padded(ROWS, 9)
    weights = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)

    def whole() -> Any:
        return encoder._layer([token_ids, tf.zeros_like(token_ids)], mask=tf.constant(mask))[:, 0]

    found = []
    for vectors_of in (whole, lambda: encoder(token_ids, tf.constant(mask))):
        with tf.GradientTape() as tape:
            vectors = vectors_of()
            loss = tf.reduce_sum(weights * vectors**2)
        gradients = tape.gradient(loss, encoder.trainable())
        found.append([vectors.numpy(), *(tf.convert_to_tensor(gradient).numpy() for gradient in gradients)])
    assert len(found[0]) == 1 + len(encoder.variables)
    for wanted, ours in zip(*found, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=0, atol=FLOAT32 * max(1, np.abs(wanted).max()))


def test_two_encoders_in_one_process_keep_their_own_settings():
    first, arrays = make_encoder(layer_norm_eps=0.5, hidden_act="relu")
    make_encoder(layer_norm_eps=1e-12, hidden_act="gelu")
    wanted = cls_vector({**FULL, "layer_norm_eps": 0.5, "hidden_act": "relu"}, arrays, ROWS[2])
    np.testing.assert_allclose(first(*padded(ROWS[2:3], 9)).numpy()[0], wanted, rtol=0, atol=FLOAT32)


def test_a_chunks_vector_does_not_depend_on_its_companions_or_the_batch_size(
    encoder: BertEncoder, expected: np.ndarray
):
    for at, row in enumerate(ROWS):
        for companions in ([], [ROWS[1]], [ROWS[2], ROWS[0], ROWS[3], ROWS[1], ROWS[2]]):
            found = encoder(*padded([*companions, row], 9)).numpy()[-1]
            np.testing.assert_allclose(found, expected[at], rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("length", [9, 10, 17, 32])
def test_a_chunks_vector_does_not_depend_on_the_amount_of_padding(
    encoder: BertEncoder, expected: np.ndarray, length: int
):
    np.testing.assert_allclose(encoder(*padded(ROWS, length)).numpy(), expected, rtol=0, atol=FLOAT32)


def test_token_ids_under_a_false_mask_change_nothing(encoder: BertEncoder):
    clean = encoder(*padded(ROWS, 12)).numpy()
    for seed in range(3):
        token_ids, mask = padded(ROWS, 12, garbage=np.random.default_rng(seed))
        assert (token_ids[~mask] != 0).any()
        # exact: a masked token's share of the attention is exp(-10000) = 0
        np.testing.assert_array_equal(encoder(token_ids, mask).numpy(), clean)


def test_what_stands_under_a_false_mask_gets_no_gradient(encoder: BertEncoder):

    tf = compat.load_tensorflow()
    word_embeddings = encoder.variables["embeddings.word_embeddings.weight"]
    token_ids, mask = padded([[2, 5, 3]], 6)
    token_ids[0, 3:] = [14, 15, 16]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder(token_ids, mask) ** 3)
    gradient = tf.convert_to_tensor(tape.gradient(loss, word_embeddings)).numpy()
    assert np.isfinite(gradient).all()
    assert (gradient[[14, 15, 16]] == 0).all() and (np.abs(gradient[[2, 5, 3]]).max(axis=1) > 0).all()


def test_a_real_token_in_any_place_changes_the_vector(encoder: BertEncoder, expected: np.ndarray):
    for place in range(1, 9):
        changed = list(ROWS[2])
        changed[place] = 17
        assert np.abs(encoder(*padded([changed], 9)).numpy()[0] - expected[2]).max() > 100 * FLOAT32


def test_dropout_acts_in_training_only(encoder: BertEncoder, expected: np.ndarray):
    inputs = padded(ROWS, 9)
    first, again, second = (encoder(*inputs, dropout_seed=[0, step]).numpy() for step in (0, 0, 1))
    assert (first != expected).any() and (first != second).any()
    np.testing.assert_array_equal(first, again)
    np.testing.assert_allclose(encoder(*inputs).numpy(), expected, rtol=0, atol=FLOAT32)  # and not afterwards


def test_every_place_that_bert_has_for_dropout_is_taken_and_none_of_keras_is_left(encoder: BertEncoder):
    keras = compat.load_tensorflow().keras
    layers = encoder._layer._flatten_layers()
    assert not [layer for layer in layers if isinstance(layer, keras.layers.Dropout)]
    # Devlin et al. 2019: after the embeddings, and in each layer on the attention and after both projections
    assert encoder._dropout.num_places == 1 + 3 * encoder.config["num_hidden_layers"]


def test_without_dropout_in_the_configuration_training_computes_the_same():
    encoder, _ = make_encoder(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    inputs = padded(ROWS, 9)
    np.testing.assert_array_equal(encoder(*inputs, dropout_seed=[0, 0]).numpy(), encoder(*inputs).numpy())


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_weight_names_are_hugging_faces_and_cover_every_variable(layers: int):
    config = {**FULL, "num_hidden_layers": layers}
    shapes = weight_shapes(config)
    names = weight_names(layers)
    assert {hf for _, hf, _, _ in names} == set(shapes)
    assert len(names) == len(shapes) == 5 + 16 * layers
    assert len({ours for ours, *_ in names}) == len({google for _, _, google, _ in names}) == len(names)
    assert {hf for _, hf, _, flip in names if flip} == {
        name for name, shape in shapes.items() if len(shape) == 2 and name.startswith("encoder.")
    }
    encoder = BertEncoder(config)
    assert {name: tuple(array.shape) for name, array in encoder.arrays().items()} == shapes
    assert len(encoder.variables) == len({id(variable) for variable in encoder.variables.values()})


def test_arrays_gives_back_what_assign_was_given_bit_for_bit():
    encoder, arrays = make_encoder(seed=3)
    back = encoder.arrays()
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].dtype == np.float32 and back[name].flags.c_contiguous
        np.testing.assert_array_equal(back[name], array)


def test_arrays_are_copies():
    encoder, arrays = make_encoder(seed=3)
    for array in encoder.arrays().values():
        array[...] = 7
    np.testing.assert_array_equal(
        encoder.arrays()["embeddings.word_embeddings.weight"], arrays["embeddings.word_embeddings.weight"]
    )


def test_assign_ignores_what_is_not_the_encoders_and_names_what_is_missing(encoder: BertEncoder):
    arrays = encoder.arrays()
    encoder.assign({**arrays, "pooler.dense.weight": np.zeros((8, 8), np.float32)}, "here")
    del arrays["encoder.layer.1.output.dense.bias"], arrays["encoder.layer.1.output.LayerNorm.bias"]
    with pytest.raises(HierdocError) as error:
        encoder.assign(arrays, "model.bin")
    assert (
        str(error.value)
        == "model.bin: 2 of 37 weights are missing, the first of them 'encoder.layer.1.output.dense.bias'"
    )


def test_assign_names_a_weight_of_another_shape(encoder: BertEncoder):
    arrays = encoder.arrays()
    arrays["embeddings.position_embeddings.weight"] = np.zeros((31, 8), np.float32)
    with pytest.raises(HierdocError) as error:
        encoder.assign(arrays, "model.bin")
    message = (
        "model.bin: weight 'embeddings.position_embeddings.weight' must have shape (32, 8), but has (31, 8) instead"
    )
    assert str(error.value) == message


@pytest.mark.parametrize("num_layers", [0, 1, 2])
def test_the_first_layers_and_then_the_others_are_the_whole_encoder(encoder: BertEncoder, num_layers: int):
    token_ids = np.array([[2, 5, 7, 3], [2, 9, 3, 0]], np.int32)
    mask, seed = token_ids > 0, np.array([3, 4])
    for drop in (None, seed)[: 1 if num_layers == 2 else 2]:  # a last layer of all tokens draws for all of them
        hidden = encoder.hidden_of(token_ids, mask, num_layers, drop)
        assert hidden.shape == (2, 4, 8)
        found = encoder.vectors_of(hidden, mask, num_layers, drop)
        np.testing.assert_allclose(found, encoder(token_ids, mask, drop), rtol=0, atol=1e-6)
    assert np.abs(encoder(token_ids, mask, seed) - encoder(token_ids, mask)).max() > 1e-3


def trainable_names(encoder: BertEncoder, **arguments: Any) -> set[str]:
    """The names of the variables that `trainable` returns."""
    names = {id(variable): name for name, variable in encoder.variables.items()}
    return {names[id(variable)] for variable in encoder.trainable(**arguments)}


def test_trainable_is_everything_or_what_is_asked_for(encoder: BertEncoder):
    everything = set(weight_shapes(FULL))
    embeddings = {name for name in everything if name.startswith("embeddings.")}
    last = {name for name in everything if name.startswith("encoder.layer.1.")}
    assert len(embeddings) == 5 and len(last) == 16
    assert trainable_names(encoder) == everything
    assert trainable_names(encoder, freeze_embeddings=True) == everything - embeddings
    assert trainable_names(encoder, trainable_layers=0) == set()
    assert trainable_names(encoder, trainable_layers=1) == last
    assert trainable_names(encoder, trainable_layers=1, freeze_embeddings=True) == last
    assert trainable_names(encoder, trainable_layers=2) == everything - embeddings


def test_the_first_of_twelve_layers_is_not_mistaken_for_the_eleventh():
    encoder = BertEncoder({**FULL, "num_hidden_layers": 12})
    layers = {int(name.split(".")[2]) for name in trainable_names(encoder, trainable_layers=10)}
    assert layers == {2, 3, 4, 5, 6, 7, 8, 9, 10, 11}


@pytest.mark.parametrize("trainable_layers", [-1, 3])
def test_trainable_layers_out_of_range_is_refused(encoder: BertEncoder, trainable_layers: int):
    with pytest.raises(HierdocError) as error:
        encoder.trainable(trainable_layers=trainable_layers)
    assert f"`trainable_layers` must be between 0 and 2, the encoder's layers, but is {trainable_layers}" in str(
        error.value
    )


def test_random_weights_depend_on_the_seed_alone():
    seed_tensorflow(5)
    first = BertEncoder(FULL).arrays()
    BertEncoder(FULL)  # something random in between
    seed_tensorflow(5)
    second = BertEncoder(FULL).arrays()
    for name, array in first.items():
        np.testing.assert_array_equal(second[name], array)
    seed_tensorflow(6)
    third = BertEncoder(FULL).arrays()
    unchanged = [name for name, array in first.items() if array.ndim == 2 and (third[name] == array).all()]
    assert unchanged == []


def test_no_two_random_matrices_begin_with_the_same_numbers():
    seed_tensorflow(0)
    begins = {
        name: array.ravel()[:8].tobytes() for name, array in BertEncoder(FULL).arrays().items() if array.ndim == 2
    }
    assert len(set(begins.values())) == len(begins) == 3 + 2 * 6


def test_random_matrices_are_from_a_normal_distribution_cut_at_two_deviations():
    seed_tensorflow(0)
    config = {
        **FULL,
        "vocab_size": 2000,
        "initializer_range": 0.05,
        "type_vocab_size": 400,
        "max_position_embeddings": 512,
    }
    for name, array in BertEncoder(config).arrays().items():
        if array.ndim == 1:
            assert (array == (1 if name.endswith("LayerNorm.weight") else 0)).all(), name
            continue
        assert np.abs(array).max() <= 2 * 0.05, name
        if array.size >= 3000:
            # Cut at 2 deviations, a normal distribution has 0.880 of its deviation; a uniform one over that range has
            # 1.155. 3,200 values give it to 2 %.
            assert 0.83 < array.std() / 0.05 < 0.93, name
            assert np.abs(array).max() > 1.9 * 0.05, name


def test_an_unknown_activation_is_refused_with_the_valid_ones():
    with pytest.raises(HierdocError) as error:
        BertEncoder({**FULL, "hidden_act": "swish"})
    assert "hidden_act must be one of ['gelu', 'gelu_new', 'gelu_pytorch_tanh', 'relu'], but is 'swish'" in str(
        error.value
    )
