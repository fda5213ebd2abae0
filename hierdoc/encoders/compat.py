"""The only place that imports TensorFlow's legacy Keras and bert-for-tf2, and makes the two agree.

bert-for-tf2 0.14.9 is written against Keras 2. It runs on TensorFlow 2.21 when `tf.keras` is tf-keras 2.21
(`TF_USE_LEGACY_KERAS=1`, read by TensorFlow when `tf.keras` is first touched) and when `tensorflow.python.keras`,
TensorFlow's private copy of Keras whose classes are different ones, is tf-keras too: its attention.py and
transformer.py import that private package. Both mends may go when bert-for-tf2 imports `tf_keras` itself.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType

from hierdoc.errors import HierdocError

PRIVATE_KERAS = "tensorflow.python.keras"


def load_tensorflow() -> ModuleType:
    """Return the `tensorflow` module with legacy Keras (tf-keras) behind `tensorflow.keras`.

    Raises:
        HierdocError: this process has already bound `tensorflow.keras` to Keras 3.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # what matters is raised as an exception
    os.environ["TF_USE_LEGACY_KERAS"] = "1"
    with _start_up_chatter_held_back(), _no_garbage_sought():
        import tensorflow as tf
        import tf_keras

        tf.config.list_physical_devices()

    if tf.keras.layers.Layer is not tf_keras.layers.Layer:
        raise HierdocError(
            "this process has already loaded Keras 3 through tensorflow, and bert-for-tf2 needs tf-keras: "
            "import hierdoc before tensorflow, or set TF_USE_LEGACY_KERAS=1"
        )
    tf.get_logger().setLevel("ERROR")  # a trace for each padded length is meant
    return tf


@contextlib.contextmanager
def _start_up_chatter_held_back() -> Iterator[None]:
    """Hold back what TensorFlow's C++ start-up writes to stderr (it ignores TF_CPP_MIN_LOG_LEVEL), unless it fails."""
    if "tensorflow" in sys.modules:
        yield
        return
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            os.dup2(saved, 2)
            os.close(saved)


@contextlib.contextmanager
def _no_garbage_sought() -> Iterator[None]:
    """Let what the first import of TensorFlow makes, half a million objects that stay, never be searched for garbage.

    The searches are a fifth of the import's time, and Python makes another one when it ends
    (experiments/benchmarks/starting.json).
    """
    if "tensorflow" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load_bert() -> ModuleType:
    """Return bert-for-tf2's `bert` module, with its private Keras imports pointed at tf-keras.

    Raises:
        HierdocError: as `load_tensorflow`.
    """
    load_tensorflow()
    if "bert" not in sys.modules:
        import tf_keras
        from tensorflow.python import keras as private_keras

        names = (PRIVATE_KERAS, f"{PRIVATE_KERAS}.backend")
        displaced = {name: importlib.import_module(name) for name in names}
        sys.modules.update(zip(names, (tf_keras, tf_keras.backend), strict=True))
        sys.modules["tensorflow.python"].keras = tf_keras
        try:
            import bert  # noqa: F401
        finally:
            sys.modules.update(displaced)
            sys.modules["tensorflow.python"].keras = private_keras
    return sys.modules["bert"]


@contextlib.contextmanager
def deterministic_ops(wanted: bool) -> Iterator[None]:
    """Let TensorFlow use only operations that give the same bytes each time, where `wanted`.

    A process-global option, so it is put back; TensorFlow 2.21 has no public way to switch it off.
    """
    load_tensorflow()
    from tensorflow.python.framework import config

    before = config.is_op_determinism_enabled()
    if wanted:
        config.enable_op_determinism()
    try:
        yield
    finally:
        if wanted and not before:
            config.disable_op_determinism()
