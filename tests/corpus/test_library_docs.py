"""Library docs: one document per module, without the names that would give its label away."""

from __future__ import annotations

import sys
import sysconfig
from collections import Counter
from pathlib import Path

import pytest

from hierdoc.corpus import library_docs
from hierdoc.corpus.library_docs import (
    LibraryCorpus,
    LibraryDocument,
    docstrings,
    held_out_documents,
    library_documents,
    mask_names,
    read_library,
    scan_libraries,
    without_near_duplicates,
)
from hierdoc.errors import HierdocError

MODULE = '''
"""The module."""

if True:
    class First:
        """First class.

        Text:
            An indented line.
        """

        def method(self):
            "Its method."

            async def inner():
                """Inside the method."""
    def not_documented(): return "a string"
else:
    async def second():
        """Second, async."""

try:
    pass
except ValueError:
    def third():
        """Third, in a handler."""
match 1:
    case 1:
        def fourth():
            """Fourth, in a case."""
"""No docstring, only a string."""
'''


def words(count: int, first: str = "w") -> str:
    return " ".join(f"{first}{number}" for number in range(count))


def write_module(root: Path, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'"""{text}"""\n', encoding="utf-8")


def pool(label: str, count: int) -> list[LibraryDocument]:
    return [LibraryDocument(f"{label}/{n:02}.py", words(150, f"{label}{n}x"), label) for n in range(count)]


@pytest.fixture
def two_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = LibraryCorpus({"big": pool("big", 20), "small": pool("small", 4)}, Counter())
    monkeypatch.setattr(library_docs, "scan_libraries", lambda: corpus)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("import numpy as np; np.array([1])", "import library as library; library.array([1])"),
        ("numpy.ndarray, NumPy and NUMPY", "library.ndarray, library and library"),
        ("from scipy import sparse as sp_sparse", "from library import sparse as library_sparse"),
        ("pd.DataFrame of pandas", "library.DataFrame of library"),
        ("scikit-learn, scikit_learn, Scikit-Learn, sklearn.svm", "library, library, library, library.svm"),
        ("tf.keras.Model and tf_keras", "library.Model and library"),
        ("import matplotlib.pyplot as plt; mpl_toolkits", "import library as library; library_toolkits"),
        ("TensorFlow's tf.Tensor, is_tf_type", "library's library.Tensor, is_library_type"),
        ("TFRecordDataset, tfrecord, TfLiteDelegate", "libraryRecordDataset, library, libraryLiteDelegate"),
        ("KerasTensor.to_numpy()", "libraryTensor.to_library()"),
        ("Python, CPython and IPython", "library, library and library"),
        ("https://docs.python.org", "https://docs.library.org"),
    ],
)
def test_every_name_and_alias_becomes_library(text: str, masked: str) -> None:
    assert mask_names(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "input, output, specific, split, update, stft, platform, sparse",
        "tf-idf, TF-IDF, tf_idf, tfidf",
        "127.0.0.1 and 0.25, 1.5 and [1.0, 2.0], sec. 7.4.7.1",
        "torch.nn, jax.numerics, DataFrame, ndarray",
    ],
)
def test_other_words_and_numbers_stay(text: str) -> None:
    assert mask_names(text) == text


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (".. versionadded:: 1.8.0", ".. versionadded:: version"),
        (".. versionchanged:: 3\n   Text.", ".. versionchanged:: version\n   Text."),
        (".. deprecated:: 0.24", ".. deprecated:: version"),
        (".. deprecated-removed:: 3.8 3.10", ".. deprecated-removed:: version"),
        ("removed in 1.10. Use it", "removed in version. Use it"),
        ("since 2.1rc1, pre-3.11, release v4.0", "since version, pre-version, release version"),
        ("NumPy >= 1.20 or Python 3", "library >= version or library version"),
        ("TF2 and Python2.7", "library version and library version"),
        ("pip 23.2.1", "pip version"),
        ("np=1.0", "library=1.0"),
        ("a numpy 2-D array", "a library 2-D array"),
    ],
)
def test_version_numbers_become_version(text: str, masked: str) -> None:
    assert mask_names(text) == masked


def test_masking_twice_changes_nothing_more() -> None:
    once = mask_names("tf.keras 3.1 and np.array of NumPy 2.0; .. versionadded:: 1.2.3")

    assert mask_names(once) == once


def test_docstrings_come_in_source_order_from_wherever_a_definition_stands() -> None:
    assert docstrings(MODULE) == [
        "The module.",
        "First class.\n\nText:\n    An indented line.",
        "Its method.",
        "Inside the method.",
        "Second, async.",
        "Third, in a handler.",
        "Fourth, in a case.",
    ]


def test_a_module_is_one_document_of_its_masked_docstrings(tmp_path: Path) -> None:
    source = f'"""{words(150)}"""\ndef f():\n    """Call np.f."""\n'
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.py").write_text(source, encoding="utf-8")

    assert read_library(tmp_path, "numpy") == [
        LibraryDocument("numpy/sub/a.py", f"{words(150)}\n\nCall library.f.", "numpy")
    ]


def test_documents_have_150_to_20000_words_and_are_whole(tmp_path: Path) -> None:
    for count in (149, 150, 20_000, 20_001):
        write_module(tmp_path, f"m{count:05}.py", words(count))
    left_out: Counter[str] = Counter()

    found = read_library(tmp_path, "numpy", left_out)

    assert [(document.doc_id, document.text) for document in found] == [
        ("numpy/m00150.py", words(150)),
        ("numpy/m20000.py", words(20_000)),
    ]
    assert left_out == {"under 150 words": 1, "over 20,000 words": 1}


