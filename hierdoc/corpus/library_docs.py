"""A corpus of real long documents that are already on the machine: the docstrings of installed libraries.

One document is every docstring of one module file, in source order; its label is the library it documents: numpy,
scipy, pandas, sklearn, matplotlib, tensorflow, keras, or "python" for the standard library. Files are found and parsed;
nothing is imported.

The label must not be readable off its own name, so `mask_names` writes `library` for the names and import aliases of
all eight in every document, and `version` for version numbers. Known to remain: house style (numpydoc sections against
Google's `Args:`, `.. versionadded::`, `:ref:` roles, `>>>` or fenced examples), the names of classes, functions, files,
people and products (DataFrame, TensorBoard, ndarray, .npz), and single-digit versions apart from a name. A bag of words
therefore does well: this is a task of topic and style, for trying hierdoc on, not a benchmark.
"""

from __future__ import annotations

import ast
import fnmatch
import importlib.util
import os
import random
import re
import sys
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from hierdoc.corpus.duplicates import near_duplicate_groups
from hierdoc.errors import HierdocError

PACKAGES = {  # label: what pip calls the package; None is the standard library
    "keras": "keras",
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "pandas": "pandas",
    "python": None,
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "tensorflow": "tensorflow",
}
MIN_WORDS, MAX_WORDS = 150, 20_000  # white-space words, after masking

# Patterns of doc_ids that make no document; `*` crosses folders. What somebody else wrote, or what is copied from
# another of these libraries, would be labelled wrongly.
# fmt: off
LEFT_OUT = (
    # tests and caches
    "*/__pycache__/*", "*/test/*", "*/tests/*", "*/test_*.py", "*_test.py", "*/conftest.py",
    # generated: protocol buffers, op wrappers, schemas, re-exports
    "*_pb2.py", "*_pb2_grpc.py", "*/gen_*_op.py", "*/gen_*_ops.py", "tensorflow/lite/*schema*generated.py",
    "tensorflow/_api/*", "tensorflow/include/*", "keras/_tf_keras/*", "keras/api/*",
    # Keras inside TensorFlow, and the TensorFlow layers that Keras took over
    "tensorflow/keras/*", "tensorflow/python/keras/*", "tensorflow/python/layers/*",
    # vendored, by the usual folder names
    "*/_vendor*/*", "*/vendored/*", "*/extern/*", "*/external*/*", "*/_external/*", "*/third_party/*",
    # vendored, by name: array-api, packaging, numpydoc, uarray, COBYQA, PRIMA, Pooch, HiGHS, decorator, pyperclip, the
    # dataframe-api's text; copies of the standard library's inspect and pprint, and of SciPy
    "*/array_api_*/*", "*/_pep440.py", "*/_docscrape.py", "*/_uarray/*", "*/uarray.py", "scipy/_lib/cobyqa/*",
    "scipy/_lib/pyprima/*", "scipy/_lib/pooch/*", "scipy/_lib/decorator.py", "scipy/optimize/_highs*/*",
    "pandas/util/version/*", "pandas/io/clipboard/*", "pandas/core/interchange/dataframe_protocol.py",
    "numpy/_utils/_inspect.py", "sklearn/utils/_pprint.py", "sklearn/utils/fixes.py",
    # beside the standard library, or in it and not of it: other packages, installers, applications, demonstrations
    "python/site-packages/*", "python/dist-packages/*", "python/ensurepip/*", "python/idlelib/*", "python/lib2to3/*",
    "python/turtledemo/*", "python/pydoc_data/*",
)
# fmt: on
_LEFT_OUT = re.compile("|".join(map(fnmatch.translate, LEFT_OUT)))

