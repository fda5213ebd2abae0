"""python -m hierdoc.experiment: run what is missing of an experiment, each shared stage once.

python -m hierdoc.experiment experiments/010-heads --data DATA
"""

from __future__ import annotations

import argparse
import inspect
import os
import platform
import shlex
from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from hierdoc import chunk, cli, embed, evaluate, finetune, train_head
from hierdoc.comparison import apart
from hierdoc.comparison.config import Arm, Dataset, Experiment, read_config
from hierdoc.comparison.runnable import check_config, check_values
from hierdoc.comparison.runs import answerer, arm_directory, chunk_directory, encoder_directory, share_stages
from hierdoc.corpus.split_files import read_split_file
from hierdoc.errors import HierdocError
from hierdoc.evaluation.baselines import BASELINES, RULES
from hierdoc.heads import HEADS, check_answers
from hierdoc.progress import say, warn
from hierdoc.stages import files
from hierdoc.stages.finished import FinishedStage, check_common_ancestry, is_finished, read_stage
from hierdoc.stages.provenance import versions_and_commit

_OURS = {
    "data",
    "run",
    "split",
    "split_column",
    "head",
    "seed",
    "overwrite",
    "level",
    "joint",
    "joint_head",
    "chunks_at_once",
}  # not for an experiment to set
_STAGES = {
    "chunk": chunk.chunk_documents,
    "finetune": finetune.finetune_encoder,
    "embed": embed.embed_chunks,
    "head": train_head.train_sequence_head,
}
CHECKS = {  # of the same stages: what can be told of their arguments before there are data
    "chunk": chunk.check_arguments,
    "finetune": finetune.check_arguments,
    "embed": embed.check_arguments,
    "head": train_head.check_arguments,
}


def run_experiment(
    folder: str | PathLike[str],
    data: str | PathLike[str] = ".",
    runs: str | PathLike[str] = "build/runs",
    jobs: int = 1,
) -> Path:
    """Make FOLDER/results: one JSON file, with its predictions, for each dataset, arm and seed; return that folder.

    For each dataset, every missing arm is trained and read on dev; which arm dev prefers is written to
    results/selection.json; and only then test is read, once for each. What is finished, results and stages, is not made
    again. Words-only baselines have no seed and run with the first one. Stages run in processes of their own, so that a script
    that calls this does so under `if __name__ == "__main__":`.

    Args:
        folder: holds config.yaml (see `hierdoc.comparison.config`).
        data: the folder that its data files are relative to.
        runs: where the stages are made; experiments that share stages may share it.
        jobs: how many split files and seeds of a dataset are trained at once, each on its share of the cores.

    Raises:
        HierdocError: the configuration or the data are not as they must be; a result is of another configuration.
        HierdocFailure: as the stages.
    """
    if jobs < 1:
        raise HierdocError(f"`jobs` must be at least 1, but is {jobs} instead")
    experiment = read_experiment(folder)
    works = [_Work(experiment, dataset, Path(data), Path(runs)) for dataset in experiment.datasets]
    for work in works:
        work.check()
    if "+" in versions_and_commit().get("commit", ""):
        warn(
            "the code differs from its last commit; results of what is trained now are marked as not of committed code"
        )
    for work in works:
        work.finish(jobs)
    return Path(folder) / "results"


def read_experiment(folder: str | PathLike[str]) -> Experiment:
    """Return what FOLDER/config.yaml says, after a check that it can be run.

    Raises:
        HierdocError: it is missing, or not as it must be.
    """
    experiment = read_config(Path(folder))
    signatures = {name: inspect.signature(function, eval_str=True) for name, function in _STAGES.items()}
    settable = {
        name: {key: parameter.annotation for key, parameter in signature.parameters.items() if key not in _OURS}
        for name, signature in signatures.items()
    }
    check_config(experiment, {*HEADS}, {*RULES, *BASELINES}, settable)
    return experiment


