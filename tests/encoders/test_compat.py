"""TensorFlow, legacy Keras and bert-for-tf2 in one process. Import order matters: each test has its own process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def run_python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh interpreter that finds hierdoc and has no TensorFlow settings but `environment`."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "ENABLE_RUNTIME"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


BUILD = """
from hierdoc import HierdocError
from hierdoc.encoders.bert import build_bert
config = {
    "vocab_size": 19, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16,
    "hidden_act": "gelu", "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 32, "type_vocab_size": 2, "initializer_range": 0.02, "layer_norm_eps": 1e-12,
}
try:
    print(build_bert(config)([[2, 5, 3]], [[True, True, True]]).shape)
except HierdocError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "before",
    [
        "import tensorflow as tf; assert tf.keras.layers.Layer.__module__.startswith('keras.src'), 'not Keras 3'",
        "import tensorflow",  # which finds Keras 3's package for `from tensorflow.keras.layers import ...` from then on
    ],
)
def test_a_process_in_which_tensorflow_has_settled_on_keras_3_gets_one_clear_line(before: str):
    done = run_python(f"{before}\n{BUILD}")
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert "has already loaded Keras 3 through tensorflow" in line
    assert "import hierdoc before tensorflow, or set TF_USE_LEGACY_KERAS=1" in line


@pytest.mark.parametrize(
    "before",
    ["import hierdoc; import tensorflow", "import os; os.environ['TF_USE_LEGACY_KERAS'] = '1'; import tensorflow"],
)
def test_what_that_line_advises_helps(before: str):
    done = run_python(f"{before}\n{BUILD}")
    assert (done.returncode, done.stdout) == (0, "(1, 8)\n"), done.stdout + done.stderr


def test_load_bert_leaves_tensorflows_private_keras_as_it_was():
    done = run_python(
        """
import sys
from hierdoc.encoders import compat
tf = compat.load_tensorflow()
from tensorflow.python import keras as private
from tensorflow.python.keras import backend
before = {name: module for name, module in sys.modules.items() if name.startswith("tensorflow.python.keras")}
bert = compat.load_bert()
import tf_keras
assert sys.modules["tensorflow.python.keras"] is private is not tf_keras
assert sys.modules["tensorflow.python"].keras is private
assert sys.modules["tensorflow.python.keras.backend"] is backend is not tf_keras.backend
for name, module in before.items():
    assert sys.modules[name] is module, name
from bert.attention import keras as seen_by_attention
assert seen_by_attention is tf_keras
assert compat.load_bert() is bert
"""
    )
    assert done.returncode == 0, done.stderr


def test_tensorflow_is_told_not_to_report_on_its_use():
    code = """
import hierdoc, os, sys
assert "tensorflow" not in sys.modules and "tf_keras" not in sys.modules
from hierdoc.encoders import compat
compat.load_tensorflow()
print(os.environ["ENABLE_RUNTIME_UPTIME_TELEMETRY"])
"""
    done = run_python(code)
    assert (done.returncode, done.stdout) == (0, "0\n"), done.stderr
    assert done.stderr == ""  # TensorFlow's start-up chatter is held back


def test_what_a_person_has_set_about_reporting_stays():
    done = run_python(
        "import hierdoc, os; print(os.environ['ENABLE_RUNTIME_UPTIME_TELEMETRY'])", ENABLE_RUNTIME_UPTIME_TELEMETRY="1"
    )
    assert done.stdout == "1\n"


def test_deterministic_operations_are_asked_for_inside_the_block_only():
    code = """
from hierdoc.encoders.compat import deterministic_ops
def state():
    from tensorflow.python.framework import config
    return config.is_op_determinism_enabled()
seen = []
with deterministic_ops(False):
    seen.append(state())
with deterministic_ops(True):
    seen.append(state())
    with deterministic_ops(True):
        pass
    seen.append(state())
try:
    with deterministic_ops(True):
        raise KeyError
except KeyError:
    seen.append(state())
print(seen)
"""
    assert run_python(code).stdout.strip() == "[False, True, True, False]"


def test_what_tensorflow_brings_along_is_never_searched_for_garbage():
    code = """
import gc
from hierdoc.encoders import compat
compat.load_tensorflow()
print(gc.isenabled(), gc.get_freeze_count() > 100_000)
gc.unfreeze()
compat.load_bert()
print(gc.get_freeze_count())
"""
    assert run_python(code).stdout.splitlines() == ["True True", "0"]


def test_who_has_switched_the_search_for_garbage_off_finds_it_off():
    code = (
        "import gc; gc.disable(); from hierdoc.encoders import compat; compat.load_tensorflow(); print(gc.isenabled())"
    )
    assert run_python(code).stdout == "False\n"
