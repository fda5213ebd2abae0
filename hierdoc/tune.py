"""python -m hierdoc.tune: search for the head that dev likes best.

python -m hierdoc.tune runs/complaints --trials 30
"""

from __future__ import annotations

import argparse
import shlex
import shutil
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from hierdoc import cli
from hierdoc.errors import HierdocError
from hierdoc.learning.seeds import check_seed
from hierdoc.progress import say, warn
from hierdoc.sequences.grouping import inputs_size
from hierdoc.sequences.reading import has_label_lists, read_split
from hierdoc.stages import files, store
from hierdoc.stages.finished import FinishedStage, is_finished, read_stage
from hierdoc.train_head import check_arguments, stages_for_heads

TRIALS = "trials.json"


def tune_heads(
    run: str | PathLike[str],
    trials: int = 30,
    heads: str | None = None,
    inputs: str = "vectors",
    epochs: int = 50,
    deterministic: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedStage:
    """Write RUN/tune: heads trained with drawn learning rates and input dropouts, and which of them answers dev best.

    All trials read the same chunk vectors, and learn as in `train_sequence_head`; the best is made by that. What is drawn:
    the head; the learning rate from 3e-4 to 3e-3; the input dropout from 0, 0.25 and 0.5 (`hierdoc.learning.search`). Dev chooses
    each trial's epoch and the trial, so that the accuracy on dev that comes with it is too good; test documents are not read.

    Args:
        run: a run directory with finished chunk, finetune and embed stages.
        trials: how many.
        heads: names from `hierdoc.heads.HEADS`, with commas between them; by default all.
        inputs: what they read of each chunk: vectors, probs, or both.
        epochs: the most epochs of each.
        deterministic: let TensorFlow use only operations that give the same bytes each time.
        seed: of the drawing, and of each training.
        overwrite: make the stage again.

    Raises:
        HierdocError: a stage is missing or does not fit the others; there is no dev document; an argument is out of range;
            Optuna is not installed.
        HierdocFailure: a loss became infinite.
    """
    from hierdoc.engines import is_installed
    from hierdoc.heads import HEADS, can_answer, check_answers
    from hierdoc.learning.search import check_heads

    names = None if heads is None else [name.strip() for name in heads.split(",")]
    check_heads(names or [])
    if trials < 1:
        raise HierdocError(f"`trials` must be at least 1, but is {trials} instead")
    check_seed(seed)
    check_arguments(inputs=inputs, epochs=epochs)
    if not is_installed("optuna"):
        raise HierdocError("tune needs the package optuna, which is not installed; pip install optuna")
    parents = stages_for_heads(run)
    multi_label = has_label_lists(parents["chunk"])
    names = names or [name for name in HEADS if can_answer(name, multi_label)]
    for name in names:
        check_answers(name, multi_label)
    fixed = {"inputs": inputs, "epochs": epochs, "deterministic": deterministic, "seed": seed}
    stage = store.begin(run, "tune", {"trials": trials, "heads": names, **fixed}, parents, overwrite)
    if isinstance(stage, FinishedStage):
        return stage
    from hierdoc.encoders.compat import deterministic_ops
    from hierdoc.learning.checkpoints import Checkpoints
    from hierdoc.learning.head import train_head
    from hierdoc.learning.history import History
    from hierdoc.learning.search import Tried, search
    from hierdoc.objectives import objective_of

    chunk, embed = parents["chunk"], parents["embed"]
    train = read_split(chunk, embed, "train", inputs, stage.path / store.SCRATCH)
    dev = read_split(chunk, embed, "dev", inputs)
    num_classes, objective = len(chunk.details["labels"]), objective_of(multi_label)
    judged_by = f"dev_{objective.measure}"
    dim = inputs_size(inputs, embed.details["dim"], num_classes)

    def measure(number: int, drawn: Tried) -> dict[str, float]:
        say(f"trial {number}/{trials}: {_flags(drawn)}")
        folder = stage.path / f"trial-{number}"
        folder.mkdir(exist_ok=True)
        history = History(folder / "history.jsonl")
        _, best_epoch, _ = train_head(
            train, dev, dim, num_classes, {**fixed, **drawn}, history, Checkpoints(folder, stage.note_time),
            objective=objective,
        )  # fmt: skip
        found = history.epochs[best_epoch - 1]
        return {name: found[name] for name in (judged_by, "dev_loss")} | {"epochs": len(history.epochs)}

    def keep(done: list[Tried]) -> None:
        shutil.rmtree(stage.path / f"trial-{len(done)}")
        files.write_json(stage.path / TRIALS, {"trials": done})
        stage.note_time()

    with deterministic_ops(deterministic):
        best = search(names, trials, seed, _tried_before(stage.path), measure, keep, judged_by)
    return stage.finish(best)


def _tried_before(folder: Path) -> list[Any]:
    """Return what an interrupted search has kept; what can't be read is told of, and the search begins anew."""
    path = folder / TRIALS
    if not path.exists():
        return []
    try:
        found = files.read_object(path).get("trials")
        if not isinstance(found, list):
            raise HierdocError(f"{path}: must hold `trials`, but does not")
        return found
    except HierdocError as error:
        warn(f"{error}; the search begins anew")
        return []


def _flags(arguments: Mapping[str, Any]) -> str:
    return shlex.join(
        [word for name, value in arguments.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    )


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "tune",
        "Search for the head, its learning rate and its input dropout that dev likes best; the encoder stays as it is.",
        "python -m hierdoc.tune runs/complaints --trials 30",
    )
    parser.add_argument("run", metavar="RUN", help="the run directory")
    parser.add_argument(
        "--trials",
        type=int,
        default=30,
        metavar="N",
        help="how many heads to train; with 239 dev documents 30 found nothing that was better on test than mean_pool",
    )
    parser.add_argument("--heads", metavar="NAMES", help="which to try, with commas between them (default: all)")
    parser.add_argument(
        "--inputs", default="vectors", metavar="NAME", help="what they read of each chunk: vectors, probs, or both"
    )
    parser.add_argument("--epochs", type=int, default=50, metavar="N", help="the most epochs of each")
    cli.add_deterministic(parser)
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the drawing, and of each training")
    cli.add_overwrite(parser)
    parser.set_defaults(function=tune_heads, describe=describe)
    return parser


def describe(stage: FinishedStage) -> str:
    """Return the lines that say what was found, and the command that makes it; a head that has words keeps them."""
    found, given = stage.details, stage.parameters
    made_by = {name: found[name] for name in ("head", "learning_rate", "input_dropout")}
    made_by |= {name: given[name] for name in ("inputs", "epochs", "seed")}
    command = f"python -m hierdoc.train_head {shlex.quote(str(stage.path.parent))} {_flags(made_by)}"
    command += " --deterministic" if given["deterministic"] else ""
    if is_finished(stage.path.parent, f"heads/{found['head']}"):
        there = read_stage(stage.path.parent, f"heads/{found['head']}")
        command += " --words --overwrite" if there.parameters.get("words") else " --overwrite"
    return f"{stage.path}: {cli.reading(found, 'dev')}, the best of {given['trials']} trials\n{command}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
