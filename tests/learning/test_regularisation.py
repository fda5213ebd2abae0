"""The gradient penalty and R-Drop: of a linear model by hand, of an encoder by its embeddings' own gradient, and as flags."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import CONFIG
from reference.numpy_bert import random_arrays
from test_encoder_training import FULL

from hierdoc import HierdocError, embed_chunks, finetune, finetune_encoder, train_head, train_sequence_head
from hierdoc.encoders import compat
from hierdoc.encoders.bert import BertEncoder
from hierdoc.learning.checkpoints import Checkpoints
from hierdoc.learning.head import train_head as train
from hierdoc.learning.history import History
from hierdoc.learning.loop import LabelledBatch, make_trained
from hierdoc.learning.regularisation import Regularisation
from hierdoc.objectives import ONE_LABEL
from hierdoc.objectives.losses import disagreement
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.sequences.reading import LabelledDocuments
from hierdoc.stages.finished import FinishedStage

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(3, 4)).astype(np.float32), RNG.normal(size=(4, 3)).astype(np.float32)
Y = np.int32([0, 2, 1])


def softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return raised / raised.sum(axis=1, keepdims=True)


def penalised(weights: np.ndarray, share: float) -> float:
    """The loss of the first two rows (the third only fills up), in float64."""
    x, y = X[:2].astype(float), Y[:2]
    probs = softmax(x @ weights)
    by_logits = (probs - np.eye(3)[y]) / 2
    return float(-np.log(probs[np.arange(2), y]).mean() + share / 2 * np.square(by_logits @ weights.T).sum())


def agreed(weights: np.ndarray, share: float, second: np.ndarray) -> float:
    """The mean of two passes' losses, the second's inputs being others, and half the share of half their divergences."""
    y, passes = Y[:2], [softmax(x[:2].astype(float) @ weights) for x in (X, second)]
    losses = [-np.log(probs[np.arange(2), y]).mean() for probs in passes]
    p, q = passes
    apart = ((p - q) * (np.log(p) - np.log(q))).sum(axis=1).mean() / 2
    return float(np.mean(losses) + share / 2 * apart)


def slopes(function: Callable[[np.ndarray], float]) -> np.ndarray:
    """Central differences of a function of W."""
    found = np.zeros(W.shape)
    for place in np.ndindex(*W.shape):
        step = np.zeros(W.shape)
        step[place] = 1e-5
        found[place] = (function(W.astype(float) + step) - function(W.astype(float) - step)) / 2e-5
    return found


def one_step(regularisation: Regularisation, forward: Callable[..., Any], kernel: Any) -> tuple[float, np.ndarray]:
    """Return the loss and the gradient of a step of plain gradient descent at rate 1."""
    tf = compat.load_tensorflow()
    trained = make_trained(
        forward, [kernel], tf.keras.optimizers.SGD(1.0), 0, trace_each_shape=True, regularisation=regularisation
    )
    loss = trained.take_step(LabelledBatch((X,), Y, np.float32([1, 1, 0])), 5)
    return loss, W - kernel.numpy()


@pytest.mark.parametrize("share", [0.5, 3.0])
def test_a_step_is_one_on_the_loss_and_its_gradients_squared_norm(share: float):
    tf = compat.load_tensorflow()
    kernel = tf.Variable(W)

    def forward(x: Any, dropout_seed: Any, shift: Any = 0.0) -> Any:
        return tf.matmul(x + shift, kernel)

    loss, gradient = one_step(Regularisation(share, tf.zeros_like), forward, kernel)
    assert loss == pytest.approx(penalised(W.astype(float), share), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes(lambda weights: penalised(weights, share)), rtol=0, atol=2e-5)
    plain = slopes(lambda weights: penalised(weights, 0))
    assert np.abs(gradient - plain).max() > 0.01  # or the penalty could be missing


def test_a_step_is_one_on_two_passes_with_different_dropout_and_their_disagreement():
    tf = compat.load_tensorflow()
    kernel, second = tf.Variable(W), X + 0.5
    seeds = []

    def forward(x: Any, dropout_seed: Any) -> Any:
        seeds.append(dropout_seed)
        return tf.matmul(x + 0.5 if len(seeds) == 2 else x, kernel)

    def apart(one: Any, other: Any, weights: Any) -> Any:
        return disagreement(ONE_LABEL, one, other, weights)

    loss, gradient = one_step(Regularisation(r_drop=2.0, disagreement=apart), forward, kernel)
    assert len(seeds) == 2  # traced once
    assert loss == pytest.approx(agreed(W.astype(float), 2.0, second), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes(lambda weights: agreed(weights, 2.0, second)), rtol=0, atol=2e-5)


def test_the_gradients_penalty_is_whole_beside_a_second_pass():
    tf = compat.load_tensorflow()
    kernel, second = tf.Variable(W), X + 0.5
    seeds = []

    def forward(x: Any, dropout_seed: Any, shift: Any = 0.0) -> Any:
        seeds.append(dropout_seed)
        return tf.matmul(x + 0.5 if len(seeds) == 2 else x + shift, kernel)

    def apart(one: Any, other: Any, weights: Any) -> Any:
        return disagreement(ONE_LABEL, one, other, weights)

    def by_hand(weights: np.ndarray) -> float:
        return agreed(weights, 2.0, second) + penalised(weights, 3.0) - penalised(weights, 0.0)

    loss, gradient = one_step(Regularisation(3.0, tf.zeros_like, 2.0, apart), forward, kernel)
    assert loss == pytest.approx(by_hand(W.astype(float)), rel=1e-5)
    np.testing.assert_allclose(gradient, slopes(by_hand), rtol=0, atol=2e-5)


def test_the_second_pass_has_dropout_of_its_own():
    tf = compat.load_tensorflow()
    seen = []

    def forward(x: Any, dropout_seed: Any) -> Any:
        tf.numpy_function(lambda seed: seen.append(seed.tolist()), [dropout_seed], [])
        return x

    loss_of = lambda logits, label_ids, weights: tf.reduce_sum(logits)  # noqa: E731
    regularisation = Regularisation(r_drop=1.0, disagreement=lambda one, other, weights: 0.0)
    regularisation.loss(forward, loss_of, (tf.constant(X),), Y, None, tf.constant([7, 5], tf.int64))
    assert seen[0] == [7, 5] and seen[1][0] == 7 and seen[1][1] > 1e9


def test_the_gradient_by_the_shift_is_that_of_each_tokens_embedding():
    tf = compat.load_tensorflow()
    encoder = BertEncoder(FULL)
    encoder.assign(random_arrays(FULL, 0), "the test")
    token_ids, mask = (
        tf.constant([[2, 5, 5, 3, 0], [2, 7, 3, 0, 0]]),
        tf.constant(np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], bool)),
    )
    words = encoder.variables["embeddings.word_embeddings.weight"]
    shift = tf.zeros((2, 5, CONFIG["hidden_size"]))
    seed = tf.constant([3, 4], tf.int64)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(shift)
        loss = tf.reduce_sum(encoder(token_ids, mask, seed, shift) ** 3)
    by_shift, by_words = tape.gradient(loss, shift), tape.gradient(loss, words)
    np.testing.assert_allclose(by_shift.numpy().reshape(10, -1), by_words.values.numpy(), rtol=0, atol=1e-6)
    assert float(tf.reduce_sum(tf.abs(by_shift[0, 1]))) > 1e-3
    assert (by_shift.numpy()[~mask.numpy()] == 0).all()  # padding has no part in it
    np.testing.assert_array_equal(encoder(token_ids, mask, seed, shift), encoder(token_ids, mask, seed))


@pytest.fixture(scope="module")
def chunked(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("losses") / "run"
    shutil.copytree(tiny_run, place, ignore=shutil.ignore_patterns("finetune", "embed", "heads", "evaluate"))
    return place


FLAGS = {
    "focal_gamma": 2.0,
    "label_smoothing": 0.2,
    "gradient_penalty": 1.0,
    "r_drop": 1.0,
    "decay": "cosine",
    "warmup": 0.5,
    "class_weight": "balanced",
}


def finetuned(chunked: Path, run: Path, **given: Any) -> FinishedStage:
    shutil.copytree(chunked, run)
    return finetune_encoder(run, epochs=1, precision="float32", learning_rate=0.01, **given)


@pytest.fixture(scope="module")
def plain(chunked: Path, tmp_path_factory: pytest.TempPathFactory) -> FinishedStage:
    """A training without any of the flags."""
    return finetuned(chunked, tmp_path_factory.mktemp("plain") / "run")


@pytest.mark.parametrize("flag", FLAGS)
def test_each_flag_of_finetune_changes_the_training_and_is_in_the_manifest(
    flag: str, plain: FinishedStage, chunked: Path, tmp_path: Path
):
    stage = finetuned(chunked, tmp_path / "run", **{flag: FLAGS[flag]})
    assert plain.parameters[flag] == (finetune.EARLIER | {"class_weight": "none"})[flag] != FLAGS[flag]
    assert stage.parameters[flag] == FLAGS[flag]
    weights, losses = (
        [read(one.path) for one in (plain, stage)]
        for read in (
            lambda path: (path / "encoder.safetensors").read_bytes(),
            lambda path: (path / "history.jsonl").read_text(),
        )
    )
    assert weights[0] != weights[1]
    assert json.loads(losses[0].splitlines()[0])["train_loss"] != json.loads(losses[1].splitlines()[0])["train_loss"]


def test_the_same_flags_train_a_head(tiny_run: Path, tmp_path: Path):
    flags = ["focal_gamma", "label_smoothing", "gradient_penalty", "r_drop"]
    found = set()
    for number, given in enumerate([{}, *({flag: FLAGS[flag]} for flag in flags)]):
        run = tmp_path / str(number)
        shutil.copytree(tiny_run, run, ignore=shutil.ignore_patterns("heads", "evaluate"))
        stage = train_sequence_head(run, "gru", epochs=2, input_dropout=0.5, **given)
        found.add((stage.path / "weights.safetensors").read_bytes())
    assert len(found) == 1 + len(flags)


def test_a_heads_rare_class_counts_more_where_that_is_asked_for(tmp_path: Path):
    vectors = RNG.normal(size=(16, 4)).astype(np.float32)
    label_ids = np.int32([0] * 12 + [1] * 4)
    ids = [f"d{at:02d}" for at in range(16)]
    documents = DocumentVectors(ids, vectors, np.full((16, 2), 0.5, np.float32), np.arange(17))
    labelled = LabelledDocuments(documents, [str(label) for label in label_ids], label_ids)
    shares = {}
    for weight in ("none", "balanced"):
        parameters = {"head": "mean_pool", "epochs": 20, "learning_rate": 1e-3, "input_dropout": 0.0, "seed": 0}
        history = History(tmp_path / f"{weight}.jsonl")
        model, *_ = train(
            labelled, labelled, 4, 2, parameters | {"class_weight": weight}, history, Checkpoints(tmp_path / weight)
        )
        logits = model([vectors[:, None], np.ones((16, 1), bool)]).numpy()
        shares[weight] = softmax(logits)[:, 1].mean()
    assert shares["balanced"] > shares["none"] + 0.05


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--focal-gamma", "-1"], "`focal_gamma` must be from 0 to 10, but is -1.0 instead"),
        (["--label-smoothing", "1"], "`label_smoothing` must be from 0 to below 1, but is 1.0 instead"),
        (["--gradient-penalty", "inf"], "`gradient_penalty` must be at least 0 and finite, but is inf instead"),
        (["--r-drop", "nan"], "`r_drop` must be at least 0 and finite, but is nan instead"),
        (["--decay", "steps"], "`decay` must be one of linear, cosine, exponential, but is 'steps' instead"),
        (["--warmup", "1"], "`warmup` must be from 0 to below 1, but is 1.0 instead"),
        (["--gradient-penalty", "1", "--trainable-layers", "1"], "`gradient_penalty` needs the embeddings of tokens"),
        (["--epochs", "0", "--r-drop", "1"], "`r_drop` has no effect with `epochs` 0"),
    ],
)
def test_a_flag_that_is_out_of_range_or_has_no_effect_is_refused(flags: list[str], said: str, chunked: Path, capsys):
    assert finetune.main([str(chunked), *flags]) == 2
    assert said in capsys.readouterr().err and not (chunked / "finetune").exists()


def test_a_head_without_dropout_has_no_two_passes(tiny_run: Path, capsys):
    assert train_head.main([str(tiny_run), "--head", "gru", "--r-drop", "1"]) == 2
    assert "`r_drop` has no effect without `input_dropout`" in capsys.readouterr().err


def test_a_penalty_goes_together_with_bfloat16_accumulation_and_labels_that_are_smoothed(chunked: Path, tmp_path: Path):
    from hierdoc.engines.precision import cpu_has_bfloat16

    if not cpu_has_bfloat16():
        pytest.skip("this CPU has no bfloat16")
    run = tmp_path / "run"
    shutil.copytree(chunked, run)
    stage = finetune_encoder(
        run, epochs=1, precision="bfloat16", gradient_penalty=0.5, r_drop=0.5, label_smoothing=0.1, focal_gamma=1.0,
        gradient_accumulation=2, max_grad_norm=1.0,
    )  # fmt: skip
    assert np.isfinite(stage.details["train_loss"])
    embed_chunks(run)
    with pytest.raises(HierdocError, match="already finished with `focal_gamma` 1.0, not 0.0"):
        finetune_encoder(run, epochs=1, precision="bfloat16")
