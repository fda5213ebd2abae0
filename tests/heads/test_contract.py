"""What every head owes: laws 1 and 2 at the document level, and the same bits after saving and loading."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from hierdoc import HierdocError
from hierdoc.encoders import compat
from hierdoc.engines import RUNTIMES
from hierdoc.evaluation.baselines import BASELINES, RULES
from hierdoc.graphs import HEAD_GRAPHS
from hierdoc.heads import HEADS
from hierdoc.heads.document_probs import (
    EARLIER,
    DocumentProbs,
    Logits,
    by_document,
    compile_logits,
    load_document_probs,
    load_head,
    save_head,
)
from hierdoc.sequences import batches
from hierdoc.sequences.grouping import DocumentVectors
from hierdoc.stages.files import sha256_of

DIM, CLASSES = 6, 3
OF_MAXIMA = ("max_pool", "textcnn")  # a chunk may have none of the largest numbers
IN_ORDER = ("lstm", "bilstm", "gru", "transformer", "textcnn")  # to these the order of a document's chunks matters
NUM_CHUNKS = [1, 4, 2, 7, 1, 3]
# Logits are about 1 in size. float32 carries 7 digits, and 7 steps of a recurrence in another batch shape move the last
# two of them.
FLOAT32 = 1e-5


def trained_like(name: str, seed: int = 0) -> Any:
    """A head with random weights as large as trained ones, biases included."""
    model = HEADS[name](DIM, CLASSES)
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(rng.normal(0, 0.4, variable.shape))
    return model


def documents_of(num_chunks: list[int], seed: int = 0) -> DocumentVectors:
    """Documents with random chunk vectors of norm 7, as a BERT's are."""
    starts = np.cumsum([0, *num_chunks])
    vectors = np.random.default_rng(seed).normal(0, 7 / DIM**0.5, (starts[-1], DIM)).astype(np.float32)
    return DocumentVectors(
        [f"{at:03d}" for at in range(len(num_chunks))], vectors, np.zeros((len(vectors), CLASSES), np.float32), starts
    )