class _Work:
    """One dataset of an experiment."""

    def __init__(self, experiment: Experiment, dataset: Dataset, data: Path, runs: Path):
        self.experiment, self.dataset, self.runs = experiment, dataset, runs
        self.sources = [str(data / name) for name in dataset.files]
        self.chunked: set[Path] = set()
        self.command = shlex.join(["python", "-m", "hierdoc.experiment", str(experiment.folder), "--data", "DATA"])

        from hierdoc.comparison.results import result_path

        self.wanted = [(arm, seed) for arm in experiment.arms for seed in arm.seeds(dataset)]
        self.paths = {
            (arm.name, seed): result_path(experiment.folder, dataset.name, arm.name, seed) for arm, seed in self.wanted
        }

    def check(self) -> None:
        """Check all that can be told before work begins: of the results that are there, and of what is to be trained."""
        from hierdoc.comparison.results import check_configured

        self._check_folds()
        for arm in filter(_is_head, self.experiment.arms):
            check_answers(arm.answers, arm.arguments(self.dataset, "chunk").get("multi_label", False))
        for arm, seed in self.wanted:
            path = self.paths[arm.name, seed]
            if path.exists():
                check_configured(path, files.read_object(path), self.experiment, self.dataset, arm)
        check_values(self.experiment, self.dataset, (arm for arm, _ in self._missing()), CHECKS)

    def _missing(self) -> list[tuple[Arm, int]]:
        return [(arm, seed) for arm, seed in self.wanted if not self.paths[arm.name, seed].exists()]

    def finish(self, jobs: int) -> None:
        """Train what is missing, let dev select, and read test."""
        wanted, paths, missing = self.wanted, self.paths, self._missing()
        say(f"{self.dataset.name}: {len(wanted) - len(missing)} of {len(wanted)} results are there")
        for split in self.dataset.splits:
            for arm, _ in missing:
                self._chunk(split, arm)
        trainings = [
            self._trained([arm for arm, wanted_seed in missing if wanted_seed == seed], seed, split)
            for split in self.dataset.splits
            for seed in self.dataset.seeds
        ]
        apart.run_side_by_side(trainings, min(jobs, len(trainings)))
        self._select(wanted, paths)
        for arm, seed in missing:
            self._write(arm, seed, paths[arm.name, seed])

    def _check_folds(self) -> None:
        """Check that no document is in the test of two split files: pooled, it would count twice."""
        test_of: dict[str, Path] = {}
        for split in self.dataset.splits:
            for doc_id, row in read_split_file(split).items():
                if row.split == "test" and test_of.setdefault(doc_id, split) != split:
                    raise HierdocError(
                        f"{split}: document {doc_id!r} is in its test and in that of {test_of[doc_id].name}; a document may be "
                        "in the test of one fold"
                    )

    def _trained(self, arms: Sequence[Arm], seed: int, split: Path) -> Iterator[Arm]:
        """Make all stages of arms up to their reading of dev; yield each when that is done."""
        for number, arm in enumerate(arms, 1):
            say(f"{self.dataset.name}: {split.name}, seed {seed}: {number}/{len(arms)} {arm.name}")
            run = self._run_of(arm, seed, split)
            if _is_head(arm):
                arguments = {"head": arm.answers, "seed": seed, **arm.arguments(self.dataset, "head")}
                _make(run, f"heads/{arm.answers}", train_head.train_sequence_head, **arguments)
            self._evaluate(run, arm, seed, "dev")
            yield arm

    def _evaluate(self, run: Path, arm: Arm, seed: int, split: str) -> None:
        if arm.is_own_code:
            code, own = str(self.experiment.folder / arm.answers), arm.arguments(self.dataset, "own")
            _make(run, _evaluation(arm, split), evaluate.evaluate_own, code=code, seed=seed, split=split, arguments=own)
        else:
            asked = {"head" if _is_head(arm) else "baseline": arm.answers}
            _make(run, _evaluation(arm, split), evaluate.evaluate_head, split=split, **asked)

    def _run_of(self, arm: Arm, seed: int, split: Path) -> Path:
        """Return the run directory of an arm on one split file, with the stages that it shares made."""
        arguments = {stage: arm.arguments(self.dataset, stage) for stage in _STAGES}
        chunked = self._chunk(split, arm)
        shared = [(chunked, ("chunk",))]
        if not arm.reads_words_only:
            encoded = encoder_directory(self.runs, self.dataset, arm, seed, split)
            share_stages(encoded, chunked, "chunk")
            _make(encoded, "finetune", finetune.finetune_encoder, seed=seed, **arguments["finetune"])
            _make(encoded, "embed", embed.embed_chunks, **arguments["embed"])
            shared.append((encoded, ("finetune", "embed")))
        run = arm_directory(self.runs, self.experiment, self.dataset, arm, seed, split)
        for source, stages in shared:
            share_stages(run, source, *stages)
        return run

    def _chunk(self, split: Path, arm: Arm) -> Path:
        """Return the run in which an arm's documents are cut; where it is finished, see once that it was of today's data."""
        own = arm.arguments(self.dataset, "chunk")
        run = chunk_directory(self.runs, self.dataset, arm, split)
        if run not in self.chunked:
            arguments = {"data": self.sources, "run": str(run), "split": str(split), **own}
            if is_finished(run, "chunk"):
                chunk.chunk_documents(**arguments)
            else:
                apart.call(chunk.chunk_documents, **arguments)
            self.chunked.add(run)
        return run

    def _stages(self, arm: Arm, run: Path, splits: Sequence[str]) -> dict[str, FinishedStage]:
        names = ["chunk"]
        if not arm.reads_words_only:
            names += ["finetune", "embed"]
        names += [f"heads/{arm.answers}"] if _is_head(arm) else []
        names += [_evaluation(arm, split) for split in splits]
        stages = {name: read_stage(run, name) for name in names}
        check_common_ancestry(run, stages)
        return stages

    def _select(self, wanted: Sequence[tuple[Arm, int]], paths: dict[tuple[str, int], Path]) -> None:
        """Write which arm dev prefers, of which configurations, splits and data, unless that is already written."""
        from hierdoc.comparison.results import SELECTION, is_chosen_on

        path = self.experiment.folder / "results" / SELECTION
        recorded = files.read_object(path) if path.exists() else {}
        chosen_on = {
            "splits": [files.sha256_of(split) for split in self.dataset.splits],
            "data_sha256": self._data_sha256(wanted, paths),
        }
        earlier = recorded.get(self.dataset.name)
        if earlier is not None and is_chosen_on(earlier, **chosen_on):
            return
        accuracies: dict[str, list[float]] = {}
        measure = "accuracy"
        test_was_read = earlier is not None  # of other documents' test, and these may be among them
        for arm, seed in wanted:
            result = paths[arm.name, seed]
            if result.exists():
                readings = [part["dev"] for part in files.read_object(result)["parts"]]
                test_was_read = True
            else:
                runs = [self._run_of(arm, seed, split) for split in self.dataset.splits]
                dev = _evaluation(arm, "dev")
                readings = [self._stages(arm, run, ["dev"])[dev].details for run in runs]
                test_was_read |= any(is_finished(run, _evaluation(arm, "test")) for run in runs)
            measure = "micro_f1" if "document_micro_f1" in readings[0] else "accuracy"
            accuracies.setdefault(arm.name, []).extend(reading[f"document_{measure}"] for reading in readings)
        means = {name: sum(values) / len(values) for name, values in accuracies.items()}
        chosen = max(means, key=lambda name: means[name])  # the first of them on ties
        arms = {arm.name: arm for arm, _ in wanted}
        recorded[self.dataset.name] = {
            "chosen": chosen, f"mean_dev_{measure}": means, "seeds": list(self.dataset.seeds),
            **chosen_on, "test_was_read": test_was_read,
            "configurations": {name: self.experiment.configuration(self.dataset, arm) for name, arm in arms.items()},
        }  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_json(path, recorded)
        say(f"{self.dataset.name}: dev prefers {chosen} ({means[chosen]:.4f}); test is read from here on")

    def _data_sha256(self, wanted: Sequence[tuple[Arm, int]], paths: dict[tuple[str, int], Path]) -> Any:
        """Return the hashes of the data files: as a result has them, or of the chunks that there are."""
        for arm, seed in wanted:
            if (path := paths[arm.name, seed]).exists():
                return files.read_object(path)["data_sha256"]
        chunked = self._chunk(self.dataset.splits[0], wanted[0][0])
        return read_stage(chunked, "chunk").parameters["data_sha256"]

    def _write(self, arm: Arm, seed: int, path: Path) -> None:
        """Read test for one arm and seed, and write the result."""
        import pyarrow as pa

        from hierdoc.comparison.parts import part_facts, predictions_of_part
        from hierdoc.comparison.results import write_result

        name = _evaluation(arm, "test")
        parts, predictions, versions = [], [], {}
        for number, split in enumerate(self.dataset.splits):
            run = self._run_of(arm, seed, split)
            self._evaluate(run, arm, seed, "test")
            stages = self._stages(arm, run, ["test", "dev"])
            parts.append(part_facts(stages, name, split))
            predictions.append(predictions_of_part(stages["chunk"], stages[name], number))
            versions = stages[name].manifest["versions"]
        commits = sorted({commit for part in parts for commit in part["commits"]})
        facts = {
            "experiment": self.experiment.folder.resolve().name,
            "dataset": self.dataset.name,
            "data_sha256": stages["chunk"].parameters["data_sha256"],
            "splits": [{"file": part["split"], "sha256": part["split_sha256"]} for part in parts],
            "arm": arm.name,
            "configuration": self.experiment.configuration(self.dataset, arm),
            "seed": seed,
            "parts": parts,
            "command": self.command,
            "commits": commits,
            "dirty": any("+" in commit or commit == "unknown" for commit in commits),
            "versions": {key: value for key, value in versions.items() if key != "commit"},
            "machine": {"cores": os.cpu_count(), "architecture": platform.machine()},
        }
        write_result(path, facts, pa.concat_tables(predictions))
        say(f"{path}: written")