# The long names also inside a longer identifier (KerasTensor, to_numpy, Pythonic); the short ones as whole words, for
# which `_`, `.` and a digit are boundaries (np.array, is_tf_type, ss2tf), but tf-idf is a word of its own.
_NAMES = re.compile(
    r"numpy|scipy|pandas|sci-?kits?(?:[-_. ]?learn)?|sklearn|matplotlib|pyplot|pylab|tensorflow|keras|[ci]?python"
    r"|(?<![^\W\d_])(?:(?:np|sp|pd|plt|tf(?:dbg|lite|prof|records?|[delpx])?(?![-_ ]?idf))(?![^\W\d_])|mpl"
    r"|(?-i:T[Ff](?=(?:SM)?[A-Z][a-z])))",
    re.IGNORECASE,
)
_CHAINED = re.compile(r"\blibrary(?:[._]library)+(?![^\W_])")
_NUMBER = r"v?\d+(?:\.(?:\d+|x))+(?:\.?(?:a|b|rc|dev|post)\d*)?(?!\w)"
_VERSIONS = re.compile(
    r"((?:version(?:added|changed|removed)?|deprecated(?:-removed)?)\s*::\s*)v?\d[\w.]*(?:[ ,]+\d[\w.]*)*"
    rf"|(\b(?:versions?|library|releases?|since|as of|in|until|pre)[\s:-]*(?:(?:[<>=!~]=|[<>])\s*)?)"
    rf"{_NUMBER}(?:\s*(?:,|-|/|and|or|to)\s*{_NUMBER})*"
    r"|(library)[- ]?\d+(?:\.(?:\d+|x))*(?![-\w])"
    r"|(?<![\w.])v?\d+\.\d+\.(?:\d+|x)(?:\.?(?:a|b|rc|dev|post)\d*)?(?!\w|\.\d)",
    re.IGNORECASE,
)
_NOT_TEXT = re.compile("[\0\ud800-\udfff]")  # what cannot be written to a CSV or Parquet file


@dataclass(frozen=True)
class LibraryDocument:
    """One module's docstrings, masked; `doc_id` is its label and its path in the library (scipy/optimize/_root.py)."""

    doc_id: str
    text: str
    label: str


