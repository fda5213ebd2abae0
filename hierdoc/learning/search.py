"""A small space of heads and how they are trained, and Optuna's search through it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hierdoc.errors import HierdocError
from hierdoc.heads import check_head

LEARNING_RATES = (3e-4, 3e-3)  # from the lowest to the highest, by their logarithm; the default is 1e-3
INPUT_DROPOUTS = (0.0, 0.25, 0.5)
FIRST_TRIALS = 10  # are drawn at random; after them Optuna's sampler goes by what was found

Tried = dict[str, Any]  # a trial: the arguments of train_head that were drawn, and how they answered on dev


def check_heads(heads: Sequence[str]) -> None:
    """Check the heads to be tried.

    Raises:
        HierdocError: there is no such head, or one stands there twice.
    """
    for head in heads:
        check_head(head)
        if heads.count(head) > 1:
            raise HierdocError(f"`heads` names {head} twice")


def search(
    heads: Sequence[str],
    num_trials: int,
    seed: int,
    tried: Sequence[Tried],
    measure: Callable[[int, Tried], dict[str, float]],
    keep: Callable[[list[Tried]], None],
    judged_by: str = "dev_accuracy",
) -> Tried:
    """Return the best of `num_trials` trials: that with the best reading of dev, on ties the lowest dev loss, then the earlier.

    Optuna's tree-structured Parzen estimator (Bergstra et al. 2011) draws them. What it draws depends on the seed and what
    was found before alone, so that a search that goes on comes to the same trials as one that was not interrupted.

    Args:
        heads: names from `hierdoc.heads.HEADS`, in the order of which they are drawn by number.
        num_trials: in all.
        seed: of the drawing.
        tried: the trials of an earlier call that did not come to its end; from the first on that is not what is drawn, or has no
            readings of dev, they are made anew.
        measure: called with a trial's number from 1 and its head, learning_rate and input_dropout; trains, and returns
            `judged_by` and dev_loss, and what else is to be kept.
        keep: is given all trials so far after each of them.
        judged_by: the reading of dev that is to be high.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(n_startup_trials=FIRST_TRIALS, seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    done: list[Tried] = []
    for number in range(1, num_trials + 1):
        trial = study.ask()
        drawn = {
            "head": trial.suggest_categorical("head", list(heads)),
            "learning_rate": trial.suggest_float("learning_rate", *LEARNING_RATES, log=True),
            "input_dropout": trial.suggest_categorical("input_dropout", list(INPUT_DROPOUTS)),
        }
        if number <= len(tried) and _is_of(tried[number - 1], drawn, (judged_by, "dev_loss")):
            done.append(tried[number - 1])
        else:
            tried = tried[: number - 1]  # what follows was drawn by what this one found
            done.append({**drawn, **measure(number, drawn)})
            keep(done)
        study.tell(trial, done[-1][judged_by])
    return max(done, key=lambda one: (one[judged_by], -one["dev_loss"]))


def _is_of(kept: Any, drawn: Tried, readings: Sequence[str]) -> bool:
    """Return whether a kept trial is of these arguments and has these readings."""
    return (
        isinstance(kept, dict)
        and all(kept.get(name) == value for name, value in drawn.items())
        and all(isinstance(kept.get(name), float) and math.isfinite(kept[name]) for name in readings)
    )