def test_words_are_counted_after_masking(tmp_path: Path) -> None:
    write_module(tmp_path, "a.py", words(149) + " tf2")

    assert len(read_library(tmp_path, "tensorflow")) == 1


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b'"""caf\xe9"""', "not UTF-8"),
        (b"def (:", "not Python"),
        (b'"""a \\0 b"""', "with NUL or surrogate characters"),
        (b'"""a \\ud800 b"""', "with NUL or surrogate characters"),
    ],
)
def test_a_file_that_makes_no_text_is_counted(tmp_path: Path, source: bytes, reason: str) -> None:
    (tmp_path / "bad.py").write_bytes(source)
    left_out: Counter[str] = Counter()

    assert read_library(tmp_path, "numpy", left_out) == []
    assert left_out == {reason: 1}


def test_tests_generated_and_vendored_files_are_left_out(tmp_path: Path) -> None:
    for label, name in (
        ("numpy", "lib/tests/test_io.py"),
        ("keras", "src/ops/nn_test.py"),
        ("keras", "_tf_keras/keras/__init__.py"),
        ("tensorflow", "python/keras/models.py"),
        ("tensorflow", "python/ops/gen_nn_ops.py"),
        ("tensorflow", "core/graph_pb2.py"),
        ("sklearn", "externals/_arff.py"),
        ("scipy", "_lib/array_api_compat/common.py"),
        ("scipy", "_lib/cobyqa/main.py"),
    ):
        write_module(tmp_path / label, name, words(150))
        write_module(tmp_path / label, "kept.py", words(150))

    for label in ("numpy", "keras", "tensorflow", "sklearn", "scipy"):
        assert [document.doc_id for document in read_library(tmp_path / label, label)] == [f"{label}/kept.py"]


def test_of_the_standard_library_only_its_own_modules_are_read(tmp_path: Path) -> None:
    for name in ("json/decoder.py", "ast.py", "sitecustomize.py", "site-packages/a.py", "test/a.py", "idlelib/a.py"):
        write_module(tmp_path, name, words(150))

    found = read_library(tmp_path, "python")

    assert [document.doc_id for document in found] == ["python/ast.py", "python/json/decoder.py"]


def test_the_standard_librarys_json_makes_masked_documents() -> None:
    found = read_library(Path(sysconfig.get_path("stdlib"), "json"), "json")

    texts = {document.doc_id: document.text for document in found}
    assert set(texts) == {"json/__init__.py", "json/decoder.py", "json/encoder.py"}
    assert texts["json/decoder.py"].startswith("Implementation of JSONDecoder\n\nSubclass of ValueError with")
    assert "python" not in "".join(texts.values()).lower()


def test_the_first_of_near_duplicates_is_kept() -> None:
    same, other = words(200), words(200, "v")
    near = f"{words(150)} {words(50, 'n')}"  # 143 of 243 shingles shared: 0.59
    far = f"{words(120)} {words(80, 'f')}"  # 113 of 273: 0.41
    texts = [other, same, same, near, far]
    documents = [LibraryDocument(f"numpy/{n}.py", text, "numpy") for n, text in enumerate(texts)]

    kept = [document.doc_id for document in without_near_duplicates(documents)]

    assert kept == ["numpy/0.py", "numpy/1.py", "numpy/4.py"]


def test_a_sample_holds_each_librarys_documents_up_to_the_cap_in_order(two_libraries: None) -> None:
    sample = library_documents(6, seed=0)

    assert Counter(document.label for document in sample) == {"big": 6, "small": 4}
    assert [document.doc_id for document in sample] == sorted({document.doc_id for document in sample})


def test_the_seed_decides_the_sample(two_libraries: None) -> None:
    assert library_documents(6, seed=1) == library_documents(6, seed=1)
    assert library_documents(6, seed=1) != library_documents(6, seed=2)


def test_held_out_documents_are_the_next_ones_of_the_same_draw(two_libraries: None) -> None:
    held_out = held_out_documents(2, seed=3, num_per_class=2)

    assert Counter(document.label for document in held_out) == {"big": 2, "small": 2}
    assert {*library_documents(2, seed=3), *held_out} == set(library_documents(4, seed=3))


def test_a_library_without_documents_left_to_hold_out_is_refused(two_libraries: None) -> None:
    with pytest.raises(HierdocError, match="leave 1 of small's 4 documents held out, but is 4 instead"):
        held_out_documents(4, seed=0)


def test_a_sample_of_no_documents_is_refused(two_libraries: None) -> None:
    with pytest.raises(HierdocError, match="`documents_per_class` must be at least 1, but is 0 instead"):
        library_documents(0, seed=0)


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library_docs, "PACKAGES", {"not_a_library_of_this_machine": "a-wheel"})
    scan_libraries.cache_clear()

    with pytest.raises(HierdocError, match="not_a_library_of_this_machine is not installed.*pip install a-wheel"):
        scan_libraries()


def test_a_scan_sorts_libraries_and_drops_near_duplicates_across_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for label in ("tiny_b", "tiny_a"):
        write_module(tmp_path / label, "__init__.py", words(150))
        write_module(tmp_path / label, "own.py", words(150, label))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(library_docs, "PACKAGES", {"tiny_b": "tiny-b", "tiny_a": "tiny-a"})
    scan_libraries.cache_clear()
    try:
        corpus = scan_libraries()
    finally:
        scan_libraries.cache_clear()

    found = {label: [document.doc_id for document in documents] for label, documents in corpus.documents.items()}
    assert found == {"tiny_a": ["tiny_a/__init__.py", "tiny_a/own.py"], "tiny_b": ["tiny_b/own.py"]}
    assert list(found) == ["tiny_a", "tiny_b"]
    assert corpus.left_out == {"near-duplicates": 1}
    assert "tiny_a" not in sys.modules
