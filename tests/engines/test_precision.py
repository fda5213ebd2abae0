"""Which precision is computed in, and that the process-global option is put back."""

from __future__ import annotations

import pytest

from hierdoc import HierdocError
from hierdoc.encoders import compat
from hierdoc.engines import precision
from hierdoc.engines.precision import cpu_has_bfloat16, in_precision, resolve_precision

OPTION = "auto_mixed_precision_onednn_bfloat16"


def rewrite_is_on() -> bool:
    """What TensorFlow says of its bfloat16 rewrite."""
    return compat.load_tensorflow().config.optimizer.get_experimental_options().get(OPTION, False)


@pytest.mark.parametrize(
    ("asked", "cpu_has_it", "wanted"),
    [
        ("float32", True, "float32"),
        ("float32", False, "float32"),
        ("auto", True, "bfloat16"),
        ("auto", False, "float32"),
        ("bfloat16", True, "bfloat16"),
    ],
)
def test_auto_is_bfloat16_where_the_cpu_has_it(
    monkeypatch: pytest.MonkeyPatch, asked: str, cpu_has_it: bool, wanted: str
):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: cpu_has_it)
    assert resolve_precision(asked) == wanted


def test_bfloat16_on_a_cpu_without_it_is_refused_with_the_way_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: False)
    with pytest.raises(HierdocError, match="which this one lacks; use float32 or auto"):
        resolve_precision("bfloat16")


def test_an_unknown_precision_lists_the_valid_ones():
    with pytest.raises(HierdocError) as error:
        resolve_precision("float16")
    assert str(error.value) == "`precision` must be one of auto, float32, bfloat16, but is 'float16' instead"


@pytest.mark.parametrize(
    ("cpuinfo", "wanted"),
    [
        ("flags\t\t: fpu sse2 avx512_bf16 avx512f\n", True),
        ("flags\t\t: fpu sse2 amx_bf16 amx_tile\n", True),
        ("flags\t\t: fpu sse2 avx512f avx512_vnni\n", False),
        (None, False),
    ],
)
def test_the_cpu_is_asked_through_linux(monkeypatch: pytest.MonkeyPatch, cpuinfo: str | None, wanted: bool):
    def read_text(self: object, **_: str) -> str:
        if cpuinfo is None:
            raise FileNotFoundError("/proc/cpuinfo")  # as on macOS
        return cpuinfo

    monkeypatch.setattr(precision.Path, "read_text", read_text)
    assert cpu_has_bfloat16.__wrapped__() is wanted


def test_the_option_is_set_inside_the_block_and_put_back_after_it():
    assert not rewrite_is_on()
    with in_precision("bfloat16"):
        assert rewrite_is_on()
        with in_precision("float32"):
            assert not rewrite_is_on()
        assert rewrite_is_on()
    assert not rewrite_is_on()
    with in_precision("float32"):
        assert not rewrite_is_on()


def test_the_option_is_put_back_after_an_exception():
    with pytest.raises(ZeroDivisionError), in_precision("bfloat16"):
        assert rewrite_is_on()
        _ = 1 / 0
    assert not rewrite_is_on()


def test_other_options_of_the_graph_optimizer_are_left_alone():
    tf = compat.load_tensorflow()
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"layout_optimizer": False})
    try:
        with in_precision("bfloat16"):
            assert tf.config.optimizer.get_experimental_options()["layout_optimizer"] is False
        assert tf.config.optimizer.get_experimental_options()["layout_optimizer"] is False
    finally:
        tf.config.optimizer.set_experimental_options({"layout_optimizer": before.get("layout_optimizer", True)})