@dataclass
class LibraryCorpus:
    """Every document there is by label, sorted by doc_id, and how many files were left out by reason."""

    documents: dict[str, list[LibraryDocument]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def mask_names(text: str) -> str:
    """Return `text` with the eight libraries' names and aliases as `library` and version numbers as `version`.

    Names are found in any case; chains of them (`tf.keras`, `matplotlib.pyplot`) become one `library`.
    """
    return _VERSIONS.sub(_mask_version, _CHAINED.sub("library", _NAMES.sub("library", text)))


def _mask_version(match: re.Match[str]) -> str:
    before = match[1] or match[2] or match[3] or ""
    return f"{before} version" if before[-1:].isalpha() else f"{before}version"  # Python3 becomes two words


def docstrings(source: str) -> list[str]:
    """Return a module's docstrings in source order, cleaned: its own, its classes' and all functions'.

    Raises:
        SyntaxError, ValueError: `source` is not Python.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # invalid escapes in other people's strings
        module = ast.parse(source)
    return [text for text in map(ast.get_docstring, _documented(module)) if text]


def _documented(node: ast.AST) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield node
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):  # statements: expressions hold no docstring
        children = getattr(node, name, ())
        for child in children if isinstance(children, list) else ():
            yield from _documented(child)


def read_library(root: Path, label: str, left_out: Counter[str] | None = None) -> list[LibraryDocument]:
    """Return the documents of 150 to 20,000 words in the folder `root`, sorted by doc_id; none is cut short.

    Args:
        left_out: where to count the files that made no document, by reason; what `LEFT_OUT` names is not counted.
    """
    documents, left_out = [], Counter() if left_out is None else left_out
    for doc_id, path in sorted(_module_files(root, label)):
        try:
            text = mask_names("\n\n".join(docstrings(path.read_bytes().decode("utf-8-sig"))))
        except UnicodeDecodeError:
            left_out["not UTF-8"] += 1
            continue
        except (SyntaxError, ValueError, RecursionError):
            left_out["not Python"] += 1
            continue
        num_words = len(text.split())
        if _NOT_TEXT.search(text):
            left_out["with NUL or surrogate characters"] += 1
        elif num_words < MIN_WORDS:
            left_out[f"under {MIN_WORDS} words"] += 1
        elif num_words > MAX_WORDS:
            left_out[f"over {MAX_WORDS:,} words"] += 1
        else:
            documents.append(LibraryDocument(doc_id, text, label))
    return documents


def _module_files(root: Path, label: str) -> Iterator[tuple[str, Path]]:
    for folder, folders, files in os.walk(root):
        inside = "/".join([label, *Path(folder).relative_to(root).parts, ""])
        folders[:] = [name for name in folders if not _LEFT_OUT.match(f"{inside}{name}/")]
        for name in files:
            doc_id = inside + name
            if not name.endswith(".py") or _LEFT_OUT.match(doc_id):
                continue
            if label != "python" or doc_id.split("/")[1].removesuffix(".py") in sys.stdlib_module_names:
                yield doc_id, Path(folder, name)


def without_near_duplicates(documents: list[LibraryDocument]) -> list[LibraryDocument]:
    """Return the first of every group of near-duplicates (see `near_duplicate_groups`), in the given order."""
    groups = near_duplicate_groups([document.text for document in documents])
    return [document for index, document in enumerate(documents) if groups[index] == index]


@cache
def scan_libraries() -> LibraryCorpus:
    """Return every document of the installed libraries, read once per process (about 20 seconds).

    Raises:
        HierdocError: a library is not installed.
    """
    roots = {label: _library_folder(label) for label in sorted(PACKAGES)}
    corpus = LibraryCorpus()
    found = [document for label, root in roots.items() for document in read_library(root, label, corpus.left_out)]
    kept = without_near_duplicates(found)
    corpus.left_out["near-duplicates"] = len(found) - len(kept)
    corpus.documents = {label: [document for document in kept if document.label == label] for label in roots}
    return corpus


def _library_folder(label: str) -> Path:
    package = PACKAGES[label]
    if package is None:
        return Path(sysconfig.get_path("stdlib"))
    spec = importlib.util.find_spec(label)
    if spec is None or spec.origin is None:
        raise HierdocError(f"{label} is not installed, and its documentation is one class: pip install {package}")
    return Path(spec.origin).parent


def library_documents(documents_per_class: int, seed: int) -> list[LibraryDocument]:
    """Return at most `documents_per_class` documents of each library, drawn by `seed`, sorted by doc_id.

    The same files and seed give the same documents, and a larger sample contains the smaller one.

    Raises:
        HierdocError: a library is not installed; `documents_per_class` is below 1.
    """
    return _draw(0, documents_per_class, seed)


def held_out_documents(documents_per_class: int, seed: int, num_per_class: int = 1) -> list[LibraryDocument]:
    """Return the `num_per_class` documents of each library that come next after those of `library_documents`.

    Raises:
        HierdocError: as there; a library has too few documents for that.
    """
    for label, documents in scan_libraries().documents.items():
        if len(documents) < documents_per_class + num_per_class:
            raise HierdocError(
                f"`documents_per_class` must leave {num_per_class} of {label}'s {len(documents)} documents held out, "
                f"but is {documents_per_class} instead"
            )
    return _draw(documents_per_class, num_per_class, seed)


def _draw(skipped: int, documents_per_class: int, seed: int) -> list[LibraryDocument]:
    if documents_per_class < 1:
        raise HierdocError(f"`documents_per_class` must be at least 1, but is {documents_per_class} instead")
    drawn = []
    for documents in scan_libraries().documents.values():
        order = random.Random(seed).sample(documents, len(documents))
        drawn += order[skipped : skipped + documents_per_class]
    return sorted(drawn, key=lambda document: document.doc_id)