def padded(
    documents: DocumentVectors, members: list[int], length: int, filling: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Vectors (B, length, D) and mask; under a False mask stands `filling`."""
    vectors = np.full((len(members), length, DIM), filling, np.float32)
    mask = np.zeros((len(members), length), bool)
    for row, member in enumerate(members):
        start, end = documents.starts[member : member + 2]
        vectors[row, : end - start], mask[row, : end - start] = documents.vectors[start:end], True
    return vectors, mask


@pytest.fixture(scope="module", params=sorted(HEADS))
def head(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def model(head: str) -> Any:
    """Do not change its weights."""
    return trained_like(head)


@pytest.fixture(scope="module", params=["tensorflow", *RUNTIMES])
def runtime(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def compiled(
    head: str, model: Any, runtime: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Logits, DocumentProbs]:
    """The head's logits and documents' probabilities in a runtime, as they come out of its saved weights."""
    folder = tmp_path_factory.mktemp("head")
    save_head(folder, model, config_of(head, runtime))
    head_probs, config = load_document_probs(folder)
    assert config["encoding"]["engine"] == runtime
    document_probs: DocumentProbs = lambda documents: head_probs(documents, ())  # noqa: E731
    if runtime == "tensorflow" or head not in HEAD_GRAPHS:
        return compile_logits(load_head(folder)[0]), document_probs
    graph = HEAD_GRAPHS[head](DIM, CLASSES, load_file(folder / "weights.safetensors"), "the test")
    run, _ = RUNTIMES[runtime](graph, "float32")
    return lambda vectors, mask: run(vectors=vectors, mask=mask), document_probs


@pytest.fixture(scope="module")
def logits_of(compiled: tuple[Logits, DocumentProbs]) -> Callable[..., np.ndarray]:
    """The head's logits of `padded`'s arguments."""
    return lambda *arguments: compiled[0](*padded(*arguments))


@pytest.fixture(scope="module")
def document_probs(compiled: tuple[Logits, DocumentProbs]) -> DocumentProbs:
    return compiled[1]


DOCUMENTS = documents_of(NUM_CHUNKS)
ALL = list(range(len(NUM_CHUNKS)))


def test_a_head_gives_float32_logits_that_differ_between_documents(logits_of: Callable[..., np.ndarray]):
    logits = logits_of(DOCUMENTS, ALL, 7)
    assert logits.dtype == np.float32 and logits.shape == (6, CLASSES) and np.isfinite(logits).all()
    distances = [np.abs(logits[a] - logits[b]).max() for a in ALL for b in ALL if a < b]
    assert min(distances) > 100 * FLOAT32  # or else the tests below could not fail
    assert (logits < 0).any()  # logits, not probabilities


def test_a_documents_logits_are_the_same_alone_in_a_batch_and_with_more_padding(logits_of: Callable[..., np.ndarray]):
    together = logits_of(DOCUMENTS, ALL, 7)
    for member, length in enumerate(NUM_CHUNKS):
        np.testing.assert_allclose(logits_of(DOCUMENTS, [member], length)[0], together[member], rtol=0, atol=FLOAT32)
    np.testing.assert_allclose(logits_of(DOCUMENTS, ALL[::-1], 12), together[::-1], rtol=0, atol=FLOAT32)
    np.testing.assert_allclose(logits_of(DOCUMENTS, [3, 3, 0], 9), together[[3, 3, 0]], rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("filling", [1.0, -1e30, np.inf, np.nan])
def test_what_stands_under_a_false_mask_changes_nothing(logits_of: Callable[..., np.ndarray], filling: float):
    np.testing.assert_array_equal(logits_of(DOCUMENTS, ALL, 9, filling), logits_of(DOCUMENTS, ALL, 9))


@pytest.mark.parametrize("filling", [1.0, np.nan])
def test_what_stands_under_a_false_mask_reaches_no_gradient(head: str, model: Any, filling: float):
    tf = compat.load_tensorflow()
    gradients = []
    for value in (0.0, filling):
        vectors, mask = padded(DOCUMENTS, ALL, 9, value)
        inputs = tf.constant(vectors)
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(model([inputs, mask], training=False) ** 2)
        *by_weight, by_input = tape.gradient(loss, [*model.trainable_variables, inputs])
        gradients.append([gradient.numpy() for gradient in by_weight])
        assert (by_input.numpy()[~mask] == 0).all() and np.isfinite(by_input.numpy()).all()
        read = np.abs(by_input.numpy()[mask]).max(axis=1) > 0
        assert read.any() if head in OF_MAXIMA else read.all()  # every real chunk is read
    for clean, dirty in zip(*gradients, strict=True):
        assert np.isfinite(dirty).all() and np.abs(clean).max() > 0
        np.testing.assert_array_equal(dirty, clean)


def test_the_order_of_chunks_matters_where_it_is_due(head: str, logits_of: Callable[..., np.ndarray]):
    assert set(IN_ORDER) < set(HEADS)
    swapped = documents_of(NUM_CHUNKS)
    start = swapped.starts[3]
    swapped.vectors[[start, start + 2]] = swapped.vectors[[start + 2, start]]
    moved = np.abs(logits_of(swapped, ALL, 7) - logits_of(DOCUMENTS, ALL, 7)).max(axis=1)
    assert moved[3] > 1e-2 if head in IN_ORDER else moved[3] < FLOAT32
    assert np.delete(moved, 3).max() == 0


def test_every_runtime_gives_the_logits_that_the_trained_model_gave(model: Any, logits_of: Callable[..., np.ndarray]):
    wanted = model(list(padded(DOCUMENTS, ALL, 9)), training=False).numpy()
    np.testing.assert_allclose(
        logits_of(DOCUMENTS, ALL, 9), wanted, rtol=0, atol=FLOAT32 * max(1, np.abs(wanted).max() / 10)
    )


def test_document_probs_are_the_softmax_of_the_logits_in_the_documents_order(
    document_probs: DocumentProbs, logits_of: Callable[..., np.ndarray]
):
    found = document_probs(DOCUMENTS)
    raised = np.exp(logits_of(DOCUMENTS, ALL, 7).astype(np.float64))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, raised / raised.sum(axis=1, keepdims=True), rtol=0, atol=FLOAT32)


@pytest.mark.parametrize("many_chunks", [512, 2], ids=["as it is", "fewer rows for documents of more than 2 chunks"])
def test_document_probs_are_the_same_bits_in_any_company(
    document_probs: DocumentProbs, many_chunks: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(batches, "MANY_CHUNKS", many_chunks)
    many = documents_of(np.random.default_rng(1).integers(1, 14, 71).tolist(), seed=2)
    whole = document_probs(many)
    for members in ([5], [70, 3, 40], list(range(10, 60))):
        parts = [many.vectors[many.starts[member] : many.starts[member + 1]] for member in members]
        starts = np.cumsum([0, *map(len, parts)])
        fewer = DocumentVectors(
            [many.doc_ids[member] for member in members],
            np.concatenate(parts),
            np.zeros((starts[-1], CLASSES), np.float32),
            starts,
        )
        np.testing.assert_array_equal(document_probs(fewer), whole[members])


def test_no_documents_have_no_probabilities(document_probs: DocumentProbs):
    empty = DocumentVectors(
        [], np.zeros((0, DIM), np.float32), np.zeros((0, CLASSES), np.float32), np.zeros(1, np.int64)
    )
    assert document_probs(empty).shape == (0, CLASSES)


def config_of(head: str, engine: str = "tensorflow") -> dict[str, Any]:
    return {
        "head": head,
        "inputs": "vectors",
        "words": False,
        "multi_label": False,
        "dim": DIM,
        "labels": ["cats", "dogs", "fish"],
        "encoder_fingerprint": "0" * 64,
        "encoding": {"engine": engine, "precision": "float32"},
    }


def test_a_saved_head_is_loaded_with_the_same_bits(head: str, model: Any, tmp_path: Path):
    HEADS[head](DIM, CLASSES)  # another head of its kind in the process must not change the weights' names
    save_head(tmp_path, model, config_of(head))
    again, config = load_head(tmp_path)
    assert config == {**config_of(head), "weights_sha256": sha256_of(tmp_path / "weights.safetensors")}
    assert len(again.variables) == len(model.variables) > 0
    for old, new in zip(model.variables, again.variables, strict=True):
        np.testing.assert_array_equal(new.numpy(), old.numpy())
    found, wanted = (by_document(compile_logits(of), CLASSES)(DOCUMENTS) for of in (again, model))
    np.testing.assert_array_equal(found, wanted)


def test_a_head_of_an_earlier_version_reads_vectors_and_has_no_words(head: str, model: Any, tmp_path: Path):
    save_head(tmp_path, model, config_of(head))
    earlier = {key: value for key, value in config_of(head).items() if key not in EARLIER}
    (tmp_path / "config.json").write_text(json.dumps(earlier))
    head_probs, config = load_document_probs(tmp_path)
    assert config == {**config_of(head), "weights_sha256": None}
    np.testing.assert_array_equal(head_probs(DOCUMENTS, ()), by_document(compile_logits(model), CLASSES)(DOCUMENTS))


def test_saving_the_same_head_twice_makes_the_same_bytes(head: str, model: Any, tmp_path: Path):
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        save_head(folder, model, config_of(head))
    for name in ("weights.safetensors", "config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    save_head(tmp_path / "b", trained_like(head, seed=1), config_of(head))
    assert (tmp_path / "a/weights.safetensors").read_bytes() != (tmp_path / "b/weights.safetensors").read_bytes()


def test_a_missing_weight_and_one_of_another_shape_are_named(head: str, model: Any, runtime: str, tmp_path: Path):
    save_head(tmp_path, model, config_of(head, runtime))
    path = tmp_path / "weights.safetensors"
    arrays = load_file(path)
    name = sorted(arrays)[-1]
    for changed in (
        {key: array for key, array in arrays.items() if key != name},
        {**arrays, name: np.zeros((1, 1, 1), np.float32)},
    ):
        save_file(changed, path)
        with pytest.raises(HierdocError) as error:
            load_document_probs(tmp_path)
        assert f"{path}: weight {name!r} is missing or of another shape" in str(error.value)


def test_a_head_that_has_no_graph_is_run_by_tensorflow_and_that_is_said(
    head: str, model: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    save_head(tmp_path, model, config_of(head, "openvino"))
    monkeypatch.delitem(HEAD_GRAPHS, head, raising=False)
    head_probs, _ = load_document_probs(tmp_path)
    wanted = by_document(compile_logits(model), CLASSES)(DOCUMENTS)
    np.testing.assert_array_equal(head_probs(DOCUMENTS, ()), wanted)
    assert f"openvino can't run the head {head}; TensorFlow does" in capsys.readouterr().err


def test_no_head_has_the_name_of_a_baseline_so_that_an_arm_of_an_experiment_is_one_of_them():
    assert not set(HEADS) & {*RULES, *BASELINES}


def test_an_unknown_head_lists_the_valid_ones(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps({**config_of("lstm"), "head": "tree"}))
    with pytest.raises(HierdocError) as error:
        load_document_probs(tmp_path)
    assert f"head must be one of {', '.join(sorted(HEADS))}, but is 'tree' instead" in str(error.value)