def _is_head(arm: Arm) -> bool:
    return arm.answers in HEADS


def _evaluation(arm: Arm, split: str) -> str:
    return evaluate.stage_name(answerer(arm), split)


def _make(run: Path, stage: str, function: Callable[..., Any], **arguments: Any) -> None:
    """Let `function` make a stage of `run` unless it is finished: the directory's name stands for its arguments."""
    if not is_finished(run, stage):
        apart.call(function, run=str(run), **arguments)


def build_parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    parser = cli.make_parser(
        "experiment",
        "Run what is missing of an experiment: every arm on every dataset, split file and seed of its config.yaml.",
        "python -m hierdoc.experiment experiments/010-heads --data data",
    )
    parser.add_argument("folder", metavar="FOLDER", help="the experiment's, with config.yaml")
    parser.add_argument("--data", default=".", metavar="DIR", help="what the data files are relative to")
    parser.add_argument("--runs", default="build/runs", metavar="DIR", help="where stages are made and found again")
    parser.add_argument(
        "--jobs", type=int, default=1, metavar="N",
        help="train so many split files and seeds at once, each on its share of the cores",
    )  # fmt: skip
    parser.set_defaults(function=run_experiment, describe=describe, goes_on=True)
    return parser


def describe(results: Path) -> str:
    """Return the line that says what was made."""
    found = sorted(results.glob("*.seed-*.json"))
    return f"{results}: {len(found)} results; python -m hierdoc.report {results.parent} makes the report of them"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `hierdoc.cli.run_command` for the exit codes."""
    return cli.run_command(build_parser(), argv)


if __name__ == "__main__":
    raise SystemExit(main())
