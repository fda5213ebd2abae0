"""The learning rate over the steps, by hand."""

from __future__ import annotations

import pytest

from hierdoc.learning.schedules import warmup_and_decay, warmup_linear


def rates(peak: float, num_steps: int, *arguments: float) -> list[float]:
    schedule = warmup_linear(peak, num_steps, *arguments)
    return [float(schedule(step)) for step in range(num_steps)]


def test_a_tenth_of_the_steps_rises_and_the_rest_falls_to_0():
    found = rates(1e-3, 20)
    assert found[0] == pytest.approx(0.5e-3)  # 2 steps of warm-up
    assert found[1] == pytest.approx(1e-3)
    assert found[2] == pytest.approx(1e-3)  # (20 - 2) / 18
    assert found[11] == pytest.approx(0.5e-3)  # (20 - 11) / 18
    assert found[19] == pytest.approx(1e-3 / 18)
    assert all(rate > 0 for rate in found) and max(found) == pytest.approx(1e-3)


def test_the_share_of_warm_up_can_be_chosen():
    assert rates(1.0, 10, 0.5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize(("num_steps", "wanted"), [(1, [1.0]), (2, [1.0, 1.0]), (3, [1.0, 1.0, 0.5])])
def test_a_short_training_has_one_step_of_warm_up_and_no_step_of_rate_0(num_steps: int, wanted: list[float]):
    assert rates(1.0, num_steps) == pytest.approx(wanted)


def test_beyond_the_last_step_the_rate_is_0():
    schedule = warmup_linear(1.0, 10)
    assert float(schedule(10)) == 0 and float(schedule(99)) == 0


def test_an_optimizer_follows_it():
    from hierdoc.encoders import compat

    tf = compat.load_tensorflow()
    optimizer, variable = tf.keras.optimizers.SGD(warmup_linear(1.0, 4, 0.5)), tf.Variable([0.0])
    seen = []
    for _ in range(4):
        optimizer.apply_gradients([(tf.constant([-1.0]), variable)])
        seen.append(float(variable[0]))
    assert seen == pytest.approx([0.5, 1.5, 2.5, 3.0])  # rates 1/2, 1, 1, 1/2


@pytest.mark.parametrize(
    ("decay", "wanted"),
    [
        ("linear", [0.5, 1, 1, 0.75, 0.5, 0.25]),
        ("cosine", [0.5, 1, 1, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]),
        ("exponential", [0.5, 1, 1, 0.01**0.25, 0.1, 0.01**0.75]),
    ],
)
def test_after_the_same_warm_up_the_rate_decays_in_its_own_way(decay: str, wanted: list[float]):
    schedule = warmup_and_decay(decay, 2.0, 6, 1 / 3)
    assert [float(schedule(step)) for step in range(6)] == pytest.approx([2 * rate for rate in wanted])
    assert schedule.get_config() == {"decay": decay, "peak": 2.0, "num_steps": 6, "warmup_share": 1 / 3}
