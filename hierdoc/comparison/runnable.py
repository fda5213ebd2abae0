"""Whether an experiment can be run: that what its config.yaml names is there, of the right type, and decides something."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Set
from pathlib import Path
from typing import Any, get_args

from hierdoc.comparison.config import Arm, Dataset, Experiment
from hierdoc.errors import HierdocError


def check_config(
    experiment: Experiment,
    heads: Set[str],
    baselines: Set[str],
    arguments: Mapping[str, Mapping[str, Any]],
) -> None:
    """Check that an experiment can be run.

    Args:
        experiment: as it was read.
        heads, baselines: the names of what can answer.
        arguments: for each stage, the arguments that an experiment may set, and their types.

    Raises:
        HierdocError: a name is unknown, an argument is of another type or decides nothing, or a split file does not exist;
            the message lists what there is.
    """
    path = experiment.folder / "config.yaml"
    for arm in experiment.arms:
        if arm.is_own_code:
            experiment.own(experiment.datasets[0], arm)
            _check_own_arguments(path, arm)
        elif arm.answers not in {*heads, *baselines}:
            raise HierdocError(
                f"{path}: arm {arm.name!r} must be answered by one of {', '.join(sorted({*heads, *baselines}))}, or by a .py "
                f"file of the experiment, but is by {arm.answers!r} instead"
            )
        _check_effect(path, arm, arm.answers in heads)
    for kind, entry in [*(("arm", arm) for arm in experiment.arms), *(("dataset", d) for d in experiment.datasets)]:
        for stage, values in entry.stages.items():
            for key, value in values.items() if stage != "own" else ():
                if key not in arguments[stage]:
                    known = ", ".join(sorted(arguments[stage]))
                    raise HierdocError(f"{path}: `{stage}` of {kind} {entry.name!r} has {key!r}; it may have {known}")
                if not _fits(value, arguments[stage][key]):
                    raise HierdocError(
                        f"{path}: {key!r} in `{stage}` of {kind} {entry.name!r} must be {_told(arguments[stage][key])}, but is "
                        f"{value!r} instead"
                    )
    check_split_files(experiment)


def check_values(
    experiment: Experiment, dataset: Dataset, arms: Iterable[Arm], checks: Mapping[str, Callable[..., object]]
) -> None:
    """Check the values of each stage's arguments together, as the stage itself would after hours.

    Args:
        experiment, dataset, arms: what is to be trained.
        checks: for each stage, the function that raises HierdocError where arguments are out of range, don't go together, or ask
            for what this machine has not.

    Raises:
        HierdocError: as that, with the arm.
    """
    seen = []
    for arm in arms:
        for stage, check in checks.items():
            given = stage, arm.arguments(dataset, stage)
            if given in seen or (arm.reads_words_only and stage in ("finetune", "embed")):
                continue
            seen.append(given)
            try:
                check(**given[1])
            except HierdocError as error:
                where = f"`{stage}` of arm {arm.name!r} on dataset {dataset.name!r}"
                raise HierdocError(f"{experiment.folder / 'config.yaml'}: {where}: {error}") from None


def check_split_files(experiment: Experiment) -> None:
    """Check that the split files are there.

    Raises:
        HierdocError: one does not exist.
    """
    for dataset in experiment.datasets:
        for split in dataset.splits:
            if not split.is_file():
                raise HierdocError(f"{split}: this split file of dataset {dataset.name!r} does not exist")


def _check_effect(path: Path, arm: Arm, is_head: bool) -> None:
    """Check that an arm sets nothing of a stage that it does not have."""
    without = {"own": "is not answered by a .py file"} if not arm.is_own_code else {}
    without |= {"head": "is not answered by a head"} if not is_head else {}
    without |= dict.fromkeys(("finetune", "embed"), "reads words only") if arm.reads_words_only else {}
    for stage, why in without.items():
        if stage in arm.stages:
            raise HierdocError(f"{path}: arm {arm.name!r} has `{stage}` arguments, but {why}")


def _check_own_arguments(path: Path, arm: Arm) -> None:
    """Check what an arm of own code gives its function `answer(run, split, seed, ...)`, without running the file."""
    code = path.parent / arm.answers
    try:
        body = ast.parse(code.read_bytes(), str(code)).body
    except (SyntaxError, ValueError) as error:
        raise HierdocError(f"{code}: is not Python: {error}") from None
    found = [node.args for node in body if isinstance(node, ast.FunctionDef) and node.name == "answer"]
    if not found or found[-1].kwarg is not None:
        return  # it is imported from elsewhere, or takes whatever there is
    named = [argument.arg for argument in [*found[-1].posonlyargs, *found[-1].args]]
    optional = {*named[len(named) - len(found[-1].defaults) :]} if found[-1].defaults else set()
    optional |= {a.arg for a, value in zip(found[-1].kwonlyargs, found[-1].kw_defaults) if value is not None}
    known = [*named[3:], *(argument.arg for argument in found[-1].kwonlyargs)]
    given = arm.stages.get("own", {})
    for name in given:
        if name not in known:
            raise HierdocError(
                f"{path}: `own` of arm {arm.name!r} has {name!r}; {arm.answers} takes {', '.join(known) or 'nothing'}"
            )
    for name in known:
        if name not in given and name not in optional:
            raise HierdocError(f"{path}: `own` of arm {arm.name!r} must have {name!r}, which {arm.answers} takes")


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value of YAML is of a type, as functions annotate their arguments."""
    if kinds := get_args(kind):
        return any(_fits(value, one) for one in kinds)
    if kind in (int, float, bool):
        return type(value) is kind or (kind is float and type(value) is int)
    return value is None if kind is type(None) else isinstance(value, str)


def _told(kind: Any) -> str:
    names = {int: "a whole number", float: "a number such as 0.0002", bool: "true or false", type(None): "null"}
    return " or ".join(dict.fromkeys(names.get(one, "text") for one in get_args(kind) or (kind,)))
